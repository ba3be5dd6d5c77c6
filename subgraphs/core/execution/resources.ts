import type { Bus } from '#shared/bus.ts';
import type { Change, NewEvent } from '#shared/outbox.ts';
import type { Sql, SqlTransaction } from '#shared/sql.ts';
import type { Logger } from '#shared/telemetry.ts';
import { noteBudgets, noteExceeded } from '../allocation/budgets.ts';
import { allocationEvent, end, grantAudits, lockQueue, maxQueue, pass } from '../allocation/queue.ts';
import type { AllocationRow, NewAllocation, QuotaRow } from '../allocation/rows.ts';
import * as store from '../allocation/store.ts';
import { reportUse } from '../allocation/usage.ts';
import { add, fits, toVector } from '../allocation/vector.ts';
import { timingKey, workflowKey } from '../workflow/estimate.ts';
import { changeStep, compiledOf, type Draft, note, type StepDraft } from './draft.ts';
import { awaitsResources, giveBackIdle, granted, holdsWaiting, resourceLeaseMs, takeAsking } from './holding.ts';
import { giveBackRun, runGranted, takeRunAsking } from './runResources.ts';
import type { Transitions } from './transitions.ts';

interface Asking {
  readonly draft: Draft;
  /** Null where the run as a whole asks. */
  readonly step: StepDraft | null;
}

/**
 * Gives back what runs and steps no longer need, asks for what they need now, and extends what they hold, in the transaction of the
 * transition. A step holds nothing while it waits for its own, so no two ever wait for each other; runs that hold resources as a
 * whole may, until their time is over.
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
    for (const draft of list) {
      giveBackRun(draft);
      giveBackIdle(draft);
    }
    const released = list.flatMap((draft) => draft.released).sort();
    const asking = list.flatMap((draft): Asking[] => [
      ...(takeRunAsking(draft) ? [{ draft, step: null }] : []),
      ...takeAsking(draft).map((step) => ({ draft, step })),
    ]);
    changes.push(...(await noteReported(tx, tenantId, list)));
    if (released.length + asking.length > 0) {
      const events = await move(tx, tenantId, {
        drafts: list,
        released,
        asking,
        leaseMs: resourceLeaseMs(workerLeaseMs),
      });
      changes.push({ tenantId, actor: 'system', events, audit: grantAudits(events) });
      grantOwn(list, events);
      for (const { draft, step } of asking)
        if (step !== null && awaitsResources(step)) note(draft, 'step.waiting', step, { for: step.waitsFor });
    }
    await extend(tx, tenantId, list);
  }
  return changes;
}

interface Move {
  readonly drafts: readonly Draft[];
  readonly released: readonly string[];
  readonly asking: readonly Asking[];
  readonly leaseMs: number;
}

async function move(
  tx: SqlTransaction,
  tenantId: string,
  { drafts, released, asking, leaseMs }: Move,
): Promise<NewEvent[]> {
  await lockQueue(tx, tenantId);
  const events: NewEvent[] = [];
  for (const id of released) {
    const row = await store.lockAllocation(tx, tenantId, id);
    if (row?.usage) noteUsed(drafts, row);
    if (row?.status === 'active' || row?.status === 'queued')
      events.push(
        allocationEvent(
          'allocation.released',
          await end(tx, row, 'released', `its ${row.stepId === null ? 'execution' : 'step'} needs it no more`),
        ),
      );
  }
  let queued = asking.length === 0 ? 0 : await store.countQueued(tx, tenantId);
  for (const { draft, step } of asking) {
    const row = requestOf(draft, step, leaseMs);
    const [quota] = await store.findQuotas(tx, tenantId, [row.owner]);
    const refusal = queued >= maxQueue ? 'RESOURCE_ALLOCATION_FAILED' : await refusalOf(tx, row, quota);
    if (quota !== undefined && !fits(add(quota.used, row.requested), quota.hard))
      events.push(...(await noteExceeded(tx, tenantId, { ...row, wanted: row.requested })));
    const stored = await store.insertAllocation(tx, {
      ...row,
      ...(refusal === null ? {} : { status: 'failed', reason: refusal }),
    });
    if (refusal === null) queued += 1;
    events.push(allocationEvent(`allocation.${stored.status}`, stored));
  }
  events.push(...(await pass(tx, tenantId)));
  return [...events, ...(await noteBudgets(tx, tenantId, events))];
}

/** What was used of what goes back, for the estimates of what does the same. */
function noteUsed(drafts: readonly Draft[], { executionId, stepId, usage }: AllocationRow): void {
  const draft = drafts.find(({ execution }) => execution.id === executionId);
  if (!draft) return;
  const { workflowId, body } = draft.execution;
  const step = stepId === null ? undefined : draft.workflow.steps.get(stepId);
  const key = stepId === null ? workflowKey(workflowId) : step && timingKey(step.definition, { workflowId, body });
  if (key != null) draft.usages.push({ key, peak: usage!.peak });
}

