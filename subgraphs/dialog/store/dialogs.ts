import { createKeyedReader, type KeyedReader } from '#shared/keyedReader.ts';
import type { Sql, SqlTransaction } from '#shared/sql.ts';
import { type ColumnSpec, defineRecord } from '../record.ts';
import type { DialogRecord, DialogRow, DialogStateRecord } from '../rows.ts';

const dialogColumns: readonly ColumnSpec<DialogRecord>[] = [
  ['tenant_id', 'tenantId', 'text'],
  ['id', 'id', 'uuid'],
  ['context_id', 'contextId', 'uuid'],
  ['thread_id', 'threadId', 'uuid'],
  ['status', 'status', 'text'],
  ['name', 'name', 'text'],
  ['type', 'type', 'text'],
  ['category', 'category', 'text'],
  ['description', 'description', 'text'],
  ['tags', 'tags', 'text[]'],
  ['configuration', 'configuration', 'jsonb'],
  ['workflow', 'workflow', 'jsonb'],
  ['flow', 'flow', 'jsonb'],
  ['flow_state', 'flowState', 'text'],
  ['turn_order', 'turnOrder', 'uuid[]'],
  ['governance', 'governance', 'jsonb'],
  ['protocol', 'protocol', 'jsonb'],
  ['participant_count', 'participantCount', 'int'],
  ['paused_by', 'pausedBy', 'text'],
  ['status_reason', 'statusReason', 'text'],
  ['retention_days', 'retentionDays', 'int'],
  ['kept_from', 'keptFrom', 'bigint'],
  ['revision', 'revision', 'int'],
  ['started_at', 'startedAt', 'timestamptz'],
  ['ended_at', 'endedAt', 'timestamptz'],
  ['archived_at', 'archivedAt', 'timestamptz'],
  ['next_check_at', 'nextCheckAt', 'timestamptz'],
  ['created_at', 'createdAt', 'timestamptz'],
  ['created_by', 'createdBy', 'text'],
  ['updated_at', 'updatedAt', 'timestamptz'],
  ['updated_by', 'updatedBy', 'text'],
];

const stateColumns: readonly ColumnSpec<DialogStateRecord>[] = [
  ['tenant_id', 'tenantId', 'text'],
  ['dialog_id', 'dialogId', 'uuid'],
  ['last_sequence', 'lastSequence', 'bigint'],
  ['message_count', 'messageCount', 'int'],
  ['active_count', 'activeCount', 'int'],
  ['last_message_at', 'lastMessageAt', 'timestamptz'],
  ['last_sender_type', 'lastSenderType', 'text'],
  ['last_activity_at', 'lastActivityAt', 'timestamptz'],
  ['window_started_at', 'windowStartedAt', 'timestamptz'],
  ['window_count', 'windowCount', 'int'],
  ['current_turn', 'currentTurn', 'uuid'],
  ['turn_started_at', 'turnStartedAt', 'timestamptz'],
  ['analysis_queued_at', 'analysisQueuedAt', 'timestamptz'],
  ['analyzed_upto', 'analyzedUpto', 'bigint'],
];

const shownState = new Set([
  'lastSequence',
  'messageCount',
  'activeCount',
  'lastMessageAt',
  'lastActivityAt',
  'currentTurn',
  'turnStartedAt',
]);

export const dialogRecord = defineRecord(dialogColumns);
export const stateRecord = defineRecord(stateColumns);
const shownStateRecord = defineRecord(stateColumns.filter(([, name]) => shownState.has(name)));

/** Select list of a DialogRow over `dialog.dialog d JOIN dialog.dialog_state s`. */
export const dialogRowColumns = `${dialogRecord.select('d')}, ${shownStateRecord.select('s')}`;
export const dialogJoin =
  'dialog.dialog d JOIN dialog.dialog_state s ON s.tenant_id = d.tenant_id AND s.dialog_id = d.id';

export interface DialogKey {
  readonly tenantId: string;
  readonly dialogId: string;
}

export function keyOf({ tenantId, dialogId }: DialogKey): string {
  return `${tenantId}/${dialogId}`;
}

const lockText = `
SELECT ${stateRecord.select('s')} FROM unnest($1::text[], $2::uuid[]) AS k(tenant_id, dialog_id)
JOIN dialog.dialog_state s USING (tenant_id, dialog_id) ORDER BY s.tenant_id, s.dialog_id FOR UPDATE OF s`;

const readText = `
SELECT ${dialogRecord.select('d')} FROM unnest($1::text[], $2::uuid[]) AS k(tenant_id, id)
JOIN dialog.dialog d USING (tenant_id, id)`;

