import { PlatformError } from '#shared/errors.ts';
import type { SqlTransaction } from '#shared/sql.ts';
import type { AgentRequirement, StaffedAgent } from './dispatch/index.ts';
import type { PlanExecutionRow, PlanStepExecutionRow, StepDetails } from './rows.ts';
import { rollUpRun } from './runRollUp.ts';
import { executionColumns, stepExecutionColumns } from './store.ts';

async function read<Row>(tx: SqlTransaction, text: string, parameters: readonly unknown[]): Promise<Row[]> {
  return (await tx.unsafe(text, parameters as never[], { prepare: true })) as unknown as Row[];
}

/** The run under its lock, with the database's clock: no lease knows another. */
export type LockedRun = PlanExecutionRow & { readonly now: string };

/** @throws {NOT_FOUND} */
export async function lockRun(tx: SqlTransaction, tenantId: string, executionId: string): Promise<LockedRun> {
  const [row] = await read<LockedRun>(
    tx,
    `SELECT ${executionColumns}, to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS now
     FROM plan.execution e WHERE e.tenant_id = $1 AND e.id = $2 FOR UPDATE`,
    [tenantId, executionId],
  );
  if (!row) throw new PlatformError('NOT_FOUND', 'no such execution', { path: ['executionId'] });
  return row;
}

/**
 * Leases past their end go back: their epoch rises, so that a late completion is refused. Where a lapse counts as an
 * attempt and it was the last one, the step stays: its failure is handled.
 */
export function recoverLapsed(tx: SqlTransaction, run: PlanExecutionRow): Promise<PlanStepExecutionRow[]> {
  const { lapsesCount = true, maxAttempts } = run.policy.failure;
  return read(
    tx,
    `UPDATE plan.step_execution t SET status = 'pending', failures = failures + $3::int, lease_epoch = lease_epoch + 1, lease_owner = NULL, lease_subject = NULL, lease_until = NULL, progress = 0
     WHERE t.tenant_id = $1 AND t.execution_id = $2 AND t.status = 'leased' AND t.lease_until < clock_timestamp() AND (t.overdue_at IS NULL OR t.overdue_at >= clock_timestamp())
       AND t.failures + $3::int < $4::int RETURNING ${stepExecutionColumns}`,
    [run.tenantId, run.id, lapsesCount ? 1 : 0, lapsesCount ? maxAttempts : 2_147_483_647],
  );
}

/** Each has an index of the steps in its state. */
const dueConditions = [
  `t.status = 'leased' AND t.lease_until < clock_timestamp()`,
  `t.status IN ('leased', 'blocked') AND t.overdue_at < clock_timestamp()`,
  `t.status = 'blocked' AND t.escalate_at <= clock_timestamp()`,
  `t.status = 'finishing' AND t.finish_waits = 0 AND t.open_reviews = 0 AND (t.finish_at IS NULL OR t.finish_at <= clock_timestamp())`,
];

/** Whether time has made anything due in the run's steps: what `recoverLapsed`, `findOverdue`, escalations or `settleFinishing` would find. */
export async function isAnythingDue(tx: SqlTransaction, run: PlanExecutionRow): Promise<boolean> {
  const [row] = await read<{ readonly due: boolean }>(
    tx,
    `SELECT ${dueConditions.map((due) => `EXISTS (SELECT FROM plan.step_execution t WHERE t.tenant_id = $1 AND t.execution_id = $2 AND ${due})`).join(' OR ')} AS due`,
    [run.tenantId, run.id],
  );
  return row!.due;
}

export type OverdueStep = PlanStepExecutionRow & { readonly timedOut: boolean };

/** What has waited too long: attempts past their time or with a last lease that lapsed, and blocked steps nobody decided about. */
export function findOverdue(tx: SqlTransaction, run: PlanExecutionRow): Promise<OverdueStep[]> {
  return read(
    tx,
    `SELECT ${stepExecutionColumns}, COALESCE(t.overdue_at < clock_timestamp(), false) AS "timedOut" FROM plan.step_execution t
     WHERE t.tenant_id = $1 AND t.execution_id = $2 AND t.status IN ('leased', 'blocked')
       AND (t.overdue_at < clock_timestamp() OR (t.status = 'leased' AND t.lease_until < clock_timestamp())) ORDER BY t.rank FOR UPDATE`,
    [run.tenantId, run.id],
  );
}

export interface ClaimQuery {
  readonly agentId: string;
  readonly capabilities: readonly string[];
  readonly roles: readonly string[];
  /** No step that would take longer, ms. Null: however long. */
  readonly withinMs: number | null;
  readonly limit: number;
}

