import { plainArray, textArray } from '#shared/arrayLiteral.ts';
import { isoText } from '#shared/record.ts';
import type { Sql, SqlTransaction } from '#shared/sql.ts';
import type { AllocationRow, NewAllocation, NodeRow, QuotaRow } from './rows.ts';
import { unlimited, type Vector, zero } from './vector.ts';

type Db = Sql | SqlTransaction;

async function read<Row>(db: Db, text: string, parameters: readonly unknown[]): Promise<Row[]> {
  return (await db.unsafe(text, parameters as never[], { prepare: true })) as unknown as Row[];
}

export const allocationColumns = `a.tenant_id AS "tenantId", a.id, a.owner, a.context_id AS "contextId", a.type, a.purpose, a.requested, a.capabilities, a.labels, a.priority, a.preemptible,
  a.status, a.reason, a.node_id AS "nodeId", a.lease_epoch AS "leaseEpoch", a.lease_ms AS "leaseMs", ${isoText('a.queued_at')} AS "queuedAt", ${isoText('a.allocated_at')} AS "allocatedAt",
  ${isoText('a.expires_at')} AS "expiresAt", ${isoText('a.ended_at')} AS "endedAt", a.created_by AS "createdBy", a.execution_id AS "executionId", a.step_id AS "stepId",
  CASE WHEN a.usage_at IS NOT NULL THEN json_build_object('current', a.usage_current, 'peak', a.usage_peak, 'reportedAt', ${isoText('a.usage_at')},
    'average', ARRAY[${[1, 2, 3, 4, 5].map((at) => `a.usage_integral[${at}] / a.usage_ms`).join(', ')}]) END AS usage`;
export const nodeColumns = `n.tenant_id AS "tenantId", n.id, n.name, n.pool, n.labels, n.capabilities, n.capacity, n.used, n.overcommit, n.healthy, n.version,
  ${isoText('n.created_at')} AS "createdAt", n.created_by AS "createdBy", ${isoText('n.updated_at')} AS "updatedAt"`;

const each = (make: (at: number) => string) => [1, 2, 3, 4, 5].map(make);
const sum = (column: string, vector: string, sign: '+' | '-') =>
  `ARRAY[${each((at) => (sign === '+' ? `${column}[${at}] + ${vector}[${at}]` : `GREATEST(0, ${column}[${at}] - ${vector}[${at}])`)).join(', ')}]`;
/** Sums of fractions of cores differ in the last digits. */
const within = (used: string, vector: string, limit: (at: number) => string) =>
  each((at) => `${used}[${at}] + ${vector}[${at}] <= ${limit(at)} * (1 + 1e-9) + 1e-9`).join(' AND ');

/** Counts towards the owner's quota in one conditional update; false where it would pass the hard limit. */
export async function takeQuota(tx: SqlTransaction, tenantId: string, owner: string, wanted: Vector): Promise<boolean> {
  await tx.unsafe(
    `INSERT INTO core.quota (tenant_id, owner, hard, soft, used, updated_by) VALUES ($1, $2, $3::float8[], $3::float8[], $4::float8[], 'system') ON CONFLICT DO NOTHING`,
    [tenantId, owner, unlimited as never, zero as never],
    { prepare: true },
  );
  const rows = await read(
    tx,
    `UPDATE core.quota q SET used = ${sum('q.used', '($3::float8[])', '+')}, updated_at = now()
     WHERE q.tenant_id = $1 AND q.owner = $2 AND ${within('q.used', '($3::float8[])', (at) => `q.hard[${at}]`)} RETURNING 1`,
    [tenantId, owner, wanted],
  );
  return rows.length > 0;
}

export async function giveQuota(tx: SqlTransaction, tenantId: string, owner: string, held: Vector): Promise<void> {
  await read(
    tx,
    `UPDATE core.quota q SET used = ${sum('q.used', '($3::float8[])', '-')}, updated_at = now() WHERE q.tenant_id = $1 AND q.owner = $2`,
    [tenantId, owner, held],
  );
}

