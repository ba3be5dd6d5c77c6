import { PlatformError } from '#shared/errors.ts';
import type { NewEvent, NewJob } from '#shared/outbox.ts';
import type { SqlTransaction } from '#shared/sql.ts';
import { executionEvent, planEvent, stepEvents } from './events.ts';
import type { PlanExecutionRow, PlanRow, PlanStatusValue, PlanStepExecutionRow } from './rows.ts';
import { judgeConditions } from './runConditions.ts';
import { rollUpRun, splitByEnd } from './runRollUp.ts';
import {
  changeRun,
  changeRunStep,
  endOpenSteps,
  type LockedRun,
  mirrorSteps,
  recountSuccessors,
  settleFinishing,
} from './runStore.ts';
import { lockPlan, upsertPlans } from './store.ts';

/** Moves the plan along with its run. */
export async function movePlan(
  tx: SqlTransaction,
  run: PlanExecutionRow,
  status: PlanStatusValue,
  { now, actor, reason }: { readonly now: string; readonly actor: string; readonly reason: string | null },
): Promise<NewEvent[]> {
  const plan = await lockPlan(tx, run.tenantId, run.planId);
  if (!plan || plan.status === status) return [];
  const moved: PlanRow = {
    ...plan,
    status,
    statusReason: reason,
    version: plan.version + 1,
    updatedAt: now,
    updatedBy: actor,
  };
  await upsertPlans(tx, [moved], 'upsert');
  return [planEvent('plan.status.changed', moved, { status: [plan.status, status] })];
}

/** Steps have ended: frees their successors, and ends the run with its last step. */
export async function ended(
  tx: SqlTransaction,
  run: LockedRun,
  steps: readonly PlanStepExecutionRow[],
  options: { readonly released: number; readonly actor: string },
): Promise<{ readonly run: PlanExecutionRow; readonly events: NewEvent[]; readonly jobs: NewJob[] }> {
  const events: NewEvent[] = [];
  const jobs: NewJob[] = [];
  let ends = 0;
  let work = 0;
  const changed = new Map<string, PlanStepExecutionRow>();
  let wave = steps;
  while (wave.length > 0) {
    const gone = wave.filter(({ status }) => status === 'completed' || status === 'skipped');
    ends += gone.length;
    const judged = await judgeConditions(tx, run, gone);
    for (const step of gone) {
      // The work of a composite step is that of its parts.
      if (!step.composite) work += step.durationMs;
      const conditions = judged.get(step.stepId);
      events.push(...stepEvents(`step.${step.status}`, step, run, conditions && { conditions }));
    }
    for (const step of wave) changed.set(step.stepId, step);
    const next = await recountSuccessors(
      tx,
      run,
      wave.map(({ stepId }) => stepId),
    );
    const rolled = await rollUpRun(tx, wave);
    for (const step of rolled) changed.set(step.stepId, step);
    for (const { status, finishAt, finishWaits, stepId } of [...next, ...rolled])
      if (status === 'finishing' && finishWaits === 0 && finishAt !== null) jobs.push(settleJob(run, stepId, finishAt));
    const settled = next.some(({ status, finishWaits }) => status === 'finishing' && finishWaits === 0)
      ? await settleFinishing(tx, run)
      : [];
    wave = [...splitByEnd(rolled).ended, ...settled];
  }
  await mirrorSteps(tx, [...changed.values()]);
  const done = run.endedSteps + ends >= run.totalSteps;
  const isCheckpoint = !done && (await passesCheckpoint(tx, run, { ends, steps }));
  const after = await changeRun(
    tx,
    run,
    `ended_steps = ended_steps + $3, running_steps = running_steps - $4, done_work_ms = done_work_ms + $5,
     status = CASE WHEN $6::bool THEN 'COMPLETED' ELSE status END, completed_at = CASE WHEN $6::bool THEN clock_timestamp() END,
     checkpoints = checkpoints + $7::bool::int, checkpoint_at = CASE WHEN $7::bool THEN clock_timestamp() ELSE checkpoint_at END`,
    [ends, options.released, work, done, isCheckpoint],
  );
  events.push(executionEvent('plan.execution.progress', after));
  if (isCheckpoint) events.push(executionEvent('plan.execution.checkpoint', after));
  if (done) {
    events.push(executionEvent('plan.execution.completed', after));
    events.push(...(await movePlan(tx, after, 'completed', { now: run.now, actor: options.actor, reason: null })));
  }
  return { run: after, events, jobs };
}

