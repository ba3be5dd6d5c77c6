import type { NewAudit } from '#shared/outbox.ts';
import { requirePermission } from '../rights.ts';
import type { DialogParticipantRow, MessageRow, ParticipantPermission } from '../rows.ts';

/** What a message of type DECISION may say of something that was asked for, as `structuredData.decision`. */
const permissionOf: Readonly<Record<string, ParticipantPermission>> = {
  approved: 'APPROVE',
  rejected: 'REJECT',
  changes_requested: 'REQUEST_CHANGES',
};

/** Messages that put something forward for others to take up. */
const suggesting: readonly string[] = ['POLL', 'ACTION_ITEM'];

type Said = Pick<MessageRow, 'type'> & { readonly structuredData?: unknown };

function verdictOf({ type, structuredData }: Said): string | null {
  if (type !== 'DECISION' || typeof structuredData !== 'object' || structuredData === null) return null;
  const { decision } = structuredData as { readonly decision?: unknown };
  return typeof decision === 'string' && Object.hasOwn(permissionOf, decision) ? decision : null;
}

/**
 * @param path to the content
 * @throws {PERMISSION_DENIED} unless the participant may say so, beside that it may write.
 */
export function requireToSay(
  participant: DialogParticipantRow | null | undefined,
  said: Said,
  path: readonly string[],
): void {
  if (suggesting.includes(said.type)) requirePermission(participant, 'SUGGEST', path);
  const verdict = verdictOf(said);
  if (verdict !== null) requirePermission(participant, permissionOf[verdict]!, [...path, 'structuredData', 'decision']);
}

/** What the audit holds of a message beside that it was sent: that something was decided, and that it was approved. */
export function auditDecision(message: MessageRow): readonly NewAudit[] {
  if (message.type !== 'DECISION') return [];
  const verdict = verdictOf(message);
  const detail = {
    dialogId: message.dialogId,
    sequence: message.sequence,
    ...(message.replyTo === null ? {} : { replyTo: message.replyTo }),
    ...(verdict === null ? {} : { decision: verdict }),
  };
  const entry = { resource: 'Message', resourceId: message.id, detail };
  return [
    { action: 'dialog.makeDecision', ...entry },
    ...(verdict === 'approved' ? [{ action: 'dialog.giveApproval', ...entry }] : []),
  ];
}
