import { isDeepStrictEqual } from 'node:util';
import type { RequestScope } from '#shared/context.ts';
import { PlatformError } from '#shared/errors.ts';
import { newId } from '#shared/ids.ts';
import { seated } from './admission.ts';
import { participantEvent } from './events.ts';
import { askToLetIn } from './joinConfirms.ts';
import { changeNotifications } from './notificationPreferences.ts';
import type { Members, ParticipantOutcome } from './participantGroup.ts';
import type { ParticipantPatch } from './participantInput.ts';
import { permissionsOf, requireAdmissible, requireMayAdmit, waitsForPlace } from './participantRules.ts';
import type { ContextParticipantRow, ContextRow } from './rows.ts';
import { nowText, requireOwnerOr } from './rules.ts';

/** What joins, as it was asked for. */
export type NewParticipant = Pick<
  ContextParticipantRow,
  'agentId' | 'type' | 'displayName' | 'roles' | 'capabilities' | 'maxConcurrentTasks' | 'timeoutMs' | 'notifications'
>;

/** Somebody who acts on a context of which no more than so many may be part. */
interface Acting {
  readonly scope: RequestScope;
  readonly context: ContextRow;
  readonly limit: number;
}

/** Lets in, also who had asked to join. @throws {CONTEXT_FULL} {PARTICIPANT_ALREADY_EXISTS} {VALIDATION_FAILED} {INVALID_STATE} */
export function admit({ scope, context, limit }: Acting, members: Members, input: NewParticipant): ParticipantOutcome {
  const present = members.presentAs(input.agentId);
  requireAdmissible(context, input, { present, limit });
  const participant: ContextParticipantRow = {
    ...newcomer(context, input, 'ACTIVE'),
    // Who had asked to join is let in as that.
    ...(present === undefined ? {} : { id: present.id, version: present.version + 1 }),
  };
  const event = participantEvent('context.participant.joined', participant);
  const detail = { agentId: input.agentId, by: scope.principal.subject };
  return { participant, told: { event, audit: auditOf('add', participant, detail) } };
}

/**
 * A request to join: it takes no place, and shows nothing that was not to be seen before.
 * @throws {QUOTA_EXCEEDED} where as many ask already as may. {PARTICIPANT_ALREADY_EXISTS} {VALIDATION_FAILED} {INVALID_STATE}
 */
export function requestToJoin(
  { scope, context, requestLimit }: Acting & { readonly requestLimit: number },
  members: Members,
  input: NewParticipant,
): ParticipantOutcome {
  const present = members.presentAs(input.agentId);
  if (present?.status === 'JOINING') return { participant: present, told: null };
  if (members.waiting >= requestLimit)
    throw new PlatformError(
      'QUOTA_EXCEEDED',
      `${members.waiting} ask to join the context, of at most ${requestLimit}`,
      {
        details: { limit: requestLimit, used: members.waiting },
      },
    );
  requireAdmissible(context, input, { present, limit: Number.POSITIVE_INFINITY });
  const participant = newcomer(context, input, 'JOINING');
  const event = participantEvent('context.participant.requested', participant);
  const detail = { agentId: input.agentId, by: scope.principal.subject };
  const asks = askToLetIn(context, participant);
  return { participant, told: { event, audit: auditOf('request', participant, detail), asks } };
}

/** Lets in who asks to join, as it asked. @throws {CONTEXT_FULL} {VALIDATION_FAILED} {INVALID_STATE} */
export function approve(
  { scope: { principal }, context, limit }: Acting,
  before: ContextParticipantRow,
): ParticipantOutcome {
  requireMayAdmit(context, principal);
  requireAdmissible(context, before, { present: undefined, limit });
  const participant = seated(context, before);
  const event = participantEvent('context.participant.joined', participant);
  const detail = { agentId: before.agentId, by: principal.subject };
  return { participant, told: { event, audit: auditOf('approve', participant, detail) } };
}

/**
 * The same of one that no second answer comes to: where there is no place it waits, and is in once one comes free.
 * @throws {VALIDATION_FAILED} {INVALID_STATE} {PERMISSION_DENIED}
 */
export function approveOrKeep(acting: Acting, before: ContextParticipantRow): ParticipantOutcome {
  const { context, limit } = acting;
  const { principal } = acting.scope;
  if (context.participantCount < limit) return approve(acting, before);
  requireMayAdmit(context, principal);
  requireAdmissible(context, before, { present: undefined, limit: Number.POSITIVE_INFINITY });
  if (waitsForPlace(before)) return { participant: before, told: null };
  const participant: ContextParticipantRow = {
    ...before,
    ...{ approvedBy: principal.subject, approvedAt: nowText(), version: before.version + 1 },
  };
  const event = participantEvent('context.participant.approved', participant, 'CONTEXT_FULL');
  const detail = { agentId: before.agentId, by: principal.subject, waitsFor: 'PLACE' };
  return { participant, told: { event, audit: auditOf('approve', participant, detail) } };
}

