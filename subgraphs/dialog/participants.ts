import { newId } from '#shared/ids.ts';
import type { Principal } from '#shared/principal.ts';
import type { ParticipantInput } from './inputs.ts';
import { availabilityOf, changeNotifications } from './preferences.ts';
import { rolePermissions } from './rights.ts';
import type { DialogParticipantRow, DialogStateRecord, ParticipantPermission } from './rows.ts';
import type { CursorStart } from './store/participants.ts';
import { closeSpan, openSpan } from './visibility.ts';

export function participantTypeOf(principal: Principal): DialogParticipantRow['type'] {
  if (principal.subjectType === 'human') return 'HUMAN';
  return principal.subjectType === 'service' ? 'SYSTEM' : 'AI_AGENT';
}

export interface NewParticipant {
  readonly tenantId: string;
  readonly dialogId: string;
  readonly invitedBy: string | null;
  readonly at: string;
  /** Last message before it takes part. */
  readonly lastSequence: number;
  /** Others see a pseudonym instead of the subject. */
  readonly anonymous?: boolean;
}

/** The part through which a principal acts. */
export function ownPart(
  participants: readonly DialogParticipantRow[],
  principal: Principal,
): DialogParticipantRow | null {
  return participants.find((row) => row.identity === principal.subject) ?? null;
}

/** What others are told of who did something. */
export function shownSubject(principal: Principal, participant: DialogParticipantRow | null | undefined): string {
  return participant?.subject ?? principal.subject;
}

/**
 * Lets who gave up an anonymous part act through another one. What was heard under the pseudonym stays readable, and
 * nothing connects the two any more.
 */
export function handOver(
  from: DialogParticipantRow,
  to: DialogParticipantRow,
): readonly [from: DialogParticipantRow, to: DialogParticipantRow] {
  const kept = from.status === 'REMOVED' ? [] : from.spans;
  return [
    { ...from, identity: null },
    { ...to, identity: from.identity, spans: [...kept, ...to.spans] },
  ];
}

const reads = (permissions: readonly ParticipantPermission[]) => permissions.includes('READ');

/** With other permissions: what is said while it may not read is none of its stays, as when it is away. */
export function permitted(
  row: DialogParticipantRow,
  permissions: readonly ParticipantPermission[],
  lastSequence: number,
): DialogParticipantRow {
  if (row.status !== 'ACTIVE' || reads(row.permissions) === reads(permissions)) return { ...row, permissions };
  const closed = closeSpan(row.spans, lastSequence);
  return { ...row, permissions, spans: reads(permissions) ? openSpan(closed, lastSequence) : closed };
}

/** Someone who has not taken part before: active, or invited where the input says so. */
export function newParticipant(
  input: ParticipantInput,
  { tenantId, dialogId, invitedBy, at, lastSequence, anonymous = false }: NewParticipant,
): DialogParticipantRow {
  const role = input.role ?? 'CONTRIBUTOR';
  const permissions = [...new Set(input.permissions ?? rolePermissions[role])];
  const invited = input.invited === true;
  const pseudonym = anonymous ? newId() : null;
  return {
    tenantId,
    id: newId(),
    dialogId,
    subject: pseudonym === null ? input.subject : `anonymous:${pseudonym}`,
    identity: input.subject,
    anonymous,
    type: input.type ?? 'AI_AGENT',
    displayName: input.displayName ?? null,
    role,
    permissions,
    status: invited ? 'INVITED' : 'ACTIVE',
    capabilities: input.capabilities ?? [],
    notifications: changeNotifications(null, input.notifications),
    availability: availabilityOf(input.availability),
    timezone: input.timezone ?? null,
    spans: invited || !reads(permissions) ? [] : openSpan([], lastSequence),
    invitedBy,
    statusReason: null,
    invitedAt: invited ? at : null,
    joinedAt: invited ? null : at,
    leftAt: null,
    version: 1,
    createdAt: at,
    updatedAt: at,
  };
}

export function joined(row: DialogParticipantRow, lastSequence: number, at: string): DialogParticipantRow {
  return {
    ...row,
    status: 'ACTIVE',
    spans: reads(row.permissions) ? openSpan(row.spans, lastSequence) : row.spans,
    joinedAt: at,
    leftAt: null,
    statusReason: null,
    version: row.version + 1,
    updatedAt: at,
  };
}

export function gone(
  row: DialogParticipantRow,
  status: 'LEFT' | 'REMOVED',
  options: { readonly reason: string | null; readonly lastSequence: number; readonly at: string },
): DialogParticipantRow {
  const { reason, lastSequence, at } = options;
  return {
    ...row,
    status,
    spans: closeSpan(row.spans, lastSequence),
    leftAt: at,
    statusReason: reason,
    version: row.version + 1,
    updatedAt: at,
  };
}

/** What it missed before joining waits for nobody, unless the dialog shows its history. */
export function cursorStart(row: DialogParticipantRow, state: DialogStateRecord, showHistory: boolean): CursorStart {
  return {
    tenantId: row.tenantId,
    dialogId: row.dialogId,
    participantId: row.id,
    upto: showHistory ? 0 : state.lastSequence,
  };
}
