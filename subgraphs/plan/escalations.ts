import type { NewEvent } from '#shared/outbox.ts';
import type { SqlTransaction } from '#shared/sql.ts';
import { askForHelp } from './approval.ts';
import { stepEvents } from './events.ts';
import type { PlanExecutionRow, PlanStepExecutionRow } from './rows.ts';
import { stepExecutionColumns } from './store.ts';

/** Blocked steps that have waited for the next level: those who stand in it are asked too, and the first answer decides. */
export async function escalate(tx: SqlTransaction, run: PlanExecutionRow): Promise<NewEvent[]> {
  const levels = run.policy.failure.escalationLevels ?? [];
  if (levels.length === 0) return [];
  const due = (await tx.unsafe(
    `UPDATE plan.step_execution t SET escalations = t.escalations + 1,
       escalate_at = t.escalate_at + ($3::float8[])[t.escalations + 1] * interval '1 millisecond'
     WHERE t.tenant_id = $1 AND t.execution_id = $2 AND t.status = 'blocked' AND t.escalate_at <= clock_timestamp() RETURNING ${stepExecutionColumns}`,
    // How much later each next level is; the last has none.
    [run.tenantId, run.id, levels.slice(1).map(({ afterMs }, at) => afterMs - levels[at]!.afterMs)],
    { prepare: true },
  )) as unknown as PlanStepExecutionRow[];
  return due.flatMap((step) => {
    const level = levels[step.escalations - 1];
    if (level === undefined) return [];
    return [...stepEvents('step.escalated', step, run, { escalation: step.escalations }), askForHelp(step, run, level)];
  });
}