export interface PlaceQuery {
  readonly wanted: Vector;
  readonly capabilities: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
}

/**
 * Reserves on the node that is fullest afterwards, in one conditional update: whoever else reserves at the same time, no
 * node is oversubscribed. Nodes that others are just reserving on are passed over. What is chosen is materialised: a subquery in
 * its place may be run for each node, and the second time it passes over the node that was just taken and takes another.
 */
export async function reserveBest(tx: SqlTransaction, tenantId: string, query: PlaceQuery): Promise<string | null> {
  const fit = within('c.used', '($2::float8[])', (at) => `c.capacity[${at}] * c.overcommit`);
  const share = each((at) => `(c.used[${at}] + ($2::float8[])[${at}]) / NULLIF(c.capacity[${at}] * c.overcommit, 0)`);
  const [row] = await read<{ id: string }>(
    tx,
    `WITH b AS MATERIALIZED (
       SELECT c.tenant_id, c.id FROM core.node c WHERE c.tenant_id = $1 AND c.healthy AND c.capabilities @> $3::text[] AND c.labels @> $4::text::jsonb AND ${fit}
       ORDER BY GREATEST(${share.join(', ')}) DESC, c.id LIMIT 1 FOR UPDATE SKIP LOCKED)
     UPDATE core.node n SET used = ${sum('n.used', '($2::float8[])', '+')}, updated_at = now()
     FROM b WHERE n.tenant_id = b.tenant_id AND n.id = b.id AND ${within('n.used', '($2::float8[])', (at) => `n.capacity[${at}] * n.overcommit`)} RETURNING n.id`,
    [tenantId, query.wanted, query.capabilities, JSON.stringify(query.labels)],
  );
  return row?.id ?? null;
}

/** Reserves on one node; false where it no longer has the room. */
export async function reserveOn(
  tx: SqlTransaction,
  tenantId: string,
  nodeId: string,
  wanted: Vector,
): Promise<boolean> {
  const rows = await read(
    tx,
    `UPDATE core.node n SET used = ${sum('n.used', '($3::float8[])', '+')}, updated_at = now()
     WHERE n.tenant_id = $1 AND n.id = $2 AND n.healthy AND ${within('n.used', '($3::float8[])', (at) => `n.capacity[${at}] * n.overcommit`)} RETURNING 1`,
    [tenantId, nodeId, wanted],
  );
  return rows.length > 0;
}

export async function freeNode(tx: SqlTransaction, tenantId: string, nodeId: string, held: Vector): Promise<void> {
  await read(
    tx,
    `UPDATE core.node n SET used = ${sum('n.used', '($3::float8[])', '-')}, updated_at = now() WHERE n.tenant_id = $1 AND n.id = $2`,
    [tenantId, nodeId, held],
  );
}

const sums = (by: string) =>
  `(SELECT ${by} AS "by", ARRAY[${each((at) => `sum(requested[${at}])`).join(', ')}] AS held FROM ended GROUP BY ${by}) s`;

/** Ends those of the leases that are over by the database's clock, and gives back what they held. Under the lock of the queue. */
export function expireAllocations(
  tx: SqlTransaction,
  tenantId: string,
  ids: readonly string[],
  reason: string,
): Promise<AllocationRow[]> {
  return read(
    tx,
    `WITH lapsed AS (
       SELECT id FROM core.allocation WHERE tenant_id = $1 AND id = ANY($2::uuid[]) AND status = 'active' AND expires_at <= clock_timestamp()
       ORDER BY id FOR UPDATE
     ), ended AS (
       UPDATE core.allocation a SET status = 'expired', reason = $3, ended_at = now(), lease_epoch = a.lease_epoch + 1
       FROM lapsed l WHERE a.tenant_id = $1 AND a.id = l.id RETURNING ${allocationColumns}
     ), given AS (
       UPDATE core.quota q SET used = ${sum('q.used', 's.held', '-')}, updated_at = now()
       FROM ${sums('owner')} WHERE q.tenant_id = $1 AND q.owner = s.by
     ), freed AS (
       UPDATE core.node n SET used = ${sum('n.used', 's.held', '-')}, updated_at = now()
       FROM ${sums('"nodeId"')} WHERE n.tenant_id = $1 AND n.id = s.by
     )
     SELECT * FROM ended ORDER BY id`,
    [tenantId, ids, reason],
  );
}

