import type { SqlTransaction } from '#shared/sql.ts';
import { judge, type Verdict } from './dependencyCondition.ts';
import type { PlanExecutionRow, PlanStepExecutionRow } from './rows.ts';

/** Of the conditional dependencies of a run's plan alone; `d` is the dependency. */
const conditional = `d.criticality = 'blocking' AND d.condition IS NOT NULL AND d.type IN ('finish_to_start', 'finish_to_finish')`;

export interface JudgedDependency extends Verdict {
  readonly dependencyId: string;
}

/**
 * Holds the conditions of what waits for these steps against how they ended, and keeps what is waived with them. By step,
 * what was found, for its event.
 */
export async function judgeConditions(
  tx: SqlTransaction,
  run: PlanExecutionRow,
  ended: readonly PlanStepExecutionRow[],
): Promise<ReadonlyMap<string, readonly JudgedDependency[]>> {
  const judged = new Map<string, JudgedDependency[]>();
  if (run.policy.conditional !== true || ended.length === 0) return judged;
  const found = (await tx.unsafe(
    `SELECT d.id, d.source_id AS "sourceId", d.condition FROM plan.dependency d
     WHERE d.tenant_id = $1 AND d.plan_id = $2 AND d.source_id = ANY($3::uuid[]) AND ${conditional} ORDER BY d.place`,
    [run.tenantId, run.planId, ended.map(({ stepId }) => stepId)],
    { prepare: true },
  )) as unknown as { id: string; sourceId: string; condition: string }[];
  if (found.length === 0) return judged;
  const stepOf = new Map(ended.map((step) => [step.stepId, step]));
  for (const { id, sourceId, condition } of found) {
    const step = stepOf.get(sourceId)!;
    const verdict = judge(condition, {
      status: step.status === 'skipped' ? 'SKIPPED' : 'COMPLETED',
      result: step.result,
      attempts: step.attempt,
      failures: step.failures,
      durationMs:
        step.startedAt === null || step.finishedAt === null
          ? null
          : Date.parse(step.finishedAt) - Date.parse(step.startedAt),
    });
    const list = judged.get(sourceId);
    if (list) list.push({ dependencyId: id, ...verdict });
    else judged.set(sourceId, [{ dependencyId: id, ...verdict }]);
  }
  const waived = [...judged].flatMap(([stepId, verdicts]) => {
    const ids = verdicts.flatMap(({ dependencyId, holds }) => (holds ? [] : [dependencyId]));
    return ids.length === 0 ? [] : [{ stepId, ids }];
  });
  if (waived.length > 0)
    await tx.unsafe(
      `UPDATE plan.step_execution t SET waived = x.ids FROM json_to_recordset($3::text::json) AS x("stepId" uuid, ids uuid[])
       WHERE t.tenant_id = $1 AND t.execution_id = $2 AND t.step_id = x."stepId"`,
      [run.tenantId, run.id, JSON.stringify(waived)],
      { prepare: true },
    );
  return judged;
}

/** Dependencies that would be waived if the step they wait for were given up, wherever it stands. */
export async function findWaivedBySkips(tx: SqlTransaction, run: PlanExecutionRow): Promise<string[]> {
  if (run.policy.conditional !== true) return [];
  const found = (await tx.unsafe(
    `SELECT d.id, d.condition, s.attempt, s.failures FROM plan.dependency d
     JOIN plan.step_execution s ON s.tenant_id = d.tenant_id AND s.execution_id = $3 AND s.step_id = d.source_id
     WHERE d.tenant_id = $1 AND d.plan_id = $2 AND ${conditional}`,
    [run.tenantId, run.planId, run.id],
    { prepare: true },
  )) as unknown as { id: string; condition: string; attempt: number; failures: number }[];
  return found.flatMap(({ id, condition, attempt, failures }) => {
    const skipped = { status: 'SKIPPED', result: null, attempts: attempt, failures, durationMs: null } as const;
    return judge(condition, skipped).holds ? [] : [id];
  });
}
