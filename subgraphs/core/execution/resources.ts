import type { Bus } from '#shared/bus.ts';
import type { Change, NewEvent } from '#shared/outbox.ts';
import type { Sql, SqlTransaction } from '#shared/sql.ts';
import type { Logger } from '#shared/telemetry.ts';
import { allocationEvent, end, grantAudits, lockQueue, maxQueue, pass } from '../allocation/queue.ts';
import type { AllocationRow, NewAllocation } from '../allocation/rows.ts';
import * as store from '../allocation/store.ts';
import { fits, toVector } from '../allocation/vector.ts';
import { changeStep, compiledOf, type Draft, note, type StepDraft } from './draft.ts';
import { awaitsResources, giveBackIdle, granted, takeAsking } from './holding.ts';
import type { Transitions } from './transitions.ts';

/**
 * A step's lease of its resources outlives the lease of its worker, under which both are extended: what a worker that died
 * held goes back with the step; this is for when nobody is left to see to that.
 */
const minLeaseMs = 60_000;

interface Asking {
  readonly draft: Draft;
  readonly step: StepDraft;
}

/**
 * Gives back what steps no longer need, asks for what those that could begin need, and extends what they hold, in the
 * transaction of the transition: a step holds nothing while it waits, so no two ever wait for each other.
 * @returns what is to be told of the allocations
 */
export async function settleResources(
  tx: SqlTransaction,
  drafts: readonly Draft[],
  workerLeaseMs: number,
): Promise<Change[]> {
  const own = drafts.filter(({ workflow, released }) => workflow.holdsResources || released.length > 0);
  const changes: Change[] = [];
  // Tenant by tenant in one order: each has a lock of its own.
  const byTenant = [...Map.groupBy(own, ({ execution }) => execution.tenantId)].sort(([one], [two]) =>
    one < two ? -1 : 1,
  );
  for (const [tenantId, list] of byTenant) {
    for (const draft of list) giveBackIdle(draft);
    const released = list.flatMap((draft) => draft.released).sort();
    const asking = list.flatMap((draft) => takeAsking(draft).map((step): Asking => ({ draft, step })));
    if (released.length + asking.length > 0) {
      const events = await move(tx, tenantId, { released, asking, leaseMs: Math.max(minLeaseMs, 3 * workerLeaseMs) });
      changes.push({ tenantId, actor: 'system', events, audit: grantAudits(events) });
      grantOwn(list, events);
      for (const { draft, step } of asking)
        if (awaitsResources(step)) note(draft, 'step.waiting', step, { for: step.waitsFor });
    }
    await extend(tx, tenantId, list);
  }
  return changes;
}

async function move(
  tx: SqlTransaction,
  tenantId: string,
  {
    released,
    asking,
    leaseMs,
  }: { readonly released: readonly string[]; readonly asking: readonly Asking[]; readonly leaseMs: number },
): Promise<NewEvent[]> {
  await lockQueue(tx, tenantId);
  const events: NewEvent[] = [];
  for (const id of released) {
    const row = await store.lockAllocation(tx, tenantId, id);
    if (row?.status === 'active' || row?.status === 'queued')
      events.push(allocationEvent('allocation.released', await end(tx, row, 'released', 'its step needs it no more')));
  }
  let queued = asking.length === 0 ? 0 : await store.countQueued(tx, tenantId);
  for (const { draft, step } of asking) {
    const row = requestOf(draft, step, leaseMs);
    const refusal = queued >= maxQueue ? 'RESOURCE_ALLOCATION_FAILED' : await refusalOf(tx, row);
    const stored = await store.insertAllocation(tx, {
      ...row,
      ...(refusal === null ? {} : { status: 'failed', reason: refusal }),
    });
    if (refusal === null) queued += 1;
    events.push(allocationEvent(`allocation.${stored.status}`, stored));
  }
  return [...events, ...(await pass(tx, tenantId))];
}

function requestOf(draft: Draft, step: StepDraft, leaseMs: number): NewAllocation {
  const { execution } = draft;
  const { type, requirements, capabilities, affinity, preemptible } = compiledOf(draft, step).definition.resources!;
  const { subject } = execution.principal;
  return {
    ...{ tenantId: execution.tenantId, id: step.allocationId!, owner: subject, contextId: execution.contextId, type },
    ...{ purpose: `step ${step.stepId}`, requested: toVector(requirements), capabilities, labels: affinity },
    ...{ priority: execution.priority, preemptible, status: 'queued', reason: null, nodeId: null, leaseEpoch: 0 },
    ...{ leaseMs, queuedAt: '', allocatedAt: null, expiresAt: null, endedAt: null, createdBy: subject },
    ...{ executionId: execution.id, stepId: step.stepId },
  };
}

