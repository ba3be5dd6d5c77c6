import type { NewEvent, NewJob } from '#shared/outbox.ts';
import type { SqlTransaction } from '#shared/sql.ts';
import { askForHelp } from './approval.ts';
import { stepEvents } from './events.ts';
import type { PlanStepExecutionRow } from './rows.ts';
import { skipDependents } from './runDependents.ts';
import { rollUpRun, splitByEnd } from './runRollUp.ts';
import { changeRun, changeRunStep, type LockedRun, mirrorSteps, recountSuccessors } from './runStore.ts';
import { stepExecutionColumns } from './store.ts';

interface Failure {
  readonly tx: SqlTransaction;
  readonly run: LockedRun;
  readonly step: PlanStepExecutionRow;
  readonly error: { readonly message: string; readonly retryable: boolean };
  readonly subject: string;
}

interface RunEnds {
  ended(
    tx: SqlTransaction,
    run: LockedRun,
    steps: readonly PlanStepExecutionRow[],
    options: { readonly released: number; readonly actor: string },
  ): Promise<{ readonly events: NewEvent[]; readonly jobs: NewJob[] }>;
  failRun(
    tx: SqlTransaction,
    run: LockedRun,
    options: { readonly reason: string; readonly actor: string },
  ): Promise<{ readonly events: NewEvent[] }>;
}

/** An attempt that its agent did not end itself: its lease lapsed, or it took too long. */
export const lapsedError = { message: 'the lease lapsed', retryable: true } as const;
export const timeoutError = { message: 'timeout: the attempt took longer than it may', retryable: true } as const;

const released = `lease_owner = NULL, lease_subject = NULL, lease_until = NULL, progress = 0`;

/** The strategies in the plan's order: the first that still has something to do decides. */
export async function handleFailure(
  failure: Failure,
  { ended, failRun }: RunEnds,
): Promise<{ readonly events: NewEvent[]; readonly jobs: NewJob[] }> {
  const { tx, step, error, subject } = failure;
  const policy = failure.run.policy.failure;
  const failures = step.failures + 1;
  const give = async () =>
    ({ ...(await changeRun(tx, failure.run, 'running_steps = running_steps - 1')), now: failure.run.now }) as LockedRun;
  for (const strategy of policy.enabled === false ? [] : policy.strategies) {
    if (strategy === 'RETRY' && error.retryable && failures < policy.maxAttempts) {
      const run = await give();
      // Full jitter over the upper half: spread, and never at once.
      const ceiling = Math.min(policy.maxDelayMs, policy.delayMs * policy.backoffFactor ** (failures - 1));
      const delayMs = Math.round(ceiling / 2 + (Math.random() * ceiling) / 2);
      const waiting = await changeRunStep(
        tx,
        run,
        step.stepId,
        `status = 'pending', failures = $4, error = $5, retry_at = clock_timestamp() + $6 * interval '1 millisecond', ${released}`,
        [failures, error.message, delayMs],
      );
      await mirrorSteps(tx, [waiting]);
      return { events: stepEvents('step.retrying', waiting, run, { delayMs }), jobs: [] };
    }
    if (strategy === 'ROLLBACK' && step.rollbacks === 0) {
      const run = await give();
      const events = await rollBack({ ...failure, run }, failures);
      if (events !== null) return { events, jobs: [] };
      failure = {
        ...failure,
        run: { ...(await changeRun(tx, run, 'running_steps = running_steps + 1')), now: run.now },
      };
    }
    if (strategy === 'SKIP') {
      const skipped = await changeRunStep(
        tx,
        failure.run,
        step.stepId,
        `status = 'skipped', failures = $4, error = $5, finished_at = clock_timestamp(), lease_until = NULL`,
        [failures, error.message],
      );
      const along = policy.skipDependents === true ? await skipDependents(tx, failure.run, skipped) : [];
      return ended(tx, failure.run, [skipped, ...along], { released: 1, actor: subject });
    }
    if (strategy === 'MANUAL_INTERVENTION') {
      const run = await give();
      const blocked = await changeRunStep(
        tx,
        run,
        step.stepId,
        `status = 'blocked', failures = $4, error = $5, overdue_at = clock_timestamp() + $6::float8 * interval '1 millisecond',
         escalations = 0, escalate_at = clock_timestamp() + $7::float8 * interval '1 millisecond', ${released}`,
        [failures, error.message, policy.manualTimeoutMs ?? null, policy.escalationLevels?.[0]?.afterMs ?? null],
      );
      await mirrorSteps(tx, [blocked]);
      const asked = policy.approvalRequired === false ? [] : [askForHelp(blocked, run)];
      return { events: [...stepEvents('step.blocked', blocked, run), ...asked], jobs: [] };
    }
  }
  const run = await give();
  const failed = await changeRunStep(
    tx,
    run,
    step.stepId,
    `status = 'failed', failures = $4, error = $5, finished_at = clock_timestamp(), lease_until = NULL`,
    [failures, error.message],
  );
  await mirrorSteps(tx, [failed]);
  const outcome = await failRun(tx, run, { reason: `step ${step.stepId} failed: ${error.message}`, actor: subject });
  return { events: [...stepEvents('step.failed', failed, run), ...outcome.events], jobs: [] };
}

