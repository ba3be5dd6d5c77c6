import { type CircuitBreakerPolicy, CircuitState, circuitBreaker, handleWhenResult, type IBreaker } from 'cockatiel';
import { LRUCache } from 'lru-cache';

const maxFailures = 5;
const windowMs = 60_000;
export const recoveryMs = 30_000;
const maxBreakers = 20_000;

/** Opens with the fifth failure within a minute, whatever succeeds between them. */
class WindowBreaker implements IBreaker {
  #failures: number[] = [];
  get state(): unknown {
    return this.#failures;
  }
  set state(value: unknown) {
    this.#failures = value as number[];
  }
  success(state: CircuitState): void {
    if (state === CircuitState.HalfOpen) this.#failures = [];
  }
  failure(): boolean {
    const now = Date.now();
    this.#failures = [...this.#failures.filter((at) => at > now - windowMs), now];
    return this.#failures.length >= maxFailures;
  }
}

export interface Breakable {
  /** Whether the call counts as a failure of the method. */
  readonly broke: boolean;
}

/** A circuit breaker for each method of each release; a new release begins with a clean record. */
export function createBreakers() {
  const breakers = new LRUCache<string, CircuitBreakerPolicy>({ max: maxBreakers });
  /** Methods of an extension that are refused now, as `capability.method`. */
  const open = new Map<string, Set<string>>();

  return {
    of(extension: string, release: string, method: string): CircuitBreakerPolicy {
      const key = `${extension}/${release}/${method}`;
      const known = breakers.get(key);
      if (known) return known;
      const policy = circuitBreaker(
        handleWhenResult((result) => (result as Breakable).broke),
        { halfOpenAfter: recoveryMs, breaker: new WindowBreaker() },
      );
      const list = open.get(extension) ?? new Set<string>();
      policy.onBreak(() => void open.set(extension, list.add(method)));
      policy.onReset(() => {
        list.delete(method);
        if (list.size === 0) open.delete(extension);
      });
      breakers.set(key, policy);
      return policy;
    },
    openOf: (extension: string): readonly string[] => [...(open.get(extension) ?? [])].sort(),
  };
}

export type Breakers = ReturnType<typeof createBreakers>;