/** Why a request is never granted, however long it waits. */
async function refusalOf(tx: SqlTransaction, row: NewAllocation): Promise<string | null> {
  const { tenantId, owner, requested: wanted, capabilities, labels } = row;
  if (!(await store.isFeasible(tx, tenantId, { wanted, capabilities, labels }))) return 'NEVER_FITS';
  const [quota] = await store.findQuotas(tx, tenantId, [owner]);
  return quota !== undefined && !fits(wanted, quota.hard) ? 'QUOTA_EXCEEDED' : null;
}

/** Steps of these executions go on at once with what they were just given. */
function grantOwn(drafts: readonly Draft[], events: readonly NewEvent[]): void {
  const given = new Map<string, AllocationRow>();
  for (const { type, data } of events) {
    const row = data['allocation'] as AllocationRow;
    if (type === 'allocation.activated') given.set(row.id, row);
  }
  for (const draft of drafts)
    for (const step of draft.steps.values()) {
      const row = step.allocationId === null ? undefined : given.get(step.allocationId);
      if (row && awaitsResources(step)) granted(draft, step, { nodeId: row.nodeId, epoch: row.leaseEpoch });
    }
}

/** Whoever holds its own lease, or is about to get one, holds its resources as long. */
async function extend(tx: SqlTransaction, tenantId: string, drafts: readonly Draft[]): Promise<void> {
  const holding = drafts.flatMap((draft) =>
    [...draft.steps.values()]
      .filter(
        ({ stepId, status, allocationId }) =>
          allocationId !== null && (status === 'ready' || (status === 'running' && draft.changed.has(stepId))),
      )
      .map((step): Asking => ({ draft, step })),
  );
  if (holding.length === 0) return;
  const ids = holding.map(({ step }) => step.allocationId!);
  const held = new Set(await store.extendLeases(tx, tenantId, ids));
  for (const { draft, step } of holding)
    if (step.status === 'ready' && !held.has(step.allocationId!)) changeStep(draft, step, { allocationId: null });
}

const moved: ReadonlySet<string> = new Set([
  'allocation.activated',
  'allocation.failed',
  'allocation.preempted',
  'allocation.expired',
  'allocation.released',
]);

/** Looks at executions of whose resources something was heard; what is lost on the way is found when they are looked at. */
export function followAllocations(
  { sql, bus, logger }: { readonly sql: Sql; readonly bus: Bus; readonly logger: Logger },
  transitions: Transitions,
): () => void {
  async function wake(rows: readonly AllocationRow[]): Promise<void> {
    const found = (await sql.unsafe(
      `SELECT DISTINCT s.tenant_id AS "tenantId", s.execution_id AS "executionId"
       FROM unnest($1::text[], $2::uuid[], $3::text[], $4::uuid[], $5::text[]) AS k(tenant_id, execution_id, step_id, allocation_id, status)
       JOIN core.step_execution s ON s.tenant_id = k.tenant_id AND s.execution_id = k.execution_id AND s.step_id = k.step_id
       WHERE s.allocation_id = k.allocation_id AND (s.status = 'waiting' OR k.status <> 'active')`,
      [
        rows.map(({ tenantId }) => tenantId),
        rows.map(({ executionId }) => executionId),
        rows.map(({ stepId }) => stepId),
        rows.map(({ id }) => id),
        rows.map(({ status }) => status),
      ],
      { prepare: true },
    )) as unknown as { tenantId: string; executionId: string }[];
    await Promise.all(found.map((key) => transitions.send(key, { kind: 'due' })));
  }
  return bus.subscribe('core', (events) => {
    const rows = events
      .filter(({ type }) => moved.has(type))
      .map(({ data }) => data['allocation'] as AllocationRow)
      .filter(({ executionId }) => executionId != null);
    if (rows.length === 0) return;
    wake(rows).catch((error: unknown) =>
      logger.warn({ error: String(error) }, 'steps that wait for resources were not woken; they look by themselves'),
    );
  });
}
