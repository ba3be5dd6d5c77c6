import type { Sql, SqlTransaction } from '#shared/sql.ts';
import type { NetworkChange } from './networkChange.ts';
import type { PlanDependencyRow, PlanExecutionRow, PlanRow, PlanStepExecutionRow, PlanStepRow } from './rows.ts';

type Db = Sql | SqlTransaction;

const instant = (column: string) => `to_char(${column} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`;

export const planColumns = `p.tenant_id AS "tenantId", p.id, p.context_id AS "contextId", p.title, p.objective, p.status, p.type, p.priority,
  p.requires_approval AS "requiresApproval", p.confirm_id AS "confirmId", p.status_reason AS "statusReason", p.replans, p.definition, p.summary,
  p.schedule, p.protocol, p.step_count AS "stepCount", ${instant('p.archived_at')} AS "archivedAt", p.version, ${instant('p.created_at')} AS "createdAt", p.created_by AS "createdBy",
  ${instant('p.updated_at')} AS "updatedAt", p.updated_by AS "updatedBy"`;

export const stepColumns = `s.tenant_id AS "tenantId", s.plan_id AS "planId", s.id, s.place, s.parent_id AS "parentId", s.name, s.description, s.status, s.type, s.priority,
  s.agent_role AS "agentRole", s.order_index AS "orderIndex", s.duration_ms AS "durationMs", s.capabilities, s.assigned_agents AS "assignedAgents",
  s.details, s.progress, s.result, s.error, s.retry_count AS "retryCount", ${instant('s.started_at')} AS "startedAt",
  ${instant('s.completed_at')} AS "completedAt", s.criteria, s.protocol`;

export const dependencyColumns = `d.tenant_id AS "tenantId", d.plan_id AS "planId", d.id, d.place, d.source_id AS "sourceId", d.target_id AS "targetId",
  d.type, d.lag_ms AS "lagMs", d.criticality, d.condition`;

export const executionColumns = `e.tenant_id AS "tenantId", e.id, e.plan_id AS "planId", e.context_id AS "contextId", e.status,
  CASE e.mode WHEN 'SEQUENTIAL' THEN e.mode ELSE 'PARALLEL' END AS mode,
  e.max_concurrent AS "maxConcurrent", e.lease_ms AS "leaseMs", e.plan_version AS "planVersion", e.policy, e.total_steps AS "totalSteps",
  e.ended_steps AS "endedSteps", e.running_steps AS "runningSteps", e.total_work_ms AS "totalWorkMs", e.done_work_ms AS "doneWorkMs",
  e.paused_by AS "pausedBy", e.status_reason AS "statusReason", e.version, ${instant('e.started_at')} AS "startedAt", e.started_by AS "startedBy",
  ${instant('e.completed_at')} AS "completedAt", ${instant('e.deadline_at')} AS "deadlineAt",
  ${instant('e.checkpoint_at')} AS "checkpointAt", e.checkpoints, ${instant('e.updated_at')} AS "updatedAt"`;

export const stepExecutionColumns = `t.tenant_id AS "tenantId", t.execution_id AS "executionId", t.step_id AS "stepId", t.plan_id AS "planId", t.status,
  t.rank, t.waits, t.finish_waits AS "finishWaits", ${instant('t.ready_at')} AS "readyAt", ${instant('t.retry_at')} AS "retryAt",
  ${instant('t.finish_at')} AS "finishAt", t.demands, t.duration_ms AS "durationMs", t.composite, t.ancestors, t.attempt, t.failures, t.rollbacks, t.escalations,
  t.lease_epoch AS "leaseEpoch", t.lease_owner AS "leaseOwner", t.lease_subject AS "leaseSubject", ${instant('t.lease_until')} AS "leaseUntil",
  t.progress, t.state, t.result, t.error, t.waived, t.criteria, t.open_reviews AS "openReviews", ${instant('t.started_at')} AS "startedAt", ${instant('t.finished_at')} AS "finishedAt"`;

async function read<Row>(db: Db, text: string, parameters: readonly unknown[]): Promise<Row[]> {
  return (await db.unsafe(text, parameters as never[], { prepare: true })) as unknown as Row[];
}

export function findPlans(db: Db, tenantId: string, ids: readonly string[]): Promise<PlanRow[]> {
  return read(db, `SELECT ${planColumns} FROM plan.plan p WHERE p.tenant_id = $1 AND p.id = ANY($2::uuid[])`, [
    tenantId,
    ids,
  ]);
}

export async function lockPlan(tx: SqlTransaction, tenantId: string, id: string): Promise<PlanRow | null> {
  const [row] = await read<PlanRow>(
    tx,
    `SELECT ${planColumns} FROM plan.plan p WHERE p.tenant_id = $1 AND p.id = $2 FOR UPDATE`,
    [tenantId, id],
  );
  return row ?? null;
}

