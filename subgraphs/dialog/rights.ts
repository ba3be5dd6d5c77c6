import { PlatformError } from '#shared/errors.ts';
import type { Principal } from '#shared/principal.ts';
import { holds } from '#shared/rights.ts';
import type {
  DialogConfigurationValue,
  DialogParticipantRow,
  DialogRecord,
  ParticipantPermission,
  ParticipantRole,
} from './rows.ts';

const contributor: readonly ParticipantPermission[] = [
  'READ',
  'WRITE',
  'INITIATE_TOPICS',
  'ATTACH_DOCUMENTS',
  'SUGGEST',
  'ANALYZE',
  'SUMMARIZE',
];

/** What a role brings where no permissions are named. */
export const rolePermissions: Readonly<Record<ParticipantRole, readonly ParticipantPermission[]>> = {
  REQUESTER: [...contributor, 'REQUEST_CHANGES'],
  APPROVER: [...contributor, 'APPROVE', 'REJECT', 'REQUEST_CHANGES'],
  FACILITATOR: contributor,
  CONTRIBUTOR: contributor,
  REVIEWER: [...contributor, 'REQUEST_CHANGES'],
  MODERATOR: [...contributor, 'APPROVE', 'REJECT', 'REQUEST_CHANGES', 'MODERATE'],
  OBSERVER: ['READ'],
};

/** Each of them shows a dialog, and every message in it, to who takes no part in it. */
export const observing: readonly string[] = ['dialog:observe', 'dialog:moderate', 'dialog:admin'];

export type DialogPlace = Pick<DialogRecord, 'id' | 'contextId'>;

/** Whether the principal has the permission on the dialog: by its token, or by a role in the context it belongs to. */
export function holdsOn({ id, contextId }: DialogPlace, principal: Principal, permission: string): boolean {
  return holds(principal, permission, { type: 'Dialog', id, contextId });
}

export function observes(dialog: DialogPlace, principal: Principal): boolean {
  return observing.some((permission) => holdsOn(dialog, principal, permission));
}

export function isActive<Participant extends Pick<DialogParticipantRow, 'status'>>(
  participant: Participant | null | undefined,
): participant is Participant {
  return participant?.status === 'ACTIVE';
}

export function may(participant: DialogParticipantRow | null | undefined, permission: ParticipantPermission): boolean {
  return isActive(participant) && participant.permissions.includes(permission);
}

/** @throws {PERMISSION_DENIED} unless who takes part holds it. */
export function requirePermission(
  participant: DialogParticipantRow | null | undefined,
  permission: ParticipantPermission,
  path?: readonly string[],
): void {
  if (may(participant, permission)) return;
  throw new PlatformError('PERMISSION_DENIED', `the caller takes part without the permission ${permission}`, {
    ...(path === undefined ? {} : { path }),
    details: { permission },
  });
}

/** Creator, active moderator of the dialog, or the tenant's own moderators. */
export function moderates(
  dialog: DialogRecord,
  principal: Principal,
  participant: DialogParticipantRow | null | undefined,
): boolean {
  return (
    dialog.createdBy === principal.subject ||
    may(participant, 'MODERATE') ||
    holdsOn(dialog, principal, 'dialog:moderate') ||
    holdsOn(dialog, principal, 'dialog:admin')
  );
}

/** @throws {PERMISSION_DENIED} */
export function requireModerator(
  dialog: DialogRecord,
  principal: Principal,
  participant: DialogParticipantRow | null | undefined,
): void {
  if (!moderates(dialog, principal, participant)) {
    throw new PlatformError(
      'PERMISSION_DENIED',
      "only the dialog's creator, its moderators or dialog:moderate may do this",
      {
        details: { permission: 'dialog:moderate' },
      },
    );
  }
}

/** Who sees that the dialog is there. */
export function seesDialog(
  dialog: Pick<DialogRecord, 'createdBy' | 'id' | 'contextId'> & {
    readonly configuration: Pick<DialogConfigurationValue, 'visibility'>;
  },
  principal: Principal,
  participant: Pick<DialogParticipantRow, 'status'> | null | undefined,
): boolean {
  return (
    dialog.configuration.visibility === 'TENANT' ||
    dialog.createdBy === principal.subject ||
    (participant !== null && participant !== undefined && participant.status !== 'REMOVED') ||
    observes(dialog, principal)
  );
}

/** @throws {GOVERNANCE_LOCKED} */
export function requireUnlocked(dialog: DialogRecord): void {
  if (dialog.governance?.locked === true) {
    throw new PlatformError('GOVERNANCE_LOCKED', 'the dialog is locked by governance');
  }
}

export function notAParticipant(): PlatformError {
  return new PlatformError('NOT_A_PARTICIPANT', 'the caller takes no active part in this dialog');
}

export function unknownDialog(dialogId: string): PlatformError {
  return new PlatformError('NOT_FOUND', 'no such dialog', { path: ['dialogId'], details: { dialogId } });
}
