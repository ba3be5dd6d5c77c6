import type { DialogRow, MessageRow } from './rows.ts';

const protocolVersion = '1.0.0';
const schemaVersion = '1.0.0';

/** The frozen MPLP form: snake_case, unset optionals absent, imported date-times to the letter. */
export function toDocument(row: DialogRow, messages: readonly MessageRow[]): Record<string, unknown> {
  const kept = row.protocol ?? {};
  const imported = kept.imported === true;
  const document: Record<string, unknown> = {
    meta: kept.meta ?? {
      protocol_version: protocolVersion,
      schema_version: schemaVersion,
      created_at: row.createdAt,
      created_by: row.createdBy,
      updated_at: row.updatedAt,
      updated_by: row.updatedBy,
    },
    dialog_id: row.id,
    context_id: row.contextId,
    status: row.status,
    messages: messages.map(toMessageDocument),
  };
  if (row.governance) document['governance'] = row.governance;
  if (row.threadId !== null) document['thread_id'] = row.threadId;
  const startedAt = imported ? kept.startedAt : row.startedAt;
  const endedAt = imported ? kept.endedAt : row.endedAt;
  if (startedAt != null) document['started_at'] = startedAt;
  if (endedAt != null) document['ended_at'] = endedAt;
  if (kept.trace !== undefined) document['trace'] = kept.trace;
  if (kept.events !== undefined) document['events'] = kept.events;
  return document;
}

/** Structured messages speak as JSON; a tombstone says nothing. */
function toMessageDocument(message: MessageRow): Record<string, unknown> {
  const content = message.text ?? (message.structuredData == null ? '' : JSON.stringify(message.structuredData));
  return {
    role: message.role,
    content,
    timestamp: message.protocol?.timestamp ?? message.createdAt,
    ...(message.protocol?.event === undefined ? {} : { event: message.protocol.event }),
  };
}
