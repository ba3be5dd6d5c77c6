import { PlatformError } from '#shared/errors.ts';
import type { Principal } from '#shared/principal.ts';
import { isOwnerOrAdmin } from './access.ts';
import type { AccessPermission } from './accessList.ts';
import { isGranted } from './accessRights.ts';
import type { ContextParticipantRow, ContextRow } from './rows.ts';
import { requireOpen } from './transaction.ts';

/** True for who is in; who asks to join is not yet, and takes no place. */
export function isTakingPart({ status }: Pick<ContextParticipantRow, 'status'>): boolean {
  return status !== 'LEFT' && status !== 'JOINING';
}

/** True for who asked to join, was let in, and found no place. */
export function waitsForPlace({ status, approvedAt }: Pick<ContextParticipantRow, 'status' | 'approvedAt'>): boolean {
  // Events of former versions say nothing of it.
  return status === 'JOINING' && approvedAt != null;
}

/** joining -> active <-> inactive -> leaving -> left; left is for good, the agent may join anew. */
const transitions: Readonly<Record<string, readonly string[]>> = {
  JOINING: ['ACTIVE', 'LEFT'],
  ACTIVE: ['INACTIVE', 'LEAVING', 'LEFT'],
  INACTIVE: ['ACTIVE', 'LEAVING', 'LEFT'],
  LEAVING: ['LEFT'],
  LEFT: [],
};

/** Who lets others in where a context is not open to all: owner, administrators, and whom its list grants it. */
export function mayAdmit(context: ContextRow, principal: Principal): boolean {
  return (
    isOwnerOrAdmin(context, principal) ||
    isGranted(context, principal, 'context', ['admin']) ||
    isGranted(context, principal, 'participant', ['admin', 'write'])
  );
}

/** @throws {PERMISSION_DENIED} */
export function requireMayAdmit(context: ContextRow, principal: Principal): void {
  if (mayAdmit(context, principal)) return;
  throw new PlatformError('PERMISSION_DENIED', 'only the owner or who holds context:admin lets others in', {
    details: { permission: 'context:admin' },
  });
}

/** @throws {INVALID_STATE_TRANSITION} when the state machine has no such step. */
export function requireParticipantTransition(from: string, to: string): void {
  const allowed = transitions[from] ?? [];
  if (allowed.includes(to)) return;
  throw new PlatformError(
    'INVALID_STATE_TRANSITION',
    `a participant that is ${from} cannot become ${to}; allowed: ${allowed.join(', ') || 'none'}`,
    { path: ['patch', 'status'], details: { from, to } },
  );
}

export type Newcomer = Pick<ContextParticipantRow, 'agentId' | 'roles' | 'capabilities'>;

/**
 * Lets a newcomer into a context.
 * @throws {INVALID_STATE} {CONTEXT_FULL} {PARTICIPANT_ALREADY_EXISTS} {VALIDATION_FAILED}
 */
export function requireAdmissible(
  context: ContextRow,
  newcomer: Newcomer,
  { present, limit }: { readonly present: ContextParticipantRow | undefined; readonly limit: number },
): void {
  requireOpen(context);
  if (present && isTakingPart(present))
    throw new PlatformError('PARTICIPANT_ALREADY_EXISTS', `the agent ${newcomer.agentId} takes part already`, {
      path: ['agentId'],
      details: { participantId: present.id },
    });
  if (context.participantCount >= limit)
    throw new PlatformError(
      'CONTEXT_FULL',
      `the context holds ${context.participantCount} participants of at most ${limit}`,
      { details: { limit, used: context.participantCount } },
    );
  requireMatch('capabilities', context.accessControl.requiredCapabilities, newcomer.capabilities);
  requireMatch('roles', context.accessControl.requiredRoles, newcomer.roles);
}

function requireMatch(name: 'capabilities' | 'roles', required: readonly string[], held: readonly string[]): void {
  const missing = required.filter((entry) => !held.includes(entry));
  if (missing.length > 0)
    throw new PlatformError('VALIDATION_FAILED', `${name}: the context requires ${missing.join(', ')}`, {
      path: [name],
      details: { missing },
    });
}

/**
 * What the context's own access list grants an agent directly or by one of its roles. What it grants under conditions is
 * not held beforehand, and whether an agent belongs to a group is nothing that the context knows.
 */
export function permissionsOf(context: ContextRow, agentId: string, roles: readonly string[]): string[] {
  const granted = new Set<string>();
  for (const entry of context.accessControl.permissions as readonly AccessPermission[]) {
    if (entry.principalType === 'group' || Object.keys(entry.conditions ?? {}).length > 0) continue;
    const applies = entry.principalType === 'role' ? roles.includes(entry.principal) : entry.principal === agentId;
    if (applies) for (const action of entry.actions) granted.add(`${entry.resource}:${action}`);
  }
  return [...granted].sort();
}