/** Of several tenants, in the order of their keys. */
export function lockPlans(
  tx: SqlTransaction,
  keys: readonly { readonly tenantId: string; readonly id: string }[],
): Promise<PlanRow[]> {
  return read(
    tx,
    `SELECT ${planColumns} FROM plan.plan p WHERE (p.tenant_id, p.id) IN (SELECT * FROM unnest($1::text[], $2::uuid[])) ORDER BY p.tenant_id, p.id FOR UPDATE`,
    [keys.map(({ tenantId }) => tenantId), keys.map(({ id }) => id)],
  );
}

export function findSteps(db: Db, tenantId: string, planIds: readonly string[]): Promise<PlanStepRow[]> {
  return read(
    db,
    `SELECT ${stepColumns} FROM plan.step s WHERE s.tenant_id = $1 AND s.plan_id = ANY($2::uuid[]) ORDER BY s.plan_id, s.place`,
    [tenantId, planIds],
  );
}

export function findStepsById(
  db: Db,
  tenantId: string,
  keys: readonly { readonly planId: string; readonly id: string }[],
): Promise<PlanStepRow[]> {
  return read(
    db,
    `SELECT ${stepColumns} FROM unnest($2::uuid[], $3::uuid[]) AS k(plan_id, id) JOIN plan.step s ON s.tenant_id = $1 AND s.plan_id = k.plan_id AND s.id = k.id`,
    [tenantId, keys.map((key) => key.planId), keys.map((key) => key.id)],
  );
}

export function findDependencies(db: Db, tenantId: string, planIds: readonly string[]): Promise<PlanDependencyRow[]> {
  return read(
    db,
    `SELECT ${dependencyColumns} FROM plan.dependency d WHERE d.tenant_id = $1 AND d.plan_id = ANY($2::uuid[]) ORDER BY d.plan_id, d.place`,
    [tenantId, planIds],
  );
}

export function findExecutions(db: Db, tenantId: string, ids: readonly string[]): Promise<PlanExecutionRow[]> {
  return read(
    db,
    `SELECT ${executionColumns} FROM plan.execution e WHERE e.tenant_id = $1 AND e.id = ANY($2::uuid[])`,
    [tenantId, ids],
  );
}

export async function findLatestExecution(db: Db, tenantId: string, planId: string): Promise<PlanExecutionRow | null> {
  const [row] = await read<PlanExecutionRow>(
    db,
    `SELECT ${executionColumns} FROM plan.execution e WHERE e.tenant_id = $1 AND e.plan_id = $2 ORDER BY e.started_at DESC, e.id DESC LIMIT 1`,
    [tenantId, planId],
  );
  return row ?? null;
}

/** Steps of runs, each run's in its order. */
export function findStepExecutions(
  db: Db,
  tenantId: string,
  executionIds: readonly string[],
  stepIds: readonly string[] | null = null,
): Promise<PlanStepExecutionRow[]> {
  return read(
    db,
    `SELECT ${stepExecutionColumns} FROM plan.step_execution t WHERE t.tenant_id = $1 AND t.execution_id = ANY($2::uuid[])${
      stepIds === null ? '' : ' AND t.step_id = ANY($3::uuid[])'
    } ORDER BY t.execution_id, t.rank`,
    stepIds === null ? [tenantId, executionIds] : [tenantId, executionIds, stepIds],
  );
}

/** Inserts plans, or takes over what of them can change. */
export async function upsertPlans(
  tx: SqlTransaction,
  rows: readonly PlanRow[],
  mode: 'insert' | 'upsert',
): Promise<void> {
  await tx.unsafe(
    `INSERT INTO plan.plan (tenant_id, id, context_id, title, objective, status, type, priority, requires_approval, confirm_id, status_reason, replans, definition, summary, schedule, protocol, step_count, archived_at, version, created_at, created_by, updated_at, updated_by)
     SELECT "tenantId", id, "contextId", title, objective, status, type, priority, "requiresApproval", "confirmId", "statusReason", replans, definition, summary, schedule, protocol, "stepCount", "archivedAt", version, "createdAt", "createdBy", "updatedAt", "updatedBy"
     FROM json_to_recordset($1::text::json) AS x("tenantId" text, id uuid, "contextId" uuid, title text, objective text, status text, type text, priority text, "requiresApproval" bool, "confirmId" uuid, "statusReason" text, replans int, definition jsonb, summary jsonb, schedule jsonb, protocol jsonb, "stepCount" int, "archivedAt" timestamptz, version int, "createdAt" timestamptz, "createdBy" text, "updatedAt" timestamptz, "updatedBy" text)
     ${
       mode === 'insert'
         ? ''
         : `ON CONFLICT (tenant_id, id) DO UPDATE SET title = EXCLUDED.title, objective = EXCLUDED.objective, status = EXCLUDED.status, type = EXCLUDED.type, priority = EXCLUDED.priority,
     requires_approval = EXCLUDED.requires_approval, confirm_id = EXCLUDED.confirm_id, status_reason = EXCLUDED.status_reason, replans = EXCLUDED.replans, definition = EXCLUDED.definition,
     summary = EXCLUDED.summary, schedule = EXCLUDED.schedule, step_count = EXCLUDED.step_count, archived_at = EXCLUDED.archived_at, version = EXCLUDED.version, updated_at = EXCLUDED.updated_at, updated_by = EXCLUDED.updated_by`
     }`,
    [JSON.stringify(rows)],
    { prepare: true },
  );
}

