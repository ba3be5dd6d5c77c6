import type { Sql, SqlTransaction } from '#shared/sql.ts';
import type { CoreExecutionRow, CoreStepExecutionRow } from '../rows.ts';
import type { ChildView, Draft, SignalRow } from './draft.ts';
import { executionRecord, stepRecord } from './records.ts';

type Db = Sql | SqlTransaction;

export interface ExecutionKey {
  readonly tenantId: string;
  readonly executionId: string;
}

export const keyOf = ({ tenantId, executionId }: ExecutionKey): string => `${tenantId}/${executionId}`;

async function read<Row>(db: Db, text: string, parameters: readonly unknown[]): Promise<Row[]> {
  return (await db.unsafe(text, parameters as never[], { prepare: true })) as unknown as Row[];
}

const columnsOf = (keys: readonly ExecutionKey[]) => [
  keys.map(({ tenantId }) => tenantId),
  keys.map(({ executionId }) => executionId),
];

export const executionColumns = executionRecord.select('e');
export const stepColumns = stepRecord.select('s');
const clock = `to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS now`;

export type LockedExecution = CoreExecutionRow & { readonly now: string };

/** Locks executions in the order of their keys, with the database's clock: no lease knows another. */
export function lockExecutions(tx: SqlTransaction, keys: readonly ExecutionKey[]): Promise<LockedExecution[]> {
  return read(
    tx,
    `SELECT ${executionColumns}, ${clock} FROM core.execution e
     JOIN unnest($1::text[], $2::uuid[]) AS k(tenant_id, id) ON k.tenant_id = e.tenant_id AND k.id = e.id
     ORDER BY e.tenant_id, e.id FOR UPDATE OF e`,
    columnsOf(keys),
  );
}

/**
 * Claims executions in which something is due: tenants by turns in proportion to their shares, within a tenant the most
 * urgent first. What another worker holds is passed over; a claim never waits.
 */
export function claimDue(tx: SqlTransaction, limit: number): Promise<LockedExecution[]> {
  return read(
    tx,
    `WITH RECURSIVE tenant AS (
       (SELECT tenant_id FROM core.execution WHERE next_at <= now() ORDER BY tenant_id LIMIT 1)
       UNION ALL
       SELECT (SELECT e.tenant_id FROM core.execution e WHERE e.tenant_id > t.tenant_id AND e.next_at <= now() ORDER BY e.tenant_id LIMIT 1)
       FROM tenant t WHERE t.tenant_id IS NOT NULL
     ), turn AS (
       SELECT d.tenant_id, d.id, row_number() OVER (PARTITION BY d.tenant_id ORDER BY d.priority, d.next_at)::float8 / COALESCE(s.weight, 1) AS turn
       FROM tenant t LEFT JOIN core.tenant_share s ON s.tenant_id = t.tenant_id
       CROSS JOIN LATERAL (SELECT e.tenant_id, e.id, e.priority, e.next_at FROM core.execution e
         WHERE e.tenant_id = t.tenant_id AND e.next_at <= now() ORDER BY e.priority, e.next_at LIMIT $1) d
       WHERE t.tenant_id IS NOT NULL
     ), chosen AS MATERIALIZED (SELECT tenant_id, id FROM turn ORDER BY turn, tenant_id LIMIT $1)
     SELECT ${executionColumns}, ${clock} FROM core.execution e JOIN chosen c ON c.tenant_id = e.tenant_id AND c.id = e.id
     WHERE e.next_at <= clock_timestamp() FOR UPDATE OF e SKIP LOCKED`,
    [limit],
  );
}

/** When the next execution falls due; null where none waits for a time. */
export async function findNextDue(db: Db): Promise<number | null> {
  const [row] = await read<{ ms: number | null }>(
    db,
    'SELECT (extract(epoch FROM min(next_at) - clock_timestamp()) * 1000)::float8 AS ms FROM core.execution WHERE next_at IS NOT NULL',
    [],
  );
  return row?.ms ?? null;
}

export function findSteps(db: Db, keys: readonly ExecutionKey[]): Promise<CoreStepExecutionRow[]> {
  return read(
    db,
    `SELECT ${stepColumns} FROM unnest($1::text[], $2::uuid[]) AS k(tenant_id, id)
     JOIN core.step_execution s ON s.tenant_id = k.tenant_id AND s.execution_id = k.id ORDER BY s.place`,
    columnsOf(keys),
  );
}