/** Place of the first that no node could carry if it were empty; null where each could be carried. */
export async function findInfeasible(db: Db, tenantId: string, queries: readonly PlaceQuery[]): Promise<number | null> {
  const [first] = await read<{ at: number }>(
    db,
    `SELECT q.at::int - 1 AS at FROM unnest($2::text[], $3::text[], $4::text[]) WITH ORDINALITY AS q(wanted, capabilities, labels, at)
     WHERE NOT EXISTS (SELECT 1 FROM core.node c WHERE c.tenant_id = $1 AND c.capabilities @> q.capabilities::text[] AND c.labels @> q.labels::jsonb
       AND ${each((at) => `(q.wanted::float8[])[${at}] <= c.capacity[${at}] * c.overcommit`).join(' AND ')})
     ORDER BY q.at LIMIT 1`,
    [
      tenantId,
      queries.map(({ wanted }) => plainArray(wanted)),
      queries.map(({ capabilities }) => textArray(capabilities)),
      queries.map(({ labels }) => JSON.stringify(labels)),
    ],
  );
  return first?.at ?? null;
}

/** Whether any node could carry it if it were empty. */
export const isFeasible = async (db: Db, tenantId: string, query: PlaceQuery): Promise<boolean> =>
  (await findInfeasible(db, tenantId, [query])) === null;

/** What all nodes of a tenant can carry. */
export async function findTotal(db: Db, tenantId: string): Promise<Vector> {
  const [row] = await read<{ total: Vector }>(
    db,
    `SELECT ARRAY[${each((at) => `COALESCE(sum(capacity[${at}] * overcommit), 0)::float8`).join(', ')}] AS total FROM core.node WHERE tenant_id = $1`,
    [tenantId],
  );
  return row!.total;
}

export function findAllocations(db: Db, tenantId: string, ids: readonly string[]): Promise<AllocationRow[]> {
  return read(
    db,
    `SELECT ${allocationColumns} FROM core.allocation a WHERE a.tenant_id = $1 AND a.id = ANY($2::uuid[])`,
    [tenantId, ids],
  );
}

/** Under its lock, with whether its lease is over by the database's clock. */
export async function lockAllocation(
  tx: SqlTransaction,
  tenantId: string,
  id: string,
): Promise<(AllocationRow & { readonly lapsed: boolean }) | null> {
  const [row] = await read<AllocationRow & { readonly lapsed: boolean }>(
    tx,
    `SELECT ${allocationColumns}, COALESCE(a.expires_at <= clock_timestamp(), false) AS lapsed FROM core.allocation a WHERE a.tenant_id = $1 AND a.id = $2 FOR UPDATE`,
    [tenantId, id],
  );
  return row ?? null;
}

const insert = `INSERT INTO core.allocation AS a (tenant_id, id, owner, context_id, type, purpose, requested, capabilities, labels, priority, preemptible, status,
    node_id, lease_epoch, lease_ms, allocated_at, expires_at, created_by, execution_id, step_id, reason, ended_at)
  SELECT r."tenantId", r.id, r.owner, r."contextId", r.type, r.purpose, r.requested, r.capabilities, r.labels, r.priority, r.preemptible, r.status,
    r."nodeId", r."leaseEpoch", r."leaseMs", CASE WHEN r.status = 'active' THEN now() END,
    CASE WHEN r.status = 'active' THEN now() + r."leaseMs" * interval '1 millisecond' END, r."createdBy", r."executionId", r."stepId", r.reason,
    CASE WHEN r.status = 'failed' THEN now() END
  FROM json_to_recordset($1::text::json) AS r("tenantId" text, id uuid, owner text, "contextId" uuid, type text, purpose text, requested float8[],
    capabilities text[], labels jsonb, priority int, preemptible boolean, status text, "nodeId" uuid, "leaseEpoch" int, "leaseMs" bigint,
    "createdBy" text, "executionId" uuid, "stepId" text, reason text)
  RETURNING ${allocationColumns}`;