export async function insertSteps(tx: SqlTransaction, rows: readonly PlanStepRow[]): Promise<void> {
  if (rows.length === 0) return;
  await tx.unsafe(
    `INSERT INTO plan.step (tenant_id, plan_id, id, place, parent_id, name, description, status, type, priority, agent_role, order_index, duration_ms, capabilities, assigned_agents, details, protocol, progress)
     SELECT "tenantId", "planId", id, place, "parentId", name, description, status, type, priority, "agentRole", "orderIndex", "durationMs", capabilities, "assignedAgents", details, protocol, progress
     FROM json_to_recordset($1::text::json) AS x("tenantId" text, "planId" uuid, id uuid, place int, "parentId" uuid, name text, description text, status text, type text, priority text, "agentRole" text, "orderIndex" int, "durationMs" bigint, capabilities text[], "assignedAgents" text[], details jsonb, protocol jsonb, progress float8)`,
    [JSON.stringify(rows)],
    { prepare: true },
  );
}

export async function insertDependencies(tx: SqlTransaction, rows: readonly PlanDependencyRow[]): Promise<void> {
  if (rows.length === 0) return;
  await tx.unsafe(
    `INSERT INTO plan.dependency (tenant_id, plan_id, id, place, source_id, target_id, type, lag_ms, criticality, condition)
     SELECT "tenantId", "planId", id, place, "sourceId", "targetId", type, "lagMs", criticality, condition
     FROM json_to_recordset($1::text::json) AS x("tenantId" text, "planId" uuid, id uuid, place int, "sourceId" uuid, "targetId" uuid, type text, "lagMs" bigint, criticality text, condition text)`,
    [JSON.stringify(rows)],
    { prepare: true },
  );
}

/** Writes an edit of a draft: what it leaves alone is not touched. */
export async function changeNetwork(
  tx: SqlTransaction,
  { tenantId, id }: PlanRow,
  change: NetworkChange,
): Promise<void> {
  const remove = (table: string, ids: readonly string[]) =>
    ids.length === 0
      ? undefined
      : tx.unsafe(
          `DELETE FROM plan.${table} WHERE tenant_id = $1 AND plan_id = $2 AND id = ANY($3::uuid[])`,
          [tenantId, id, ids as string[]],
          { prepare: true },
        );
  await Promise.all([
    remove('dependency', change.removedDependencies),
    remove('step', change.removedSteps),
    insertSteps(tx, change.addedSteps),
    updateSteps(tx, change.changedSteps),
    insertDependencies(tx, change.addedDependencies),
  ]);
}

/** Takes over what of a draft's steps can change. */
async function updateSteps(tx: SqlTransaction, rows: readonly PlanStepRow[]): Promise<void> {
  if (rows.length === 0) return;
  await tx.unsafe(
    `UPDATE plan.step s SET parent_id = x."parentId", name = x.name, description = x.description, status = x.status, type = x.type, priority = x.priority, agent_role = x."agentRole",
       order_index = x."orderIndex", duration_ms = x."durationMs", capabilities = x.capabilities, assigned_agents = x."assignedAgents", details = x.details,
       progress = x.progress, result = NULL, error = NULL, retry_count = 0, started_at = NULL, completed_at = NULL, criteria = '[]'
     FROM json_to_recordset($1::text::json) AS x("tenantId" text, "planId" uuid, id uuid, "parentId" uuid, name text, description text, status text, type text, priority text, "agentRole" text, "orderIndex" int, "durationMs" bigint, capabilities text[], "assignedAgents" text[], details jsonb, progress float8)
     WHERE s.tenant_id = x."tenantId" AND s.plan_id = x."planId" AND s.id = x.id`,
    [JSON.stringify(rows)],
    { prepare: true },
  );
}

export async function removeNetwork(tx: SqlTransaction, tenantId: string, planId: string): Promise<void> {
  await tx.unsafe('DELETE FROM plan.step WHERE tenant_id = $1 AND plan_id = $2', [tenantId, planId], { prepare: true });
  await tx.unsafe('DELETE FROM plan.dependency WHERE tenant_id = $1 AND plan_id = $2', [tenantId, planId], {
    prepare: true,
  });
}