type OfExecution<Row> = Row & { readonly tenantId: string; readonly executionId: string };

/** Signals that no step has taken, in the order they came. */
export function findSignals(db: Db, keys: readonly ExecutionKey[]): Promise<OfExecution<SignalRow>[]> {
  return read(
    db,
    `SELECT s.tenant_id AS "tenantId", s.execution_id AS "executionId", s.id, s.name, s.payload FROM unnest($1::text[], $2::uuid[]) AS k(tenant_id, id)
     JOIN core.signal s ON s.tenant_id = k.tenant_id AND s.execution_id = k.id WHERE s.taken_by IS NULL ORDER BY s.ordinal`,
    columnsOf(keys),
  );
}

export function findChildren(db: Db, keys: readonly ExecutionKey[]): Promise<OfExecution<ChildView>[]> {
  return read(
    db,
    `SELECT c.tenant_id AS "tenantId", c.parent_id AS "executionId", c.id, c.parent_step_id AS "stepId", c.status, c.output, c.error, c.created_at::text AS "createdAt"
     FROM unnest($1::text[], $2::uuid[]) AS k(tenant_id, id) JOIN core.execution c ON c.tenant_id = k.tenant_id AND c.parent_id = k.id`,
    columnsOf(keys),
  );
}

const writeText = `
WITH execution AS (
  UPDATE core.execution AS e SET (${executionRecord.names}) = ROW(${executionRecord.from('x')})
  FROM json_to_recordset($1::text::json) AS x(${executionRecord.recordset})
  WHERE e.tenant_id = x.tenant_id AND e.id = x.id
), child AS (
  INSERT INTO core.execution (${executionRecord.names})
  SELECT ${executionRecord.from('x')} FROM json_to_recordset($2::text::json) AS x(${executionRecord.recordset}) ON CONFLICT DO NOTHING
), step AS (
  INSERT INTO core.step_execution AS s (${stepRecord.names})
  SELECT ${stepRecord.from('x')} FROM json_to_recordset($3::text::json) AS x(${stepRecord.recordset})
  ON CONFLICT (tenant_id, execution_id, step_id) DO UPDATE SET ${stepRecord.assignments(3)}
), history AS (
  INSERT INTO core.history (tenant_id, execution_id, sequence, type, step_id, attempt, data, at)
  SELECT tenant_id, execution_id, sequence, type, step_id, attempt, data, at
  FROM json_to_recordset($4::text::json) AS x(tenant_id text, execution_id uuid, sequence bigint, type text, step_id text, attempt int, data jsonb, at timestamptz)
), kept AS (
  INSERT INTO core.signal (tenant_id, execution_id, id, name, payload, sent_by)
  SELECT tenant_id, execution_id, id, name, payload, sent_by
  FROM json_to_recordset($5::text::json) AS x(tenant_id text, execution_id uuid, id uuid, name text, payload jsonb, sent_by text)
)
UPDATE core.signal AS g SET taken_by = x.taken_by
FROM json_to_recordset($6::text::json) AS x(tenant_id text, execution_id uuid, id uuid, taken_by text)
WHERE g.tenant_id = x.tenant_id AND g.execution_id = x.execution_id AND g.id = x.id`;

export interface NewExecution {
  readonly row: CoreExecutionRow;
  readonly steps: readonly CoreStepExecutionRow[];
}

