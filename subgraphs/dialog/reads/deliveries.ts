import type { Sql } from '#shared/sql.ts';
import type { DeliveryValue, DialogConfigurationValue, DialogParticipantRow, MessageRow } from '../rows.ts';
import { findCursorsOf, findParticipantsOf } from '../store/participants.ts';
import { inSpans } from '../visibility.ts';

interface FollowedRow {
  messageId: string;
  participantId: string;
  status: DeliveryValue['status'];
  attempts: number;
  at: string;
}

const followedText = `
SELECT message_id AS "messageId", participant_id AS "participantId", status, attempts,
  to_char(updated_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS at
FROM dialog.delivery WHERE tenant_id = $1 AND dialog_id = ANY($2::uuid[]) AND message_id = ANY($3::uuid[])`;

const configurationText = 'SELECT id, configuration FROM dialog.dialog WHERE tenant_id = $1 AND id = ANY($2::uuid[])';

/**
 * Where each message stands with each of its recipients. Read and delivered come from the recipients' cursors; a followed
 * delivery adds its attempts and its end; what nobody received within the dialog's time has expired.
 */
export async function readDeliveries(
  sql: Sql,
  tenantId: string,
  messages: readonly MessageRow[],
  now = new Date(),
): Promise<readonly (readonly DeliveryValue[])[]> {
  const dialogIds = [...new Set(messages.map((message) => message.dialogId))];
  const [participants, cursors, followed, configurations] = await Promise.all([
    findParticipantsOf(
      sql,
      dialogIds.map((dialogId) => ({ tenantId, dialogId })),
    ),
    findCursorsOf(sql, tenantId, dialogIds),
    sql.unsafe(followedText, [tenantId, dialogIds, messages.map((message) => message.id)], {
      prepare: true,
    }) as unknown as Promise<FollowedRow[]>,
    sql.unsafe(configurationText, [tenantId, dialogIds], { prepare: true }) as unknown as Promise<
      { id: string; configuration: DialogConfigurationValue }[]
    >,
  ]);
  const members = Map.groupBy(participants, (row) => row.dialogId);
  const cursorOf = new Map(cursors.map((row) => [row.participantId, row]));
  const followedOf = new Map(followed.map((row) => [`${row.messageId}/${row.participantId}`, row]));
  const ttlMs = new Map(configurations.map((row) => [row.id, row.configuration.deliveryTtlMs]));
  return messages.map((message) => {
    const expiresMs = Date.parse(message.createdAt) + (ttlMs.get(message.dialogId) ?? Number.POSITIVE_INFINITY);
    return recipientsOf(message, members.get(message.dialogId) ?? []).map((participantId): DeliveryValue => {
      const cursor = cursorOf.get(participantId);
      const row = followedOf.get(`${message.id}/${participantId}`);
      const attempts = row?.attempts ?? 1;
      if (cursor && cursor.readUpto >= message.sequence)
        return { participantId, status: 'READ', attempts, at: cursor.readAt };
      if (cursor && cursor.deliveredUpto >= message.sequence)
        return {
          participantId,
          status: 'DELIVERED',
          attempts,
          at: row?.status === 'DELIVERED' ? row.at : cursor.deliveredAt,
        };
      if (row && row.status !== 'SENT' && row.status !== 'PENDING')
        return { participantId, status: row.status, attempts, at: row.at };
      if (expiresMs <= now.getTime())
        return { participantId, status: 'EXPIRED', attempts, at: new Date(expiresMs).toISOString() };
      return { participantId, status: 'SENT', attempts, at: null };
    });
  });
}

/** Explicit ones, else who was there when it was said. */
function recipientsOf(message: MessageRow, participants: readonly DialogParticipantRow[]): readonly string[] {
  if (message.recipients !== null) return message.recipients.filter((id) => id !== message.senderId);
  return participants
    .filter((row) => row.id !== message.senderId && inSpans(row.spans, message.sequence))
    .map((row) => row.id);
}