/** A step that may be claimed, with what it asks of agents. */
export type ClaimableStep = PlanStepExecutionRow & {
  readonly capabilities: readonly string[];
  readonly agents: readonly string[];
  readonly agentRole: string | null;
  /** How long it has been offered to the least loaded of the run's pool, ms; null where it has not. */
  readonly offeredMs: number | null;
};

/** Ready steps that the agent can do, the most urgent first. */
export function findClaimable(tx: SqlTransaction, run: PlanExecutionRow, query: ClaimQuery): Promise<ClaimableStep[]> {
  return read(
    tx,
    `SELECT ${stepExecutionColumns}, t.capabilities, t.agents, t.agent_role AS "agentRole",
       (extract(epoch FROM clock_timestamp() - t.offered_at) * 1000)::float8 AS "offeredMs" FROM plan.step_execution t
     WHERE t.tenant_id = $1 AND t.execution_id = $2 AND t.status = 'pending' AND t.waits = 0
       AND (t.ready_at IS NULL OR t.ready_at <= clock_timestamp()) AND (t.retry_at IS NULL OR t.retry_at <= clock_timestamp())
       AND NOT t.composite AND (t.ancestors = '{}' OR NOT EXISTS (SELECT 1 FROM plan.step_execution a WHERE a.tenant_id = $1 AND a.execution_id = $2
         AND a.step_id = ANY(t.ancestors) AND (a.waits > 0 OR a.ready_at > clock_timestamp())))
       AND t.capabilities <@ $3::text[] AND (t.agents = '{}' OR $4 = ANY(t.agents)) AND (t.agent_role IS NULL OR t.agent_role = ANY($5::text[]))
       AND ($7::float8 IS NULL OR t.duration_ms <= $7::float8)
     ORDER BY t.rank LIMIT $6 FOR UPDATE SKIP LOCKED`,
    [run.tenantId, run.id, query.capabilities, query.agentId, query.roles, query.limit, query.withinMs],
  );
}

export function findHolders(tx: SqlTransaction, run: PlanExecutionRow): Promise<PlanStepExecutionRow[]> {
  return read(
    tx,
    `SELECT ${stepExecutionColumns} FROM plan.step_execution t WHERE t.tenant_id = $1 AND t.execution_id = $2 AND t.status = 'leased'`,
    [run.tenantId, run.id],
  );
}

export async function findRunStep(
  tx: SqlTransaction,
  run: PlanExecutionRow,
  stepId: string,
): Promise<(PlanStepExecutionRow & { readonly lapsed: boolean }) | null> {
  const [row] = await read<PlanStepExecutionRow & { readonly lapsed: boolean }>(
    tx,
    `SELECT ${stepExecutionColumns}, COALESCE(LEAST(t.lease_until, t.overdue_at) < clock_timestamp(), false) AS lapsed FROM plan.step_execution t
     WHERE t.tenant_id = $1 AND t.execution_id = $2 AND t.step_id = $3 FOR UPDATE`,
    [run.tenantId, run.id, stepId],
  );
  return row ?? null;
}

/** What a step of a run asks of who is to do it, whoever was named for it. */
export async function findRequirement(
  tx: SqlTransaction,
  { tenantId, executionId, stepId }: Pick<PlanStepExecutionRow, 'tenantId' | 'executionId' | 'stepId'>,
): Promise<AgentRequirement> {
  const [row] = await read<{ readonly capabilities: readonly string[]; readonly role: string | null }>(
    tx,
    'SELECT t.capabilities, t.agent_role AS role FROM plan.step_execution t WHERE t.tenant_id = $1 AND t.execution_id = $2 AND t.step_id = $3',
    [tenantId, executionId, stepId],
  );
  return { capabilities: row?.capabilities ?? [], role: row?.role ?? undefined };
}

/** What the plan says of a step. */
export async function findDetails(
  tx: SqlTransaction,
  { tenantId, planId, stepId }: Pick<PlanStepExecutionRow, 'tenantId' | 'planId' | 'stepId'>,
): Promise<StepDetails> {
  const [row] = await read<{ readonly details: StepDetails }>(
    tx,
    'SELECT s.details FROM plan.step s WHERE s.tenant_id = $1 AND s.plan_id = $2 AND s.id = $3',
    [tenantId, planId, stepId],
  );
  return row?.details ?? {};
}