/** In the order given. */
export async function insertAllocations(
  tx: SqlTransaction,
  rows: readonly NewAllocation[],
): Promise<readonly AllocationRow[]> {
  const stored = await read<AllocationRow>(tx, insert, [JSON.stringify(rows)]);
  const byId = new Map(stored.map((row) => [row.id, row]));
  return rows.map(({ id }) => byId.get(id)!);
}

export async function insertAllocation(tx: SqlTransaction, row: NewAllocation): Promise<AllocationRow> {
  const [stored] = await insertAllocations(tx, [row]);
  return stored!;
}

/** What steps wait for or hold, as it stands; nothing is locked. */
export function findStates(
  db: Db,
  keys: readonly { readonly tenantId: string; readonly allocationId: string }[],
): Promise<Pick<AllocationRow, 'id' | 'status' | 'reason'>[]> {
  return read(
    db,
    `SELECT a.id, a.status, a.reason FROM unnest($1::text[], $2::uuid[]) AS k(tenant_id, id)
     JOIN core.allocation a ON a.tenant_id = k.tenant_id AND a.id = k.id`,
    [keys.map(({ tenantId }) => tenantId), keys.map(({ allocationId }) => allocationId)],
  );
}

/**
 * Extends leases that steps hold, under their own lease; answers those that are over. What somebody is just changing is passed
 * over, so that this never waits while it holds others: such a lease is extended the next time.
 */
export async function extendLeases(tx: SqlTransaction, tenantId: string, ids: readonly string[]): Promise<string[]> {
  const rows = await read<{ id: string }>(
    tx,
    `WITH held AS (
       SELECT id, status = 'active' AND expires_at > clock_timestamp() AS lives FROM core.allocation
       WHERE tenant_id = $1 AND id = ANY($2::uuid[]) FOR UPDATE SKIP LOCKED
     ), extended AS (
       UPDATE core.allocation a SET expires_at = clock_timestamp() + a.lease_ms * interval '1 millisecond'
       FROM held h WHERE a.tenant_id = $1 AND a.id = h.id AND h.lives
     )
     SELECT id FROM held WHERE NOT lives`,
    [tenantId, ids],
  );
  return rows.map(({ id }) => id);
}

/** What a holder uses from the report before, or the beginning of its lease, until now. */
export function noteUsage(
  tx: SqlTransaction,
  row: Pick<AllocationRow, 'tenantId' | 'id'>,
  used: Vector,
): Promise<AllocationRow> {
  const ms = `GREATEST(0.001, extract(epoch FROM statement_timestamp() - COALESCE(a.usage_at, a.allocated_at))::float8 * 1000)`;
  const usedAt = (at: number) => `($3::float8[])[${at}]`;
  return changeAllocation(
    tx,
    row,
    `usage_current = $3::float8[], usage_at = statement_timestamp(), usage_ms = COALESCE(a.usage_ms, 0) + ${ms},
     usage_peak = ARRAY[${each((at) => `GREATEST(COALESCE(a.usage_peak[${at}], 0), ${usedAt(at)})`).join(', ')}],
     usage_integral = ARRAY[${each((at) => `COALESCE(a.usage_integral[${at}], 0) + ${usedAt(at)} * ${ms}`).join(', ')}]`,
    [used],
  );
}

export async function countQueued(tx: SqlTransaction, tenantId: string): Promise<number> {
  const [row] = await read<{ count: number }>(
    tx,
    `SELECT count(*)::int AS count FROM core.allocation WHERE tenant_id = $1 AND status = 'queued'`,
    [tenantId],
  );
  return row!.count;
}