/** After so many ended steps, and after steps that are there for it where something could be rolled back. */
async function passesCheckpoint(
  tx: SqlTransaction,
  run: PlanExecutionRow,
  { ends, steps }: { readonly ends: number; readonly steps: readonly PlanStepExecutionRow[] },
): Promise<boolean> {
  const { checkpointFrequency: every, strategies } = run.policy.failure;
  if (every !== undefined && Math.floor((run.endedSteps + ends) / every) > Math.floor(run.endedSteps / every))
    return true;
  if (!strategies.includes('ROLLBACK')) return false;
  const completed = steps.filter(({ status }) => status === 'completed').map(({ stepId }) => stepId);
  const found = await tx.unsafe(
    `SELECT 1 FROM plan.step WHERE tenant_id = $1 AND plan_id = $2 AND id = ANY($3::uuid[]) AND type = 'CHECKPOINT' LIMIT 1`,
    [run.tenantId, run.planId, completed],
    { prepare: true },
  );
  return found.length > 0;
}

/** A step that nothing can mend ends the run. */
export async function failRun(
  tx: SqlTransaction,
  run: LockedRun,
  { reason, actor }: { readonly reason: string; readonly actor: string },
): Promise<{ readonly run: PlanExecutionRow; readonly events: NewEvent[] }> {
  const stopped = await endOpenSteps(tx, run, 'pending', null);
  await mirrorSteps(tx, stopped);
  const after = await changeRun(
    tx,
    run,
    `status = 'FAILED', status_reason = $3, running_steps = 0, completed_at = clock_timestamp()`,
    [reason],
  );
  return {
    run: after,
    events: [
      executionEvent('plan.execution.failed', after, { reason }),
      ...(await movePlan(tx, after, 'failed', { now: run.now, actor, reason })),
    ],
  };
}

export async function cancelRun(
  tx: SqlTransaction,
  run: LockedRun,
  { reason, actor }: { readonly reason: string | null; readonly actor: string },
): Promise<{ readonly run: PlanExecutionRow; readonly events: NewEvent[] }> {
  const stopped = await endOpenSteps(tx, run, 'skipped', reason === null ? 'cancelled' : `cancelled: ${reason}`);
  await mirrorSteps(tx, stopped);
  const after = await changeRun(
    tx,
    run,
    `status = 'CANCELLED', status_reason = $3, running_steps = 0, completed_at = clock_timestamp()`,
    [reason],
  );
  return {
    run: after,
    events: [
      ...stopped.flatMap((step) => stepEvents('step.skipped', step, after, { reason: 'cancelled' })),
      executionEvent('plan.execution.cancelled', after, { reason }),
      ...(await movePlan(tx, after, 'cancelled', { now: run.now, actor, reason })),
    ],
  };
}

/** Nobody mends a blocked step: it has failed, and the run with it. */
export async function failBlocked(
  tx: SqlTransaction,
  run: LockedRun,
  { stepId }: PlanStepExecutionRow,
  { reason, actor }: { readonly reason: string | null; readonly actor: string },
): Promise<{ readonly events: NewEvent[]; readonly jobs: NewJob[] }> {
  const failed = await changeRunStep(
    tx,
    run,
    stepId,
    `status = 'failed', finished_at = clock_timestamp(), escalate_at = NULL`,
  );
  await mirrorSteps(tx, [failed]);
  const outcome = await failRun(tx, run, { reason: reason ?? failed.error ?? 'a step failed', actor });
  return { events: [...stepEvents('step.failed', failed, run, { reason }), ...outcome.events], jobs: [] };
}

export function isOpen({ status }: PlanExecutionRow): boolean {
  return status === 'RUNNING' || status === 'PAUSED';
}

export function notActive({ status }: PlanExecutionRow): PlatformError {
  return new PlatformError('EXECUTION_NOT_ACTIVE', `the execution is ${status}`, {
    path: ['executionId'],
    details: { status },
  });
}

/** Looks at a run again when the end of a step falls due. */
export function settleJob(run: PlanExecutionRow, stepId: string, at: string): NewJob {
  return {
    task: 'plan.settle',
    payload: { tenantId: run.tenantId, executionId: run.id },
    runAt: new Date(at),
    key: `plan.settle:${run.id}:${stepId}`,
  };
}
