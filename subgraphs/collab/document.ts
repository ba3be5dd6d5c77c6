import type { CollabRow, ParticipantRow } from './rows.ts';

const protocolVersion = '1.0.0';
const schemaVersion = '1.0.0';

/** The frozen MPLP form: snake_case, unset optionals absent, imported date-times to the letter. Those who left are not in it. */
export function toDocument(row: CollabRow, participants: readonly ParticipantRow[]): Record<string, unknown> {
  const kept = row.protocol ?? {};
  const document: Record<string, unknown> = {
    meta: kept['meta'] ?? {
      protocol_version: protocolVersion,
      schema_version: schemaVersion,
      created_at: row.createdAt,
      created_by: row.createdBy,
      updated_at: row.updatedAt,
      updated_by: row.updatedBy,
    },
    collab_id: row.id,
    context_id: row.contextId,
    title: row.title,
    purpose: row.purpose,
    mode: row.mode,
    status: row.status,
    participants: [...participants]
      .filter(({ leftAt }) => leftAt === null)
      .sort((one, other) => one.position - other.position)
      .map(({ participantId, kind, roleId, displayName }) => ({
        participant_id: participantId,
        ...(roleId === null ? {} : { role_id: roleId }),
        kind,
        ...(displayName === null ? {} : { display_name: displayName }),
      })),
    created_at: kept['createdAt'] ?? row.createdAt,
  };
  if (row.governance) document['governance'] = row.governance;
  const updatedAt = kept['imported'] === true && row.version === 1 ? kept['updatedAt'] : row.updatedAt;
  if (updatedAt !== undefined) document['updated_at'] = updatedAt;
  if (kept['trace'] !== undefined) document['trace'] = kept['trace'];
  if (kept['events'] !== undefined) document['events'] = kept['events'];
  return document;
}
