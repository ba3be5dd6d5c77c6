import { derivedId } from '#shared/derivedId.ts';
import type { NewAudit, NewEvent } from '#shared/outbox.ts';
import type { SqlTransaction } from '#shared/sql.ts';
import type { AllocationRow } from './rows.ts';
import { schedule, toRequest } from './scheduler.ts';
import * as store from './store.ts';
import { toAmounts } from './vector.ts';

/** A request rises by one class for each such time it has waited. */
export const ageingMs = 60_000;

/** Requests of a tenant that wait at most. */
export const maxQueue = 5_000;

/** The stream of all allocations of a tenant. */
export const allocationStream = (tenantId: string): string => derivedId(`core:allocations:${tenantId}`);

export function allocationEvent(
  type: string,
  row: AllocationRow,
  more: Readonly<Record<string, unknown>> = {},
): NewEvent {
  return {
    streamId: allocationStream(row.tenantId),
    type,
    data: { allocation: row, ...more },
    tags: [`CoreResourceAllocation:${row.id}`, 'allocations'],
  };
}

/** Each allocation that was granted, for the audit: whoever made the room, and whoever it was granted to. */
export function grantAudits(events: readonly NewEvent[]): NewAudit[] {
  return events.flatMap(({ type, data }) => {
    if (type !== 'allocation.activated') return [];
    const { id, owner, nodeId, requested, executionId, stepId } = data['allocation'] as AllocationRow;
    const detail = { owner, nodeId, requested: toAmounts(requested), executionId, stepId };
    return [{ action: 'resource.allocated', resource: 'CoreResourceAllocation', resourceId: id, detail }];
  });
}

/**
 * Passes over a queue are one after the other. Locks are taken in one order: the queue, then allocations, quotas and nodes in any,
 * which only whoever has the queue may do with more than one of a kind. Without it one may hold a single allocation, or a quota and
 * then a node that nobody holds (`reserveBest`), and wait for nothing further but the streams of its events.
 */
export const lockQueue = (tx: SqlTransaction, tenantId: string) =>
  tx.unsafe(`SELECT pg_advisory_xact_lock(hashtextextended('core.queue/' || $1, 0))`, [tenantId], { prepare: true });

/** Ends an active lease and gives back what it held. Quota before node, as everywhere. */
export async function end(
  tx: SqlTransaction,
  row: AllocationRow,
  status: AllocationRow['status'],
  reason: string | null,
): Promise<AllocationRow> {
  if (row.status === 'active') {
    await store.giveQuota(tx, row.tenantId, row.owner, row.requested);
    await store.freeNode(tx, row.tenantId, row.nodeId!, row.requested);
  }
  return store.changeAllocation(tx, row, 'status = $3, reason = $4, ended_at = now(), lease_epoch = lease_epoch + 1', [
    status,
    reason,
  ]);
}

const activate = (tx: SqlTransaction, row: AllocationRow, nodeId: string) =>
  store.changeAllocation(
    tx,
    row,
    `status = 'active', node_id = $3, lease_epoch = lease_epoch + 1, allocated_at = now(), expires_at = now() + lease_ms * interval '1 millisecond'`,
    [nodeId],
  );

/** One pass over the queue of a tenant, in the caller's transaction. */
export async function pass(tx: SqlTransaction, tenantId: string): Promise<NewEvent[]> {
  await lockQueue(tx, tenantId);
  const queue = await store.findQueue(tx, tenantId, 1_000);
  if (queue.length === 0) return [];
  const [nodes, active, quotas] = await Promise.all([
    store.findNodes(tx, tenantId),
    store.findPreemptible(tx, tenantId),
    store.findQuotas(tx, tenantId, null),
  ]);
  const steps = schedule({
    nodes,
    queue: queue.map(toRequest),
    active: active.map((row) => ({
      ...toRequest(row),
      ...{ nodeId: row.nodeId!, preemptible: row.preemptible, allocatedAtMs: Date.parse(row.allocatedAt!) },
    })),
    owners: new Map(quotas.map((quota) => [quota.owner, quota])),
    nowMs: Date.now(),
    ageingMs,
  });
  const events: NewEvent[] = [];
  const failed = new Set<string>();
  for (const step of steps) {
    if (step.kind === 'preempt') {
      const victim = await store.lockAllocation(tx, tenantId, step.allocationId);
      if (victim?.status !== 'active') continue;
      const row = await end(tx, victim, 'preempted', `for ${step.for}`);
      events.push(allocationEvent('allocation.preempted', row, { for: step.for }));
      continue;
    }
    const request = await store.lockAllocation(tx, tenantId, step.requestId);
    if (request?.status !== 'queued' || failed.has(request.owner)) continue;
    // What was read may be older than what stands: the conditional updates decide, and the next pass goes on.
    if (!(await store.takeQuota(tx, tenantId, request.owner, request.requested))) {
      failed.add(request.owner);
      continue;
    }
    if (!(await store.reserveOn(tx, tenantId, step.nodeId, request.requested))) {
      await store.giveQuota(tx, tenantId, request.owner, request.requested);
      continue;
    }
    events.push(allocationEvent('allocation.activated', await activate(tx, request, step.nodeId)));
  }
  return events;
}