/** What holders told with their heartbeats; of what has ended meanwhile nothing is noted. */
async function noteReported(tx: SqlTransaction, tenantId: string, drafts: readonly Draft[]): Promise<Change[]> {
  const reported = drafts
    .flatMap((draft) => draft.reported)
    .sort((one, two) => (one.allocationId < two.allocationId ? -1 : 1));
  if (reported.length === 0) return [];
  // More than one allocation is for who has the queue.
  await lockQueue(tx, tenantId);
  const events: NewEvent[] = [];
  for (const { allocationId, used } of reported) {
    const row = await store.lockAllocation(tx, tenantId, allocationId);
    if (row?.status === 'active' && !row.lapsed) events.push(...(await reportUse(tx, row, used)).events);
  }
  return events.length === 0 ? [] : [{ tenantId, actor: 'system', events, audit: [] }];
}

function requestOf(draft: Draft, step: StepDraft | null, leaseMs: number): NewAllocation {
  const { execution, workflow } = draft;
  const { type, requirements, capabilities, affinity, preemptible } = (
    step === null ? workflow.definition : compiledOf(draft, step).definition
  ).resources!;
  const { subject } = execution.principal;
  const id = (step ?? execution).allocationId!;
  return {
    ...{ tenantId: execution.tenantId, id, owner: subject, contextId: execution.contextId, type },
    ...{
      purpose: step === null ? 'its whole execution' : `step ${step.stepId}`,
      requested: toVector(requirements),
      capabilities,
      labels: affinity,
    },
    ...{ priority: execution.priority, preemptible, status: 'queued', reason: null, nodeId: null, leaseEpoch: 0 },
    ...{ leaseMs, queuedAt: '', allocatedAt: null, expiresAt: null, endedAt: null, createdBy: subject },
    ...{ executionId: execution.id, stepId: step?.stepId ?? null },
  };
}

/** Why a request is never granted, however long it waits. */
async function refusalOf(tx: SqlTransaction, row: NewAllocation, quota: QuotaRow | undefined): Promise<string | null> {
  const { tenantId, requested: wanted, capabilities, labels } = row;
  if (!(await store.isFeasible(tx, tenantId, { wanted, capabilities, labels }))) return 'NEVER_FITS';
  return quota !== undefined && !fits(wanted, quota.hard) ? 'QUOTA_EXCEEDED' : null;
}

/** These executions and their steps go on with what they were just given. */
function grantOwn(drafts: readonly Draft[], events: readonly NewEvent[]): void {
  const given = new Map<string, AllocationRow>();
  for (const { type, data } of events) {
    const row = data['allocation'] as AllocationRow;
    if (type === 'allocation.activated') given.set(row.id, row);
  }
  const of = (allocationId: string | null) => (allocationId === null ? undefined : given.get(allocationId));
  for (const draft of drafts) {
    const own = of(draft.execution.allocationId);
    if (own && !draft.execution.holdsResources) {
      runGranted(draft, { nodeId: own.nodeId, epoch: own.leaseEpoch });
      draft.again = true;
    }
    for (const step of draft.steps.values()) {
      const row = of(step.allocationId);
      if (!row || !awaitsResources(step)) continue;
      granted(draft, step, { nodeId: row.nodeId, epoch: row.leaseEpoch });
      // Its wait begins with the next look.
      if (compiledOf(draft, step).definition.kind !== 'task') draft.again = true;
    }
  }
}

/** Whoever holds its own lease, or is about to get one, holds its resources as long; who waits or runs as a whole, while it does. */
async function extend(tx: SqlTransaction, tenantId: string, drafts: readonly Draft[]): Promise<void> {
  const holding = drafts.flatMap((draft) =>
    [...draft.steps.values()]
      .filter(
        (step) =>
          step.allocationId !== null &&
          (step.status === 'ready' ||
            holdsWaiting(step) ||
            (step.status === 'running' && draft.changed.has(step.stepId))),
      )
      .map((step) => ({ draft, step })),
  );
  const runs = drafts.flatMap(({ execution }) => (execution.holdsResources ? [execution.allocationId!] : []));
  const ids = [...runs, ...holding.map(({ step }) => step.allocationId!)];
  if (ids.length === 0) return;
  // What a run or a wait has lost shows at the next look at it.
  const over = new Set(await store.extendLeases(tx, tenantId, ids));
  for (const { draft, step } of holding)
    if (step.status === 'ready' && over.has(step.allocationId!)) changeStep(draft, step, { allocationId: null });
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
      `WITH k AS (SELECT * FROM unnest($1::text[], $2::uuid[], $3::text[], $4::uuid[], $5::text[]) AS k(tenant_id, execution_id, step_id, allocation_id, status))
       SELECT s.tenant_id AS "tenantId", s.execution_id AS "executionId"
       FROM k JOIN core.step_execution s ON s.tenant_id = k.tenant_id AND s.execution_id = k.execution_id AND s.step_id = k.step_id
       WHERE s.allocation_id = k.allocation_id AND (s.status = 'waiting' OR k.status <> 'active')
       UNION
       SELECT e.tenant_id, e.id FROM k JOIN core.execution e ON e.tenant_id = k.tenant_id AND e.id = k.execution_id
       WHERE k.step_id IS NULL AND e.allocation_id = k.allocation_id AND (NOT e.holds_resources OR k.status <> 'active')`,
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
