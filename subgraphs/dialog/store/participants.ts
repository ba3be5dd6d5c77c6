import { createKeyedReader, type KeyedReader } from '#shared/keyedReader.ts';
import type { Sql, SqlTransaction } from '#shared/sql.ts';
import { type ColumnSpec, defineRecord } from '../record.ts';
import type { CursorRow, DialogParticipantRow } from '../rows.ts';
import type { DialogKey } from './dialogs.ts';

const columns: readonly ColumnSpec<DialogParticipantRow>[] = [
  ['tenant_id', 'tenantId', 'text'],
  ['id', 'id', 'uuid'],
  ['dialog_id', 'dialogId', 'uuid'],
  ['subject', 'subject', 'text'],
  ['identity', 'identity', 'text'],
  ['anonymous', 'anonymous', 'boolean'],
  ['type', 'type', 'text'],
  ['display_name', 'displayName', 'text'],
  ['role', 'role', 'text'],
  ['permissions', 'permissions', 'text[]'],
  ['status', 'status', 'text'],
  ['capabilities', 'capabilities', 'text[]'],
  ['notifications', 'notifications', 'jsonb'],
  ['availability', 'availability', 'jsonb'],
  ['timezone', 'timezone', 'text'],
  ['spans', 'spans', 'jsonb'],
  ['invited_by', 'invitedBy', 'text'],
  ['status_reason', 'statusReason', 'text'],
  ['invited_at', 'invitedAt', 'timestamptz'],
  ['joined_at', 'joinedAt', 'timestamptz'],
  ['left_at', 'leftAt', 'timestamptz'],
  ['version', 'version', 'int'],
  ['created_at', 'createdAt', 'timestamptz'],
  ['updated_at', 'updatedAt', 'timestamptz'],
];

export const participantRecord = defineRecord(columns);
export const participantColumns = participantRecord.select('p');

const upsertText = `
INSERT INTO dialog.participant AS p (${participantRecord.names})
SELECT ${participantRecord.from('i')} FROM json_to_recordset($1::text::json) AS i(${participantRecord.recordset}) ORDER BY i.ord
ON CONFLICT (tenant_id, id) DO UPDATE SET ${participantRecord.assignments(2)}`;

/** Cursors of whoever joins: what was said before counts as received. */
const cursorText = `
INSERT INTO dialog.participant_cursor AS c (tenant_id, dialog_id, participant_id, delivered_upto, read_upto)
SELECT tenant_id, dialog_id, participant_id, upto, upto
FROM json_to_recordset($1::text::json) AS i(tenant_id text, dialog_id uuid, participant_id uuid, upto bigint)
ON CONFLICT (tenant_id, dialog_id, participant_id) DO UPDATE
SET delivered_upto = GREATEST(c.delivered_upto, EXCLUDED.delivered_upto), read_upto = GREATEST(c.read_upto, EXCLUDED.read_upto)`;

export interface CursorStart {
  readonly tenantId: string;
  readonly dialogId: string;
  readonly participantId: string;
  /** Last sequence before it joined; 0 where the history is shown. */
  readonly upto: number;
}

export function upsertParticipants(tx: SqlTransaction, rows: readonly DialogParticipantRow[]) {
  // An identity is given up by one part before another takes it.
  const ordered = rows.toSorted((a, b) => Number(a.identity !== null) - Number(b.identity !== null));
  return tx.unsafe(upsertText, [JSON.stringify(ordered.map(participantRecord.toRecord))], { prepare: true });
}

export function startCursors(tx: SqlTransaction, starts: readonly CursorStart[]) {
  const records = starts.map((start) => ({
    tenant_id: start.tenantId,
    dialog_id: start.dialogId,
    participant_id: start.participantId,
    upto: start.upto,
  }));
  return tx.unsafe(cursorText, [JSON.stringify(records)], { prepare: true });
}

const ofDialogsText = `
SELECT ${participantColumns} FROM unnest($1::text[], $2::uuid[]) AS k(tenant_id, dialog_id)
JOIN dialog.participant p USING (tenant_id, dialog_id) ORDER BY p.ordinal`;

/** Everyone who ever took part, oldest first. */
export async function findParticipantsOf(
  sql: Sql | SqlTransaction,
  keys: readonly DialogKey[],
): Promise<readonly DialogParticipantRow[]> {
  return (await sql.unsafe(ofDialogsText, [keys.map((key) => key.tenantId), keys.map((key) => key.dialogId)], {
    prepare: true,
  })) as unknown as DialogParticipantRow[];
}

const bySubjectText = `
SELECT ${participantColumns} FROM unnest($1::text[], $2::uuid[], $3::text[]) AS k(tenant_id, dialog_id, identity)
JOIN dialog.participant p USING (tenant_id, dialog_id, identity)`;

/** The parts through which these principals act. */
export async function findParticipantsBySubject(
  sql: Sql | SqlTransaction,
  keys: readonly (DialogKey & { readonly subject: string })[],
): Promise<readonly DialogParticipantRow[]> {
  return (await sql.unsafe(
    bySubjectText,
    [keys.map((key) => key.tenantId), keys.map((key) => key.dialogId), keys.map((key) => key.subject)],
    { prepare: true },
  )) as unknown as DialogParticipantRow[];
}

const bySubjectKeyText = `
SELECT k.ord::int, ${participantColumns} FROM unnest($1::text[], $2::uuid[], $3::text[]) WITH ORDINALITY AS k(tenant_id, dialog_id, identity, ord)
JOIN dialog.participant p ON p.tenant_id = k.tenant_id AND p.dialog_id = k.dialog_id AND p.identity = k.identity`;

/** As `findParticipantsBySubject`, for concurrent requests together. */
export function createParticipantReader(
  sql: Sql,
): KeyedReader<DialogKey & { readonly subject: string }, DialogParticipantRow> {
  return createKeyedReader(sql, {
    text: bySubjectKeyText,
    parametersOf: (keys) => [
      keys.map((key) => key.tenantId),
      keys.map((key) => key.dialogId),
      keys.map((key) => key.subject),
    ],
  });
}

const byIdText = `SELECT ${participantColumns} FROM dialog.participant p WHERE p.tenant_id = $1 AND p.id = ANY($2::uuid[])`;

export async function findParticipants(
  sql: Sql | SqlTransaction,
  tenantId: string,
  ids: readonly string[],
): Promise<readonly DialogParticipantRow[]> {
  return (await sql.unsafe(byIdText, [tenantId, ids as string[]], {
    prepare: true,
  })) as unknown as DialogParticipantRow[];
}

const cursorsText = `
SELECT c.participant_id AS "participantId", c.dialog_id AS "dialogId", c.delivered_upto AS "deliveredUpto",
  to_char(c.delivered_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS "deliveredAt", c.read_upto AS "readUpto",
  to_char(c.read_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS "readAt"
FROM dialog.participant_cursor c WHERE c.tenant_id = $1 AND c.dialog_id = ANY($2::uuid[])`;

/** How far the participants of these dialogs have received and read. */
export async function findCursorsOf(
  sql: Sql | SqlTransaction,
  tenantId: string,
  dialogIds: readonly string[],
): Promise<readonly CursorRow[]> {
  return (await sql.unsafe(cursorsText, [tenantId, dialogIds as string[]], {
    prepare: true,
  })) as unknown as CursorRow[];
}
