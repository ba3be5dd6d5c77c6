import { PlatformError } from '#shared/errors.ts';
import type { NewEvent, NewJob } from '#shared/outbox.ts';
import type { SqlTransaction } from '#shared/sql.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import type { Commands } from './commands.ts';
import { stepEvents } from './events.ts';
import { createLeases } from './leases.ts';
import { createReviews } from './reviews.ts';
import { skipDependents } from './runDependents.ts';
import { ended, failBlocked, isOpen, notActive } from './runEnds.ts';
import { settle } from './runSettling.ts';
import { changeRunStep, findRunStep, lockRun, mirrorSteps } from './runStore.ts';

export type Runs = ReturnType<typeof createRuns>;

/** What happens in a run once it is started. Every change is made under the run's lock, by the database's clock. */
export function createRuns(runtime: ModuleRuntime, commands: Commands) {
  const { sql } = runtime;
  return {
    ...createLeases(runtime, commands),
    ...createReviews(commands),

    /** A person's decision about a blocked step. @throws {INVALID_STATE} {NOT_FOUND} {EXECUTION_NOT_ACTIVE} */
    async resolve(
      tx: SqlTransaction,
      target: {
        readonly tenantId: string;
        readonly executionId: string;
        readonly stepId: string;
        readonly actor: string;
        /** The attempt that it was blocked with, where the answer is to that alone. */
        readonly blockedAt?: number | null;
      },
      {
        resolution,
        reason,
        skipDependents: along = null,
      }: {
        readonly resolution: 'RETRY' | 'SKIP' | 'FAIL';
        readonly reason: string | null;
        /** @default as the plan says */
        readonly skipDependents?: boolean | null | undefined;
      },
    ): Promise<{ readonly events: NewEvent[]; readonly jobs: NewJob[] }> {
      const { actor, blockedAt = null } = target;
      const run = await lockRun(tx, target.tenantId, target.executionId);
      const step = await findRunStep(tx, run, target.stepId);
      if (!step) throw new PlatformError('NOT_FOUND', 'no such step in this execution', { path: ['stepId'] });
      if (!isOpen(run)) throw notActive(run);
      if (step.status !== 'blocked' || step.composite)
        throw new PlatformError(
          'INVALID_STATE',
          step.composite
            ? 'expected a sub-task: a composite step goes on with them'
            : `expected a blocked step, it is ${step.status.toUpperCase()}`,
          {
            path: ['stepId'],
          },
        );
      if (blockedAt !== null && blockedAt !== step.attempt)
        throw new PlatformError('INVALID_STATE', `expected attempt ${blockedAt}, the step is blocked with another`, {
          path: ['stepId'],
          details: { attempt: step.attempt },
        });
      if (resolution === 'RETRY') {
        const again = await changeRunStep(
          tx,
          run,
          step.stepId,
          `status = 'pending', failures = 0, retry_at = NULL, escalate_at = NULL`,
        );
        await mirrorSteps(tx, [again]);
        return { events: stepEvents('step.unblocked', again, run, { reason }), jobs: [] };
      }
      if (resolution === 'SKIP') {
        const skipped = await changeRunStep(
          tx,
          run,
          step.stepId,
          `status = 'skipped', finished_at = clock_timestamp()`,
        );
        const dependents =
          (along ?? run.policy.failure.skipDependents === true) ? await skipDependents(tx, run, skipped) : [];
        return ended(tx, run, [skipped, ...dependents], { released: 0, actor });
      }
      return failBlocked(tx, run, step, { reason, actor });
    },

    /** Leases that lapsed, timed ends and deadlines of all runs: after a crash this is what goes on. */
    async sweep(): Promise<number> {
      const due = (await sql.unsafe(
        `SELECT DISTINCT tenant_id AS "tenantId", execution_id AS "executionId" FROM (
           (SELECT tenant_id, execution_id FROM plan.step_execution WHERE status = 'leased' AND lease_until < now() LIMIT 500)
           UNION ALL (SELECT tenant_id, execution_id FROM plan.step_execution WHERE status IN ('leased', 'blocked') AND overdue_at < now() LIMIT 500)
           UNION ALL (SELECT tenant_id, execution_id FROM plan.step_execution WHERE status = 'blocked' AND escalate_at <= now() LIMIT 500)
           UNION ALL (SELECT tenant_id, execution_id FROM plan.step_execution WHERE status = 'finishing' AND finish_waits = 0 AND open_reviews = 0 AND finish_at <= now() LIMIT 500)
           UNION ALL (SELECT tenant_id, id FROM plan.execution WHERE status IN ('RUNNING', 'PAUSED') AND deadline_at <= now() LIMIT 500)) d`,
        [],
        { prepare: true },
      )) as unknown as { tenantId: string; executionId: string }[];
      for (const { tenantId, executionId } of due) await this.settleOne(tenantId, executionId);
      return due.length;
    },

    async settleOne(tenantId: string, executionId: string): Promise<void> {
      await commands.runAs(tenantId, 'system', async (tx) => {
        const run = await lockRun(tx, tenantId, executionId);
        if (!isOpen(run)) return { response: null };
        const { events, jobs } = await settle(tx, run, 'system');
        return { response: null, events, jobs };
      });
    },
  };
}
