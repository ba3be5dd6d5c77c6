import { PlatformError } from '#shared/errors.ts';
import type { RoleStatus } from './decision/index.ts';

const transitions: Readonly<Record<RoleStatus, readonly RoleStatus[]>> = {
  active: ['inactive', 'suspended', 'deprecated'],
  inactive: ['active', 'deprecated'],
  suspended: ['active', 'deprecated'],
  deprecated: ['archived'],
  archived: [],
};

/** @throws {INVALID_STATE_TRANSITION} when the state machine has no such transition. */
export function requireTransition(from: RoleStatus, to: RoleStatus): void {
  if (transitions[from].includes(to)) return;
  const possible = transitions[from].map((status) => status.toUpperCase()).join(', ') || 'none';
  throw new PlatformError(
    'INVALID_STATE_TRANSITION',
    `no transition from ${from.toUpperCase()} to ${to.toUpperCase()}; possible: ${possible}`,
    { path: ['status'] },
  );
}
