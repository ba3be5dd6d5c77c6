import { readChildPage } from '#shared/childPages.ts';
import { type Connection, createConnection, type PageInput } from '#shared/connection.ts';
import { defineRecord } from '#shared/record.ts';
import type { Sql, SqlTransaction } from '#shared/sql.ts';
import { parseInput } from '#shared/validation.ts';
import * as inputs from './inputs.ts';
import type { OptimizationRow } from './rows.ts';

type Db = Sql | SqlTransaction;

const record = defineRecord<OptimizationRow>([
  ['tenant_id', 'tenantId', 'text'],
  ['id', 'id', 'uuid'],
  ['kind', 'kind', 'text'],
  ['scope', 'scope', 'text[]'],
  ['status', 'status', 'text'],
  ['observed', 'observed', 'jsonb'],
  ['bottlenecks', 'bottlenecks', 'jsonb'],
  ['changes', 'changes', 'jsonb'],
  ['guards', 'guards', 'jsonb'],
  ['workflow', 'workflow', 'jsonb'],
  ['min_gain', 'minGain', 'float8'],
  ['expected_gain', 'expectedGain', 'float8'],
  ['measured_gain', 'measuredGain', 'float8'],
  ['reason', 'reason', 'text'],
  ['look_at', 'lookAt', 'timestamptz'],
  ['judge_at', 'judgeAt', 'timestamptz'],
  ['applied_at', 'appliedAt', 'timestamptz'],
  ['ended_at', 'endedAt', 'timestamptz'],
  ['created_at', 'createdAt', 'timestamptz'],
  ['created_by', 'createdBy', 'text'],
]);
const columns = record.select('o');

async function read<Row>(db: Db, text: string, parameters: readonly unknown[]): Promise<Row[]> {
  return (await db.unsafe(text, parameters as never[], { prepare: true })) as unknown as Row[];
}

/** Stores a run, or what has become of it. */
export async function putOptimization(tx: SqlTransaction, row: OptimizationRow): Promise<void> {
  await read(
    tx,
    `INSERT INTO core.optimization AS o (${record.names}) SELECT ${record.from('x')} FROM json_to_recordset($1::text::json) AS x(${record.recordset})
     ON CONFLICT (tenant_id, id) DO UPDATE SET ${record.assignments(2)}`,
    [JSON.stringify([record.toRecord(row, 0)])],
  );
}

export async function findOptimization(db: Db, tenantId: string, id: string): Promise<OptimizationRow | null> {
  const [row] = await read<OptimizationRow>(
    db,
    `SELECT ${columns} FROM core.optimization o WHERE o.tenant_id = $1 AND o.id = $2`,
    [tenantId, id],
  );
  return row ?? null;
}

/** Under its lock where it is still to be judged; null where another process does that, or has done it. */
export async function lockApplied(tx: SqlTransaction, tenantId: string, id: string): Promise<OptimizationRow | null> {
  const [row] = await read<OptimizationRow>(
    tx,
    `SELECT ${columns} FROM core.optimization o WHERE o.tenant_id = $1 AND o.id = $2 AND o.status = 'applied' AND o.look_at <= now() FOR UPDATE SKIP LOCKED`,
    [tenantId, id],
  );
  return row ?? null;
}

/** The one of a tenant that is being judged. */
export async function findApplied(db: Db, tenantId: string): Promise<string | null> {
  const [row] = await read<{ id: string }>(
    db,
    `SELECT id FROM core.optimization WHERE tenant_id = $1 AND status = 'applied'`,
    [tenantId],
  );
  return row?.id ?? null;
}

/** Those of all tenants that are to be looked at now. */
export function findWatched(db: Db, limit: number): Promise<{ tenantId: string; id: string }[]> {
  return read(
    db,
    `SELECT tenant_id AS "tenantId", id FROM core.optimization WHERE status = 'applied' AND look_at <= now() ORDER BY look_at LIMIT $1`,
    [limit],
  );
}

/** Runs of a tenant, newest first. @throws {CURSOR_INVALID} {VALIDATION_FAILED} */
export async function listOptimizations(
  sql: Sql,
  tenantId: string,
  rawFilter: unknown,
  input: PageInput,
): Promise<Connection<OptimizationRow>> {
  const filter = parseInput(inputs.filter, rawFilter ?? {}, ['filter']);
  const page = readChildPage({ list: 'optimizationRuns', sort: [{ type: 'timestamptz' }, { type: 'uuid' }] }, input);
  const parameters: unknown[] = [tenantId];
  const bind = (value: unknown) => `$${parameters.push(value)}`;
  const where = ['o.tenant_id = $1'];
  if (filter.kind != null) where.push(`o.kind = ${bind(filter.kind.toLowerCase())}`);
  if (filter.status != null)
    where.push(`o.status = ANY(${bind(filter.status.map((one) => one.toLowerCase()))}::text[])`);
  const backward = page.direction === 'backward';
  if (page.from !== null) {
    const [at, id] = page.from;
    where.push(`(o.created_at, o.id) ${backward ? '>' : '<'} (${bind(at)}::text::timestamptz, ${bind(id)}::uuid)`);
  }
  const order = backward ? 'ASC' : 'DESC';
  const rows = await read<OptimizationRow>(
    sql,
    `SELECT ${columns} FROM core.optimization o WHERE ${where.join(' AND ')} ORDER BY o.created_at ${order}, o.id ${order} LIMIT ${bind(page.limit + 1)}`,
    parameters,
  );
  return createConnection('optimizationRuns', page, rows, (row) => [row.createdAt, row.id]);
}