/** Names of columns are the code's own; values go as parameters. `$now` stands for the database's clock. */
export async function changeRunStep(
  tx: SqlTransaction,
  run: PlanExecutionRow,
  stepId: string,
  assignments: string,
  parameters: readonly unknown[] = [],
): Promise<PlanStepExecutionRow> {
  const [row] = await read<PlanStepExecutionRow>(
    tx,
    `UPDATE plan.step_execution t SET ${assignments} WHERE t.tenant_id = $1 AND t.execution_id = $2 AND t.step_id = $3 RETURNING ${stepExecutionColumns}`,
    [run.tenantId, run.id, stepId, ...parameters],
  );
  return row!;
}

export async function changeRun(
  tx: SqlTransaction,
  run: PlanExecutionRow,
  assignments: string,
  parameters: readonly unknown[] = [],
): Promise<PlanExecutionRow> {
  const [row] = await read<PlanExecutionRow>(
    tx,
    `UPDATE plan.execution e SET ${assignments}, version = version + 1, updated_at = clock_timestamp() WHERE e.tenant_id = $1 AND e.id = $2 RETURNING ${executionColumns}`,
    [run.tenantId, run.id, ...parameters],
  );
  return row!;
}

/** Mirrors the run's steps into the plan's own, and with them the composite steps that they lie in. */
export async function mirrorSteps(tx: SqlTransaction, changed: readonly PlanStepExecutionRow[]): Promise<void> {
  if (changed.length === 0) return;
  const latest = new Map(changed.map((row) => [row.stepId, row]));
  for (const row of await rollUpRun(tx, changed)) latest.set(row.stepId, row);
  const values = [...latest.values()].map((row) => ({
    tenant: row.tenantId,
    plan: row.planId,
    id: row.stepId,
    status: ['leased', 'running', 'finishing'].includes(row.status) ? 'in_progress' : row.status,
    work: row.composite ? row.durationMs : null,
    progress: row.progress,
    result: row.result ?? null,
    error: row.error,
    criteria: row.criteria,
    retries: row.failures,
    started: row.startedAt,
    finished: row.finishedAt,
  }));
  await tx.unsafe(
    `UPDATE plan.step s SET duration_ms = COALESCE(x.work, s.duration_ms), status = x.status, progress = x.progress, result = x.result, error = x.error, criteria = x.criteria, retry_count = x.retries, started_at = x.started, completed_at = x.finished
     FROM json_to_recordset($1::text::json) AS x(tenant text, plan uuid, id uuid, status text, work bigint, progress float8, result jsonb, error text, criteria jsonb, retries int, started timestamptz, finished timestamptz)
     WHERE s.tenant_id = x.tenant AND s.plan_id = x.plan AND s.id = x.id`,
    [JSON.stringify(values)],
    { prepare: true },
  );
}

/**
 * Counts anew what holds the successors of these steps: a relation counts until the event it starts from has happened,
 * and its lag runs from there on. A skipped predecessor holds nothing, nor does a dependency that its end has waived.
 */
export function recountSuccessors(
  tx: SqlTransaction,
  run: PlanExecutionRow,
  stepIds: readonly string[],
): Promise<PlanStepExecutionRow[]> {
  return read(
    tx,
    `WITH relation AS (
       SELECT d.target_id, d.type IN ('finish_to_start', 'start_to_start') AS start_bound,
              CASE WHEN s.status = 'skipped' OR d.id = ANY(s.waived) THEN true
                   WHEN d.type IN ('finish_to_start', 'finish_to_finish') THEN s.status = 'completed'
                   ELSE s.started_at IS NOT NULL AND s.status <> 'pending' END AS met,
              CASE WHEN s.status = 'skipped' OR d.id = ANY(s.waived) OR d.lag_ms <= 0 THEN NULL
                   WHEN d.type IN ('finish_to_start', 'finish_to_finish') THEN s.finished_at
                   ELSE s.started_at END + d.lag_ms * interval '1 millisecond' AS due
       FROM plan.dependency d JOIN plan.step_execution s ON s.tenant_id = d.tenant_id AND s.execution_id = $2 AND s.step_id = d.source_id
       WHERE d.tenant_id = $1 AND d.plan_id = $3 AND d.criticality = 'blocking' AND d.target_id IN
         (SELECT o.target_id FROM plan.dependency o WHERE o.tenant_id = $1 AND o.plan_id = $3 AND o.source_id = ANY($4::uuid[]))
     ), held AS (
       SELECT target_id, (count(*) FILTER (WHERE start_bound AND NOT met))::int AS waits, max(due) FILTER (WHERE start_bound AND met) AS ready_at,
              (count(*) FILTER (WHERE NOT start_bound AND NOT met))::int AS finish_waits, max(due) FILTER (WHERE NOT start_bound AND met) AS finish_at
       FROM relation GROUP BY target_id
     )
     UPDATE plan.step_execution t SET waits = h.waits, ready_at = GREATEST(t.ready_at, h.ready_at), finish_waits = h.finish_waits, finish_at = h.finish_at
     FROM (SELECT * FROM held ORDER BY target_id) h
     WHERE t.tenant_id = $1 AND t.execution_id = $2 AND t.step_id = h.target_id RETURNING ${stepExecutionColumns}`,
    [run.tenantId, run.id, run.planId, stepIds],
  );
}