/**
 * Locks dialogs in id order and reads them. Two statements sent together: the second sees what the transaction before
 * us committed, which a join under the lock would not.
 */
export async function lockDialogs(
  tx: SqlTransaction,
  keys: readonly DialogKey[],
): Promise<{ readonly states: Map<string, DialogStateRecord>; readonly dialogs: Map<string, DialogRecord> }> {
  const unique = [...new Map(keys.map((key) => [keyOf(key), key])).values()];
  const parameters = [unique.map((key) => key.tenantId), unique.map((key) => key.dialogId)];
  const [states, dialogs] = (await Promise.all([
    tx.unsafe(lockText, parameters, { prepare: true }),
    tx.unsafe(readText, parameters, { prepare: true }),
  ])) as unknown as [DialogStateRecord[], DialogRecord[]];
  return {
    states: new Map(states.map((row) => [keyOf(row), row])),
    dialogs: new Map(dialogs.map((row) => [keyOf({ tenantId: row.tenantId, dialogId: row.id }), row])),
  };
}

const upsertDialogText = `
INSERT INTO dialog.dialog AS d (${dialogRecord.names})
SELECT ${dialogRecord.from('i')} FROM json_to_recordset($1::text::json) AS i(${dialogRecord.recordset}) ORDER BY i.ord
ON CONFLICT (tenant_id, id) DO UPDATE SET ${dialogRecord.assignments(2)}`;

const upsertStateText = `
INSERT INTO dialog.dialog_state AS s (${stateRecord.names})
SELECT ${stateRecord.from('i')} FROM json_to_recordset($1::text::json) AS i(${stateRecord.recordset}) ORDER BY i.ord
ON CONFLICT (tenant_id, dialog_id) DO UPDATE SET ${stateRecord.assignments(2)}`;

const insertDialogText = upsertDialogText.slice(0, upsertDialogText.indexOf('ON CONFLICT'));
const insertStateText = upsertStateText.slice(0, upsertStateText.indexOf('ON CONFLICT'));

/** New dialogs; an id that exists fails the statement (23505). */
export function insertDialogs(tx: SqlTransaction, rows: readonly DialogRecord[]) {
  return tx.unsafe(insertDialogText, [JSON.stringify(rows.map(dialogRecord.toRecord))], { prepare: true });
}

export function insertStates(tx: SqlTransaction, rows: readonly DialogStateRecord[]) {
  return tx.unsafe(insertStateText, [JSON.stringify(rows.map(stateRecord.toRecord))], { prepare: true });
}

export function upsertDialogs(tx: SqlTransaction, rows: readonly DialogRecord[]) {
  return tx.unsafe(upsertDialogText, [JSON.stringify(rows.map(dialogRecord.toRecord))], { prepare: true });
}

export function upsertStates(tx: SqlTransaction, rows: readonly DialogStateRecord[]) {
  return tx.unsafe(upsertStateText, [JSON.stringify(rows.map(stateRecord.toRecord))], { prepare: true });
}

const findText = `SELECT ${dialogRowColumns} FROM ${dialogJoin} WHERE d.tenant_id = $1 AND d.id = ANY($2::uuid[])`;

/** Dialogs of one tenant by id, seen by nobody in particular: the caller decides who may. */
export async function findDialogs(
  sql: Sql | SqlTransaction,
  tenantId: string,
  ids: readonly string[],
): Promise<readonly DialogRow[]> {
  return (await sql.unsafe(findText, [tenantId, ids as string[]], { prepare: true })) as unknown as DialogRow[];
}

const findByKeyText = `
SELECT k.ord::int, ${dialogRowColumns} FROM unnest($1::text[], $2::uuid[]) WITH ORDINALITY AS k(tenant_id, id, ord)
JOIN dialog.dialog d ON d.tenant_id = k.tenant_id AND d.id = k.id
JOIN dialog.dialog_state s ON s.tenant_id = d.tenant_id AND s.dialog_id = d.id`;

/** As `findDialogs`, for concurrent requests together. */
export function createDialogReader(sql: Sql): KeyedReader<DialogKey, DialogRow> {
  return createKeyedReader(sql, {
    text: findByKeyText,
    parametersOf: (keys) => [keys.map((key) => key.tenantId), keys.map((key) => key.dialogId)],
  });
}

export function toDialogRow(record: DialogRecord, state: DialogStateRecord): DialogRow {
  const { lastSequence, messageCount, activeCount, lastMessageAt, lastActivityAt, currentTurn, turnStartedAt } = state;
  return {
    ...record,
    lastSequence,
    messageCount,
    activeCount,
    lastMessageAt,
    lastActivityAt,
    currentTurn,
    turnStartedAt,
  };
}
