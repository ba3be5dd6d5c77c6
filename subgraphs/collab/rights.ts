import { PlatformError } from '#shared/errors.ts';
import type { Principal } from '#shared/principal.ts';
import { holdsIn } from '#shared/rights.ts';
import { type Draft, find, list } from './draft.ts';
import type { CollabPermission, CollabRow, CollabStatusValue, ParticipantRow } from './rows.ts';

/** The subject of what the platform does by itself. */
export const systemSubject = 'system:collab';

export const administers = (principal: Principal, { contextId }: Pick<CollabRow, 'contextId'>): boolean =>
  holdsIn(principal, 'collab:admin', contextId);

/** The active part that the principal has; needs all participants. */
export function partOf(draft: Draft, { subject }: Pick<Principal, 'subject'>): ParticipantRow | null {
  return list(draft, 'participant').find(({ agentId, status }) => agentId === subject && status === 'active') ?? null;
}

/** @throws {NOT_A_PARTICIPANT} */
export function requirePart(draft: Draft, principal: Principal): ParticipantRow {
  const part = partOf(draft, principal);
  if (part === null)
    throw new PlatformError('NOT_A_PARTICIPANT', 'the caller takes no active part in the collaboration');
  return part;
}

/** Who coordinates: the participant named, else who created it. */
export function coordinates(draft: Draft, principal: Principal): boolean {
  const { coordination, createdBy } = draft.collab;
  const coordinator =
    coordination.coordinatorId === null ? null : find(draft, 'participant', coordination.coordinatorId);
  if (coordinator?.status === 'active' && coordinator.agentId === principal.subject) return true;
  return createdBy === principal.subject || administers(principal, draft.collab);
}

/** The coordinator, an administrator, or a participant with this permission. @throws {PERMISSION_DENIED} */
export function requireCoordinator(draft: Draft, principal: Principal, or?: CollabPermission): void {
  if (coordinates(draft, principal)) return;
  if (or !== undefined && partOf(draft, principal)?.permissions.includes(or) === true) return;
  throw new PlatformError('PERMISSION_DENIED', 'only the coordinator of the collaboration may do this', {
    details: { permission: or ?? 'collab:admin' },
  });
}

/** @throws {COLLAB_NOT_ACTIVE} */
export function requireStatus({ collab }: Draft, ...allowed: readonly CollabStatusValue[]): void {
  if (allowed.includes(collab.status)) return;
  throw new PlatformError('COLLAB_NOT_ACTIVE', `the collaboration is ${collab.status.toUpperCase()}`, {
    details: { status: collab.status.toUpperCase(), expected: allowed.map((status) => status.toUpperCase()) },
  });
}

/** @throws {GOVERNANCE_LOCKED} unless the principal may override it. */
export function requireUnlocked({ collab }: Draft, principal: Principal): void {
  if (collab.governance?.locked === true && !holdsIn(principal, 'governance:override', collab.contextId))
    throw new PlatformError('GOVERNANCE_LOCKED', 'the collaboration is locked');
}

/** @throws {PARTICIPANT_NOT_FOUND} unless it takes an active part. */
export function requireActive(draft: Draft, participantId: string, path: readonly (string | number)[]): ParticipantRow {
  const found = find(draft, 'participant', participantId);
  if (found?.status !== 'active')
    throw new PlatformError('PARTICIPANT_NOT_FOUND', `no active participant ${participantId}`, { path });
  return found;
}

export const active = (draft: Draft): readonly ParticipantRow[] =>
  list(draft, 'participant').filter(({ status }) => status === 'active');
