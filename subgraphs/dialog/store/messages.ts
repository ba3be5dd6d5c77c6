import type { Sql, SqlTransaction } from '#shared/sql.ts';
import { type ColumnSpec, defineRecord } from '../record.ts';
import type { MessageRow } from '../rows.ts';

const columns: readonly ColumnSpec<MessageRow>[] = [
  ['tenant_id', 'tenantId', 'text'],
  ['id', 'id', 'uuid'],
  ['dialog_id', 'dialogId', 'uuid'],
  ['thread_id', 'threadId', 'uuid'],
  ['sequence', 'sequence', 'bigint'],
  ['sender_id', 'senderId', 'uuid'],
  ['sender_subject', 'senderSubject', 'text'],
  ['sender_type', 'senderType', 'text'],
  ['role', 'role', 'text'],
  ['type', 'type', 'text'],
  ['text', 'text', 'text'],
  ['structured_data', 'structuredData', 'jsonb'],
  ['mentions', 'mentions', 'uuid[]'],
  ['hashtags', 'hashtags', 'text[]'],
  ['language', 'language', 'text'],
  ['reply_to', 'replyTo', 'uuid'],
  ['topic', 'topic', 'text'],
  ['priority', 'priority', 'text'],
  ['requires_response', 'requiresResponse', 'boolean'],
  ['response_deadline', 'responseDeadline', 'timestamptz'],
  ['recipients', 'recipients', 'uuid[]'],
  ['recipient_count', 'recipientCount', 'int'],
  ['attachments', 'attachments', 'jsonb'],
  ['reactions', 'reactions', 'jsonb'],
  ['ai_processing', 'aiProcessing', 'jsonb'],
  ['client_message_id', 'clientMessageId', 'text'],
  ['protocol', 'protocol', 'jsonb'],
  ['revision', 'revision', 'int'],
  ['created_at', 'createdAt', 'timestamptz'],
  ['edited_at', 'editedAt', 'timestamptz'],
  ['deleted_at', 'deletedAt', 'timestamptz'],
  ['deleted_by', 'deletedBy', 'text'],
];

export const messageRecord = defineRecord(columns);
export const messageColumns = messageRecord.select('m');

/** A vector holds 1 MB at most, and nobody searches for the end of a log. */
export const searchVector = (alias: string) =>
  `to_tsvector('simple', left(coalesce(${alias}.topic || ' ', '') || coalesce(${alias}.text, ''), 65536))`;

/** For a WITH list or by itself: inserts the messages of the JSON parameter. */
export const insertMessagesClause = (parameter: string) => `
INSERT INTO dialog.message (${messageRecord.names}, search)
SELECT ${messageRecord.from('i')}, ${searchVector('i')}
FROM json_to_recordset(${parameter}::text::json) AS i(${messageRecord.recordset}) ORDER BY i.ord`;

export function messageRecords(rows: readonly MessageRow[]): Record<string, unknown>[] {
  return rows.map(messageRecord.toRecord);
}

export async function insertMessages(tx: SqlTransaction, rows: readonly MessageRow[]): Promise<void> {
  await tx.unsafe(insertMessagesClause('$1'), [JSON.stringify(messageRecords(rows))], { prepare: true });
}

const byIdText = `SELECT ${messageColumns} FROM dialog.message m WHERE m.tenant_id = $1 AND m.id = ANY($2::uuid[])`;

/** Messages of one tenant by id, whoever may see them. */
export async function findMessages(
  sql: Sql | SqlTransaction,
  tenantId: string,
  ids: readonly string[],
): Promise<readonly MessageRow[]> {
  return (await sql.unsafe(byIdText, [tenantId, ids as string[]], { prepare: true })) as unknown as MessageRow[];
}

const updateText = `
UPDATE dialog.message m SET text = i.text, structured_data = i.structured_data, mentions = i.mentions, hashtags = i.hashtags,
  language = i.language, topic = i.topic, attachments = i.attachments, reactions = i.reactions, protocol = i.protocol, revision = i.revision,
  edited_at = i.edited_at, deleted_at = i.deleted_at, deleted_by = i.deleted_by, search = ${searchVector('i')}
FROM json_to_recordset($1::text::json) AS i(${messageRecord.recordset})
WHERE m.tenant_id = i.tenant_id AND m.id = i.id AND m.created_at = i.created_at`;

/** Writes what may change of a message. */
export async function updateMessages(tx: SqlTransaction, rows: readonly MessageRow[]): Promise<void> {
  await tx.unsafe(updateText, [JSON.stringify(messageRecords(rows))], { prepare: true });
}
