import { PlatformError } from '#shared/errors.ts';
import type { PlanStatusValue } from './rows.ts';

/** draft -> proposed -> approved -> in_progress -> completed | failed; back to draft to plan anew. */
const transitions: Readonly<Record<PlanStatusValue, readonly PlanStatusValue[]>> = {
  draft: ['proposed', 'approved', 'cancelled'],
  proposed: ['approved', 'draft', 'cancelled'],
  approved: ['in_progress', 'cancelled'],
  in_progress: ['completed', 'failed', 'cancelled'],
  failed: ['draft'],
  completed: [],
  cancelled: [],
};

/** @throws {INVALID_STATE_TRANSITION} when the state machine has no such step. */
export function requireTransition(from: PlanStatusValue, to: PlanStatusValue): void {
  if (transitions[from].includes(to)) return;
  const allowed = transitions[from].map((status) => status.toUpperCase()).join(', ') || 'none';
  throw new PlatformError(
    'INVALID_STATE_TRANSITION',
    `a plan that is ${from.toUpperCase()} cannot become ${to.toUpperCase()}; allowed: ${allowed}`,
    { path: ['planId'], details: { from: from.toUpperCase(), to: to.toUpperCase() } },
  );
}

export const maxReplans = 3;

/** Nothing goes on from here but planning a failed one anew. */
export const hasEnded = (status: PlanStatusValue): boolean =>
  status === 'completed' || status === 'cancelled' || status === 'failed';
