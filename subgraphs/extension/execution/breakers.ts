import { type CircuitBreakerPolicy, circuitBreaker, handleWhenResult } from 'cockatiel';
import { createLru } from '#shared/lru.ts';
import { circuitFigures, WindowBreaker } from '#shared/windowBreaker.ts';

export const { recoveryMs } = circuitFigures;
const maxBreakers = 20_000;

export interface Breakable {
  /** Whether the call counts as a failure of the method. */
  readonly broke: boolean;
}

/** A circuit breaker for each method of each release; a new release begins with a clean record. */
export function createBreakers() {
  const breakers = createLru<CircuitBreakerPolicy>(maxBreakers);
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