/** The completed predecessors of the step, so many levels deep and since the last checkpoint, are done again, and then the step; once for a step. */
async function rollBack({ tx, run, step, error }: Failure, failures: number): Promise<NewEvent[] | null> {
  const again = (await tx.unsafe(
    `WITH RECURSIVE before AS (
       SELECT d.source_id AS id, 1 AS depth FROM plan.dependency d WHERE d.tenant_id = $1 AND d.plan_id = $3 AND d.target_id = ANY($4::uuid[]) AND d.criticality = 'blocking'
       UNION SELECT d.source_id, b.depth + 1 FROM before b JOIN plan.dependency d ON d.tenant_id = $1 AND d.plan_id = $3 AND d.target_id = b.id AND d.criticality = 'blocking' WHERE b.depth < $5
     )
     UPDATE plan.step_execution t SET status = 'pending', started_at = NULL, finished_at = NULL, failures = 0, retry_at = NULL, lease_epoch = lease_epoch + 1, state = NULL, waived = '{}', ${released}
     WHERE t.tenant_id = $1 AND t.execution_id = $2 AND t.status = 'completed' AND NOT t.composite
       AND EXISTS (SELECT 1 FROM before b WHERE b.id = t.step_id OR b.id = ANY(t.ancestors))
       AND NOT EXISTS (SELECT 1 FROM plan.execution e WHERE e.tenant_id = $1 AND e.id = $2 AND t.finished_at <= e.checkpoint_at)
     RETURNING ${stepExecutionColumns}`,
    [run.tenantId, run.id, run.planId, [step.stepId, ...step.ancestors], run.policy.failure.rollbackDepth],
    { prepare: true },
  )) as unknown as PlanStepExecutionRow[];
  if (again.length === 0) return null;
  const waiting = await changeRunStep(
    tx,
    run,
    step.stepId,
    `status = 'pending', failures = 0, rollbacks = rollbacks + 1, started_at = NULL, error = $4, state = NULL, ${released}`,
    [`rolled back after ${failures} failures: ${error.message}`],
  );
  const work = again.reduce((sum, { durationMs }) => sum + durationMs, 0);
  const rolled = await rollUpRun(tx, [...again, waiting]);
  const after = await changeRun(tx, run, 'ended_steps = ended_steps - $3, done_work_ms = done_work_ms - $4', [
    again.length + splitByEnd(rolled).reopened.length,
    work,
  ]);
  await recountSuccessors(
    tx,
    after,
    [...again, waiting, ...rolled].map(({ stepId }) => stepId),
  );
  await mirrorSteps(tx, [...again, waiting, ...rolled]);
  return [...again, waiting].flatMap((entry) => stepEvents('step.rolledback', entry, after));
}