/** Names of columns are the code's own; values go as parameters from $3 on. */
export async function changeAllocation(
  tx: SqlTransaction,
  { tenantId, id }: Pick<AllocationRow, 'tenantId' | 'id'>,
  assignments: string,
  parameters: readonly unknown[] = [],
): Promise<AllocationRow> {
  const [row] = await read<AllocationRow>(
    tx,
    `UPDATE core.allocation a SET ${assignments} WHERE a.tenant_id = $1 AND a.id = $2 RETURNING ${allocationColumns}`,
    [tenantId, id, ...parameters],
  );
  return row!;
}

export function findNodes(db: Db, tenantId: string, pool: string | null = null): Promise<NodeRow[]> {
  return read(
    db,
    `SELECT ${nodeColumns} FROM core.node n WHERE n.tenant_id = $1 AND ($2::text IS NULL OR n.pool = $2) ORDER BY n.name LIMIT 10000`,
    [tenantId, pool],
  );
}

export function findQueue(db: Db, tenantId: string, limit: number): Promise<AllocationRow[]> {
  return read(
    db,
    `SELECT ${allocationColumns} FROM core.allocation a WHERE a.tenant_id = $1 AND a.status = 'queued' ORDER BY a.queued_at LIMIT $2`,
    [tenantId, limit],
  );
}

export function findPreemptible(db: Db, tenantId: string): Promise<AllocationRow[]> {
  return read(
    db,
    `SELECT ${allocationColumns} FROM core.allocation a WHERE a.tenant_id = $1 AND a.status = 'active' AND a.preemptible`,
    [tenantId],
  );
}

/** Active leases by when they end, the first 20,000. */
export function findEnds(
  db: Db,
  tenantId: string,
): Promise<{ readonly nodeId: string; readonly wanted: Vector; readonly expiresAtMs: number }[]> {
  return read(
    db,
    `SELECT node_id AS "nodeId", requested AS wanted, extract(epoch FROM expires_at)::float8 * 1000 AS "expiresAtMs" FROM core.allocation
     WHERE tenant_id = $1 AND status = 'active' ORDER BY expires_at LIMIT 20000`,
    [tenantId],
  );
}

export function findQuotas(db: Db, tenantId: string, owners: readonly string[] | null): Promise<QuotaRow[]> {
  return read(
    db,
    `SELECT q.owner, q.hard, q.soft, q.weight, q.used, q.warned, q.exceeded FROM core.quota q WHERE q.tenant_id = $1 AND ($2::text[] IS NULL OR q.owner = ANY($2::text[])) ORDER BY q.owner`,
    [tenantId, owners],
  );
}

export async function markQuotas(
  tx: SqlTransaction,
  tenantId: string,
  marks: readonly { readonly owner: string; readonly warned: boolean; readonly exceeded: boolean }[],
): Promise<void> {
  await read(
    tx,
    `UPDATE core.quota q SET warned = m.warned::boolean, exceeded = m.exceeded::boolean
     FROM unnest($2::text[], $3::text[], $4::text[]) AS m(owner, warned, exceeded) WHERE q.tenant_id = $1 AND q.owner = m.owner`,
    [
      tenantId,
      marks.map(({ owner }) => owner),
      marks.map(({ warned }) => String(warned)),
      marks.map(({ exceeded }) => String(exceeded)),
    ],
  );
}

/** False where it was marked already. */
export async function markExceeded(tx: SqlTransaction, tenantId: string, owner: string): Promise<boolean> {
  const rows = await read(
    tx,
    'UPDATE core.quota SET exceeded = true WHERE tenant_id = $1 AND owner = $2 AND NOT exceeded RETURNING 1',
    [tenantId, owner],
  );
  return rows.length > 0;
}

/** Leases past their end, of all tenants. */
export function findExpired(db: Db, limit: number): Promise<{ tenantId: string; id: string }[]> {
  return read(
    db,
    `SELECT tenant_id AS "tenantId", id FROM core.allocation WHERE status = 'active' AND expires_at <= now() ORDER BY expires_at LIMIT $1`,
    [limit],
  );
}

export function findQueuedTenants(db: Db): Promise<{ tenantId: string }[]> {
  return read(db, `SELECT DISTINCT tenant_id AS "tenantId" FROM core.allocation WHERE status = 'queued'`, []);
}