/** Stores what the drafts have become, their history, and executions that begin, in one statement. */
export async function writeDrafts(
  tx: SqlTransaction,
  drafts: readonly Draft[],
  isNew: (draft: Draft) => boolean,
): Promise<void> {
  if (drafts.length === 0) return;
  const [news, known] = [drafts.filter(isNew), drafts.filter((draft) => !isNew(draft))];
  const of = ({ execution }: Draft) => ({ tenant_id: execution.tenantId, execution_id: execution.id });
  await tx.unsafe(
    writeText,
    [
      JSON.stringify(known.map(({ execution }, ord) => executionRecord.toRecord(execution, ord))),
      JSON.stringify(news.map(({ execution }, ord) => executionRecord.toRecord(execution, ord))),
      JSON.stringify([
        ...known.flatMap((draft) =>
          [...draft.changed].map((id, ord) => stepRecord.toRecord(draft.steps.get(id)!, ord)),
        ),
        ...news.flatMap(({ steps }) => [...steps.values()].map((step, ord) => stepRecord.toRecord(step, ord))),
      ]),
      JSON.stringify(
        drafts.flatMap((draft) =>
          draft.history.map((entry) => ({
            ...of(draft),
            ...{ sequence: entry.sequence, type: entry.type, step_id: entry.stepId, attempt: entry.attempt },
            ...{ data: entry.data, at: draft.now },
          })),
        ),
      ),
      JSON.stringify(
        drafts.flatMap((draft) =>
          draft.kept
            .filter(({ id }) => !draft.taken.some((taken) => taken.id === id))
            .map((signal) => ({ ...of(draft), ...signal, sent_by: draft.actor })),
        ),
      ),
      JSON.stringify(
        drafts.flatMap((draft) => draft.taken.map(({ id, stepId }) => ({ ...of(draft), id, taken_by: stepId }))),
      ),
    ],
    { prepare: true },
  );
}

/** Ends of children that their parents have not heard of: after a crash this is what tells them. */
export function findUntold(
  db: Db,
  limit: number,
): Promise<{ tenantId: string; executionId: string; stepId: string; childId: string }[]> {
  return read(
    db,
    `SELECT tenant_id AS "tenantId", parent_id AS "executionId", parent_step_id AS "stepId", id AS "childId" FROM core.execution
     WHERE NOT told AND completed_at < now() - interval '1 second' ORDER BY completed_at LIMIT $1`,
    [limit],
  );
}

/** Those that somebody holds at the moment are told once more, which changes nothing. */
export async function markTold(db: Db, keys: readonly ExecutionKey[]): Promise<void> {
  await db.unsafe(
    `UPDATE core.execution e SET told = true FROM (
       SELECT c.tenant_id, c.id FROM unnest($1::text[], $2::uuid[]) AS k(tenant_id, id)
       JOIN core.execution c ON c.tenant_id = k.tenant_id AND c.id = k.id WHERE NOT c.told AND c.completed_at IS NOT NULL FOR UPDATE OF c SKIP LOCKED) h
     WHERE e.tenant_id = h.tenant_id AND e.id = h.id`,
    columnsOf(keys) as never[],
    { prepare: true },
  );
}

/** Locks workflows whose places are taken or given back, in the order of their keys: whoever does so for several waits for nobody who waits for it. */
export async function lockSlots(
  tx: SqlTransaction,
  keys: readonly { readonly tenantId: string; readonly workflowId: string }[],
): Promise<void> {
  const unique = [...new Map(keys.map((key) => [`${key.tenantId}/${key.workflowId}`, key])).values()];
  if (unique.length < 2) return;
  await read(
    tx,
    `SELECT 1 FROM core.workflow w JOIN unnest($1::text[], $2::uuid[]) AS k(tenant_id, id) ON k.tenant_id = w.tenant_id AND k.id = w.id
     ORDER BY w.tenant_id, w.id FOR NO KEY UPDATE OF w`,
    [unique.map(({ tenantId }) => tenantId), unique.map(({ workflowId }) => workflowId)],
  );
}

/** Takes one of the places of a workflow that bounds its executions; false where all are taken. */
export async function takeSlot(tx: SqlTransaction, tenantId: string, workflowId: string): Promise<boolean> {
  const rows = await read(
    tx,
    `UPDATE core.workflow SET running = running + 1 WHERE tenant_id = $1 AND id = $2 AND (max_executions IS NULL OR running < max_executions) RETURNING running`,
    [tenantId, workflowId],
  );
  return rows.length > 0;
}

/** Gives a place back; who waits for one looks again soon. */
export async function giveSlot(tx: SqlTransaction, tenantId: string, workflowId: string): Promise<void> {
  await tx.unsafe(
    'UPDATE core.workflow SET running = GREATEST(0, running - 1) WHERE tenant_id = $1 AND id = $2',
    [tenantId, workflowId],
    { prepare: true },
  );
}
