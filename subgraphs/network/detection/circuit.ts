/** When a node that fails is left alone, and for how long. */
export interface CircuitConfig {
  /** Failures in the window that open it; 0 for never. */
  readonly failures: number;
  readonly windowMs: number;
  readonly openMs: number;
}

/** Times in ms since the epoch. */
export interface Circuit {
  /** Failures since the last success, the newest first. */
  readonly failedAt: readonly number[];
  /** Null while it is closed. */
  readonly openedAt: number | null;
  readonly retryAt: number | null;
  readonly trialUntil: number | null;
  /** Times it opened since it was closed last. */
  readonly openings: number;
}

export type CircuitState = 'closed' | 'open' | 'half_open' | 'trying';

export const defaultCircuit: CircuitConfig = { failures: 3, windowMs: 60_000, openMs: 30_000 };
export const closedCircuit: Circuit = {
  failedAt: [],
  ...{ openedAt: null, retryAt: null, trialUntil: null, openings: 0 },
};
/** Times `openMs` that a circuit stays open at most, however often what is let through fails. */
const maxBackoff = 16;

/**
 * What a circuit lets through: all, nothing, one, or nothing beside the one that is on its way (Nygard 2007). Of whom
 * nothing ill is said for as long as the circuit was to be open, that one has done well.
 */
export function stateOf({ openedAt, retryAt, trialUntil }: Circuit, now: number): CircuitState {
  if (openedAt === null) return 'closed';
  if (trialUntil !== null) return trialUntil > now ? 'trying' : 'closed';
  return retryAt !== null && retryAt > now ? 'open' : 'half_open';
}

/**
 * A circuit after calls of its node. More failures than successes are failures, else all is well; what comes while it is
 * open was on its way before and changes nothing.
 */
export function afterCalls(
  before: Circuit,
  { succeeded, failed }: { readonly succeeded: number; readonly failed: number },
  now: number,
  { failures, windowMs, openMs }: CircuitConfig,
): Circuit {
  if (failures === 0) return closedCircuit;
  if (succeeded + failed === 0) return before;
  const state = stateOf(before, now);
  if (state === 'open') return before;
  if (failed <= succeeded) return closedCircuit;
  const openings = state === 'closed' ? 0 : before.openings;
  const known = state === 'closed' && before.openedAt === null ? before.failedAt : [];
  const failedAt = [...Array.from({ length: Math.min(failed, failures) }, () => now), ...known]
    .filter((at) => at > now - windowMs)
    .slice(0, failures);
  if (state === 'closed' && failedAt.length < failures) return { ...closedCircuit, failedAt };
  return {
    failedAt,
    openedAt: now,
    retryAt: now + openMs * Math.min(maxBackoff, 2 ** openings),
    trialUntil: null,
    openings: openings + 1,
  };
}
