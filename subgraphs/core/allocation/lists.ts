import { readChildPage } from '#shared/childPages.ts';
import { type Connection, createConnection, type PageInput } from '#shared/connection.ts';
import type { RequestScope } from '#shared/context.ts';
import type { Sql } from '#shared/sql.ts';
import { parseInput } from '#shared/validation.ts';
import { noteListAccess, viewerOf, visibleCondition } from '../access.ts';
import { estimateWaits, type WaitSituation } from './estimate.ts';
import * as inputs from './inputs.ts';
import type { AllocationRow } from './rows.ts';
import { toRequest } from './scheduler.ts';
import { allocationColumns, findAllocations, findEnds, findNodes, findQueue, findQuotas } from './store.ts';
import { add, dimensions, dominantShare, fits, scale, toAmounts, type Vector, zero } from './vector.ts';

const list = 'allocations';
/** Shares above which a resource is scarce, in the order of vectors. */
const thresholds = [0.9, 0.85, 0.8, 1.01, 1.01];

/** Allocations of a tenant, newest first. @throws {CURSOR_INVALID} {VALIDATION_FAILED} */
export async function listAllocations(
  sql: Sql,
  scope: Pick<RequestScope, 'principal' | 'readTags'>,
  rawFilter: unknown,
  input: PageInput,
): Promise<Connection<AllocationRow>> {
  const filter = parseInput(inputs.filter, rawFilter ?? {}, ['filter']);
  const page = readChildPage({ list, sort: [{ type: 'timestamptz' }, { type: 'uuid' }] }, input);
  const parameters: unknown[] = [scope.principal.tenantId];
  const bind = (value: unknown) => `$${parameters.push(value)}`;
  const where = ['a.tenant_id = $1'];
  const viewer = viewerOf(scope.principal);
  if (viewer !== null) where.push(visibleCondition('a', bind(viewer)));
  if (filter.owner != null) where.push(`a.owner = ${bind(filter.owner)}`);
  if (filter.executionId != null) where.push(`a.execution_id = ${bind(filter.executionId)}::uuid`);
  if (filter.contextId != null) where.push(`a.context_id = ${bind(filter.contextId)}::uuid`);
  if (filter.status != null)
    where.push(`a.status = ANY(${bind(filter.status.map((one) => one.toLowerCase()))}::text[])`);
  const backward = page.direction === 'backward';
  if (page.from !== null) {
    const [at, id] = page.from;
    where.push(`(a.queued_at, a.id) ${backward ? '>' : '<'} (${bind(at)}::text::timestamptz, ${bind(id)}::uuid)`);
  }
  const order = backward ? 'ASC' : 'DESC';
  const noted = noteListAccess(sql, scope);
  const rows = (await sql.unsafe(
    `SELECT ${allocationColumns} FROM core.allocation a WHERE ${where.join(' AND ')} ORDER BY a.queued_at ${order}, a.id ${order} LIMIT ${bind(page.limit + 1)}`,
    parameters as never[],
    { prepare: true },
  )) as unknown as AllocationRow[];
  await noted;
  return createConnection(list, page, rows, (row) => [row.queuedAt, row.id]);
}

/** Who holds what of a tenant's nodes, and who waits. */
export async function readWaitSituation(sql: Sql, tenantId: string): Promise<WaitSituation> {
  const [nodes, queue, held] = await Promise.all([
    findNodes(sql, tenantId),
    findQueue(sql, tenantId, 5_000),
    findEnds(sql, tenantId),
  ]);
  return { nodes, held, queue: queue.map(toRequest), nowMs: Date.now() };
}

/** How long requests wait by the ends of leases, ms; null where none makes room. */
export async function findWaits(sql: Sql, tenantId: string, ids: readonly string[]): Promise<(number | null)[]> {
  const waits = estimateWaits(await readWaitSituation(sql, tenantId));
  return ids.map((id) => waits.get(id) ?? null);
}

export async function findQueuePositions(
  sql: Sql,
  tenantId: string,
  ids: readonly string[],
): Promise<(number | null)[]> {
  const rows = (await sql.unsafe(
    `SELECT id, place FROM (SELECT id, row_number() OVER (ORDER BY queued_at, id)::int AS place FROM core.allocation WHERE tenant_id = $1 AND status = 'queued') q WHERE id = ANY($2::uuid[])`,
    [tenantId, ids as string[]],
    { prepare: true },
  )) as unknown as { id: string; place: number }[];
  const places = new Map(rows.map(({ id, place }) => [id, place]));
  return ids.map((id) => places.get(id) ?? null);
}

export type WaitReason = 'NO_ROOM' | 'QUOTA';

/** Why requests wait, in their order; null of what does not. */
export async function findWaitReasons(
  sql: Sql,
  tenantId: string,
  ids: readonly string[],
): Promise<(WaitReason | null)[]> {
  const rows = (await findAllocations(sql, tenantId, ids)).filter(({ status }) => status === 'queued');
  const quotas = await findQuotas(sql, tenantId, [...new Set(rows.map(({ owner }) => owner))]);
  const byOwner = new Map(quotas.map((quota) => [quota.owner, quota]));
  const reasons = new Map(
    rows.map(({ id, owner, requested }): [string, WaitReason] => {
      const quota = byOwner.get(owner);
      return [id, quota && !fits(add(quota.used, requested), quota.hard) ? 'QUOTA' : 'NO_ROOM'];
    }),
  );
  return ids.map((id) => reasons.get(id) ?? null);
}

/** What all nodes of a tenant have, and who holds what of it. */
export async function readUsage(sql: Sql, tenantId: string) {
  const [nodes, quotas, [queue]] = await Promise.all([
    findNodes(sql, tenantId),
    findQuotas(sql, tenantId, null),
    sql.unsafe(
      `SELECT count(*)::int AS count FROM core.allocation WHERE tenant_id = $1 AND status = 'queued'`,
      [tenantId],
      {
        prepare: true,
      },
    ) as unknown as Promise<[{ count: number }]>,
  ]);
  const sum = (of: (node: (typeof nodes)[number]) => Vector) =>
    nodes.reduce<Vector>((total, node) => add(total, of(node)), zero);
  const capacity = sum(({ healthy, capacity: own, overcommit }) => (healthy ? scale(own, overcommit) : zero));
  const used = sum((node) => node.used);
  return {
    capacity: toAmounts(capacity),
    used: toAmounts(used),
    utilisation: dominantShare(used, capacity),
    queued: queue.count,
    owners: quotas.map((quota) => ({
      ...{ owner: quota.owner, used: toAmounts(quota.used), weight: quota.weight },
      dominantShare: dominantShare(quota.used, capacity),
      aboveSoft: !fits(quota.used, quota.soft),
    })),
    alerts: dimensions.filter((_name, at) => capacity[at]! > 0 && used[at]! / capacity[at]! > thresholds[at]!),
  };
}
