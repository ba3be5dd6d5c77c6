import { type CircuitBreakerPolicy, circuitBreaker, handleWhenResult, isBrokenCircuitError } from 'cockatiel';
import { LRUCache } from 'lru-cache';
import { circuitFigures, WindowBreaker } from '#shared/windowBreaker.ts';
import type { CallResult } from './decide.ts';

/** One operation of a module, as one tenant calls it: what fails for one tenant keeps no other from it. */
export interface CircuitKey {
  readonly tenantId: string;
  readonly module: string;
  readonly operation: string;
}

export interface Circuit extends CircuitKey {
  readonly state: 'open' | 'half_open';
  /** When a call is let through to see; ISO 8601. */
  readonly retryAt: string;
}

export interface CircuitsOptions {
  /** @default 5 */
  readonly maxFailures?: number;
  /** @default 30_000 */
  readonly recoveryMs?: number;
  /** Told of every change: it is broken off, tried again, or goes on. */
  readonly onChanged: (change: CircuitKey & { readonly state: 'open' | 'half_open' | 'closed' }) => void;
}

export type Circuits = ReturnType<typeof createCircuits>;

const maxCircuits = 20_000;
/** A busy operation has five failures in every minute: it is broken only where they are its rule. */
const minRatio = 0.5;
/** While somebody else tries it. */
const shortlyMs = 1_000;

/** Failures of the module, or of the way to it: what it refuses by its rules is an answer. */
const broken: ReadonlySet<string> = new Set(['UNAVAILABLE', 'STEP_TIMEOUT', 'DEADLINE_EXCEEDED', 'INTERNAL_ERROR']);

export const isBroken = (result: CallResult): boolean => !result.ok && broken.has(result.error.code);

/**
 * A circuit breaker for each operation that steps call (Nygard, Release It!, 2007). Closed it lets all through; after
 * five failures within a minute, at least half of what was called, it is open and refuses for half a minute; then one call
 * is let through, and what becomes of it decides. Each process has its own.
 */
export function createCircuits({ maxFailures, recoveryMs = circuitFigures.recoveryMs, onChanged }: CircuitsOptions) {
  const open = new Map<string, Circuit>();
  const policies = new LRUCache<string, CircuitBreakerPolicy>({
    max: maxCircuits,
    dispose: (_policy, name) => void open.delete(name),
  });

  function policyOf(name: string, key: CircuitKey): CircuitBreakerPolicy {
    const known = policies.get(name);
    if (known) return known;
    const policy = circuitBreaker(
      handleWhenResult((result) => (result as Answer).broke),
      {
        halfOpenAfter: recoveryMs,
        breaker: new WindowBreaker({ ...(maxFailures === undefined ? {} : { maxFailures }), minRatio }),
      },
    );
    const retryAt = () => new Date(Date.now() + recoveryMs).toISOString();
    policy.onBreak(() => {
      open.set(name, { ...key, state: 'open', retryAt: retryAt() });
      onChanged({ ...key, state: 'open' });
    });
    policy.onHalfOpen(() => {
      open.set(name, { ...key, state: 'half_open', retryAt: retryAt() });
      onChanged({ ...key, state: 'half_open' });
    });
    policy.onReset(() => {
      open.delete(name);
      onChanged({ ...key, state: 'closed' });
    });
    policies.set(name, policy);
    return policy;
  }

  return {
    /** Calls, unless the circuit is open: then it fails at once and says when it may be tried again. */
    async call(
      { tenantId, module, operation }: CircuitKey,
      { run, signal }: { readonly run: () => Promise<CallResult>; readonly signal: AbortSignal },
    ): Promise<CallResult> {
      const key = { tenantId, module, operation };
      const name = JSON.stringify([tenantId, operation]);
      try {
        const { result } = await policyOf(name, key).execute(async (): Promise<Answer> => {
          const answer = await run();
          // A call that was given up says nothing of the module.
          return { result: answer, broke: !signal.aborted && isBroken(answer) };
        });
        return result;
      } catch (error) {
        if (!isBrokenCircuitError(error)) throw error;
        const { state, retryAt } = open.get(name) ?? { state: 'half_open', retryAt: '' };
        const restMs = state === 'open' ? Date.parse(retryAt) - Date.now() : shortlyMs;
        return {
          ok: false,
          error: { code: 'CIRCUIT_OPEN', message: `${module}.${operation} failed too often of late: it is left alone` },
          retryable: true,
          unknown: false,
          timedOut: false,
          retryAfterMs: Math.max(1, restMs),
        };
      }
    },

    /** What is not called for a tenant at the moment, by operation. */
    openOf: (tenantId: string): readonly Circuit[] =>
      [...open.values()]
        .filter((circuit) => circuit.tenantId === tenantId)
        .sort((one, other) => (one.operation < other.operation ? -1 : 1)),
    /** Of all tenants. */
    get openCount(): number {
      return [...open.values()].filter(({ state }) => state === 'open').length;
    },
  };
}

interface Answer {
  readonly result: CallResult;
  readonly broke: boolean;
}
