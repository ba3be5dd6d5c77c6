import type { ContextRow } from './rows.ts';

const protocolVersion = '1.0.0';
const schemaVersion = '1.0.0';

/** The frozen MPLP form: snake_case, unset optionals absent, imported date-times to the letter. */
export function toDocument(row: ContextRow): Record<string, unknown> {
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
    context_id: row.id,
    root: row.root,
    title: row.title,
    status: row.status,
  };
  if (row.governance) document['governance'] = row.governance;
  if (row.summary !== null) document['summary'] = row.summary;
  if (row.tags.length > 0 || kept.hasTags) document['tags'] = row.tags;
  if (row.language !== null) document['language'] = row.language;
  if (row.ownerRole !== null) document['owner_role'] = row.ownerRole;
  if (row.constraints !== null) document['constraints'] = row.constraints;
  const createdAt = imported ? kept.createdAt : row.createdAt;
  const updatedAt = imported ? kept.updatedAt : row.updatedAt;
  if (createdAt !== undefined) document['created_at'] = createdAt;
  if (updatedAt !== undefined) document['updated_at'] = updatedAt;
  if (kept.trace !== undefined) document['trace'] = kept.trace;
  if (kept.events !== undefined) document['events'] = kept.events;
  return document;
}
