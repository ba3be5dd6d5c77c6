import type { SqlTransaction } from '#shared/sql.ts';
import type { PlanExecutionRow, PlanStepExecutionRow } from './rows.ts';
import { findWaivedBySkips } from './runConditions.ts';
import { stepExecutionColumns } from './store.ts';

/**
 * Gives up what has not begun and depends on a step that is given up, through any number of relations that hold; of
 * composite steps all that lies in them. What is at work goes on, and so does what would be waived.
 */
export async function skipDependents(
  tx: SqlTransaction,
  run: PlanExecutionRow,
  { stepId, ancestors }: PlanStepExecutionRow,
): Promise<PlanStepExecutionRow[]> {
  return (await tx.unsafe(
    `WITH RECURSIVE after AS (
       SELECT $4::uuid AS id
       UNION SELECT t.step_id FROM after a
         JOIN plan.dependency d ON d.tenant_id = $1 AND d.plan_id = $3 AND d.source_id = a.id AND d.criticality = 'blocking' AND NOT d.id = ANY($7::uuid[])
         JOIN plan.step_execution t ON t.tenant_id = $1 AND t.execution_id = $2 AND (t.step_id = d.target_id OR d.target_id = ANY(t.ancestors))
     )
     UPDATE plan.step_execution t SET status = 'skipped', finished_at = clock_timestamp(), error = $5, overdue_at = NULL, escalate_at = NULL
     FROM after a WHERE t.tenant_id = $1 AND t.execution_id = $2 AND t.step_id = a.id AND a.id <> $4::uuid
       AND t.status IN ('pending', 'blocked') AND NOT t.composite AND NOT t.step_id = ANY($6::uuid[])
     RETURNING ${stepExecutionColumns}`,
    [
      run.tenantId,
      run.id,
      run.planId,
      stepId,
      `skipped with step ${stepId}`,
      ancestors as string[],
      await findWaivedBySkips(tx, run),
    ],
    { prepare: true },
  )) as unknown as PlanStepExecutionRow[];
}