/** Steps whose work is done and whose end nothing holds any more. */
export function settleFinishing(tx: SqlTransaction, run: PlanExecutionRow): Promise<PlanStepExecutionRow[]> {
  return read(
    tx,
    `UPDATE plan.step_execution t SET status = 'completed', progress = 1, finished_at = clock_timestamp(), lease_owner = t.lease_owner
     WHERE t.tenant_id = $1 AND t.execution_id = $2 AND t.status = 'finishing' AND t.finish_waits = 0 AND t.open_reviews = 0 AND (t.finish_at IS NULL OR t.finish_at <= clock_timestamp())
     RETURNING ${stepExecutionColumns}`,
    [run.tenantId, run.id],
  );
}

/** Ends all open leases, as a run that ends does; what was not done takes the status given. */
export function endOpenSteps(
  tx: SqlTransaction,
  run: PlanExecutionRow,
  status: 'pending' | 'skipped',
  error: string | null,
): Promise<PlanStepExecutionRow[]> {
  return read(
    tx,
    `UPDATE plan.step_execution t SET status = CASE WHEN $3 = 'pending' AND t.status <> 'leased' THEN t.status ELSE $3 END, error = COALESCE($4, t.error),
       lease_epoch = lease_epoch + 1, lease_owner = NULL, lease_subject = NULL, lease_until = NULL
     WHERE t.tenant_id = $1 AND t.execution_id = $2 AND t.status NOT IN ('completed', 'skipped', 'failed') RETURNING ${stepExecutionColumns}`,
    [run.tenantId, run.id, status, error],
  );
}

export async function insertRun(
  tx: SqlTransaction,
  run: Omit<
    PlanExecutionRow,
    'startedAt' | 'updatedAt' | 'completedAt' | 'deadlineAt' | 'checkpointAt' | 'checkpoints'
  > & {
    readonly timeoutMs: number | null;
    readonly pool: readonly StaffedAgent[] | null;
  },
  steps: readonly object[],
): Promise<PlanExecutionRow> {
  const [row] = await read<PlanExecutionRow>(
    tx,
    `INSERT INTO plan.execution AS e (tenant_id, id, plan_id, context_id, status, mode, max_concurrent, lease_ms, plan_version, policy, total_steps, total_work_ms, started_at, started_by, updated_at, deadline_at, pool)
     SELECT "tenantId", id, "planId", "contextId", status, mode, "maxConcurrent", "leaseMs", "planVersion", policy, "totalSteps", "totalWorkMs", now(), "startedBy", now(), now() + "timeoutMs" * interval '1 millisecond', pool
     FROM json_to_record($1::text::json) AS x("tenantId" text, id uuid, "planId" uuid, "contextId" uuid, status text, mode text, "maxConcurrent" int, "leaseMs" int, "planVersion" int, policy jsonb, "totalSteps" int, "totalWorkMs" bigint, "startedBy" text, "timeoutMs" bigint, pool jsonb)
     RETURNING ${executionColumns}`,
    [JSON.stringify(run)],
  );
  await tx.unsafe(
    `INSERT INTO plan.step_execution (tenant_id, execution_id, step_id, plan_id, status, rank, waits, finish_waits, ready_at, capabilities, agents, agent_role, demands, duration_ms, timeout_ms, composite, ancestors, parent_id)
     SELECT $2, $3, "stepId", $4, 'pending', rank, waits, "finishWaits", now() + "releaseMs" * interval '1 millisecond', capabilities, agents, "agentRole", demands, "durationMs", "timeoutMs", composite, ancestors, "parentId"
     FROM json_to_recordset($1::text::json) AS x("stepId" uuid, rank int, waits int, "finishWaits" int, "releaseMs" bigint, capabilities text[], agents text[], "agentRole" text, demands jsonb, "durationMs" bigint, "timeoutMs" bigint, composite bool, ancestors uuid[], "parentId" uuid)`,
    [JSON.stringify(steps), run.tenantId, run.id, run.planId],
    { prepare: true },
  );
  return row!;
}