function newcomer(context: ContextRow, input: NewParticipant, status: 'ACTIVE' | 'JOINING'): ContextParticipantRow {
  const at = nowText();
  return {
    ...input,
    ...{ tenantId: context.tenantId, id: newId(), contextId: context.id, status },
    permissions: status === 'ACTIVE' ? permissionsOf(context, input.agentId, input.roles) : [],
    ...{ joinedAt: at, leftAt: null, lastActivityAt: at, approvedBy: null, approvedAt: null, version: 1 },
  };
}

/**
 * Roles open what a context requires them for, so nobody hands them out but its owner and administrators; an agent
 * brings those of its own token.
 * @throws {PERMISSION_DENIED}
 */
export function requireMayGrant(
  { principal }: RequestScope,
  context: ContextRow,
  agentId: string,
  roles: readonly string[],
): void {
  if (agentId === principal.subject && roles.every((role) => principal.roles.includes(role))) return;
  if (roles.length > 0) requireOwnerOr(context, principal, 'context:admin');
}

export function requireParticipant(members: Members, participantId: string): ContextParticipantRow {
  const participant = members.byId(participantId);
  if (!participant)
    throw new PlatformError('PARTICIPANT_NOT_FOUND', 'no such participant in this context', {
      path: ['participantId'],
    });
  return participant;
}

/** Leaves, or takes a request to join from the list: whoever asks does that, and who would let in. */
export function depart(
  scope: RequestScope,
  context: ContextRow,
  { before, reason }: { readonly before: ContextParticipantRow; readonly reason: string | null },
): ParticipantOutcome {
  if (before.status === 'LEFT') return { participant: before, told: null };
  const isRequest = before.status === 'JOINING';
  if (isRequest && before.agentId !== scope.principal.subject) requireMayAdmit(context, scope.principal);
  const at = nowText();
  const participant: ContextParticipantRow = {
    ...before,
    status: 'LEFT',
    leftAt: at,
    lastActivityAt: before.agentId === scope.principal.subject ? at : before.lastActivityAt,
    version: before.version + 1,
  };
  const event = participantEvent(`context.participant.${isRequest ? 'refused' : 'left'}`, participant, reason);
  const audit = auditOf(isRequest ? 'refuse' : 'remove', participant, { reason });
  return { participant, told: { event, audit } };
}

export function patchParticipant(
  scope: RequestScope,
  context: ContextRow,
  before: ContextParticipantRow,
  patch: ParticipantPatch,
): ParticipantOutcome {
  const roles = patch.roles === undefined ? before.roles : (patch.roles ?? []);
  const patched: ContextParticipantRow = {
    ...before,
    displayName: patch.displayName === undefined ? before.displayName : patch.displayName,
    status: patch.status ?? before.status,
    roles,
    permissions: patch.roles === undefined ? before.permissions : permissionsOf(context, before.agentId, roles),
    capabilities: patch.capabilities === undefined ? before.capabilities : (patch.capabilities ?? []),
    maxConcurrentTasks: patch.maxConcurrentTasks ?? before.maxConcurrentTasks,
    timeoutMs: patch.timeoutMs ?? before.timeoutMs,
    notifications:
      patch.notifications === undefined
        ? before.notifications
        : changeNotifications(patch.notifications === null ? null : before.notifications, patch.notifications),
  };
  const changed = (Object.keys(patched) as (keyof ContextParticipantRow)[]).filter(
    (field) => !isDeepStrictEqual(patched[field], before[field]),
  );
  if (changed.length === 0) return { participant: before, told: null };
  const participant: ContextParticipantRow = {
    ...patched,
    lastActivityAt: before.agentId === scope.principal.subject ? nowText() : before.lastActivityAt,
    version: before.version + 1,
  };
  const event = participantEvent('context.participant.updated', participant);
  return { participant, told: { event, audit: auditOf('update', participant, { changed }) } };
}

function auditOf(what: string, { id, contextId }: ContextParticipantRow, detail: Readonly<Record<string, unknown>>) {
  return {
    action: `context.participant.${what}`,
    resource: 'ContextParticipant',
    resourceId: id,
    detail: { contextId, ...detail },
  };
}
