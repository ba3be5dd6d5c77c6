import { PlatformError } from '#shared/errors.ts';
import type { ContextStatusValue } from './rows.ts';

/** draft -> active -> suspended -> active -> closed -> archived; a draft may be closed unopened. */
const transitions: Readonly<Record<ContextStatusValue, readonly ContextStatusValue[]>> = {
  draft: ['active', 'closed'],
  active: ['suspended', 'closed'],
  suspended: ['active', 'closed'],
  closed: ['archived'],
  archived: [],
};

/** @throws {INVALID_STATE_TRANSITION} when the state machine has no such step. */
export function requireTransition(from: ContextStatusValue, to: ContextStatusValue): void {
  if (transitions[from].includes(to)) return;
  const allowed = transitions[from].map((status) => status.toUpperCase()).join(', ') || 'none';
  throw new PlatformError(
    'INVALID_STATE_TRANSITION',
    `a context that is ${from.toUpperCase()} cannot become ${to.toUpperCase()}; allowed: ${allowed}`,
    {
      path: ['status'],
      details: { from: from.toUpperCase(), to: to.toUpperCase() },
    },
  );
}

/** Who may take a step: the owner always; others by this permission. */
export function permissionForTransition(to: ContextStatusValue): 'context:admin' | 'context:write' {
  return to === 'closed' || to === 'archived' ? 'context:admin' : 'context:write';
}

/** True while the context counts against its owner's quota. */
export function isOpen(status: ContextStatusValue): boolean {
  return status === 'draft' || status === 'active' || status === 'suspended';
}
