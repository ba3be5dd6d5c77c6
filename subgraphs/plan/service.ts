import { createBeforeHooks } from '#shared/beforeHooks.ts';
import type { Consumer } from '#shared/consumer.ts';
import { requireId } from '#shared/ids.ts';
import type { JobHandler } from '#shared/jobs.ts';
import type { ModuleRuntime, StartedModule } from '#shared/subgraph.ts';
import { createAdaptations } from './adaptations.ts';
import { createAnalyses } from './analyses.ts';
import { createApprovalRules } from './approvalRules.ts';
import { createContributions } from './collaboration/contributions.ts';
import { createSessions } from './collaboration/sessions.ts';
import { createCommands } from './commands.ts';
import { createConfirms } from './confirms.ts';
import { type ContextChange, createContexts } from './contexts.ts';
import { createDecompositions } from './decompositions.ts';
import { executionEvent } from './events.ts';
import { createExecutions } from './executions.ts';
import { createMethods } from './methods.ts';
import { createOptimizations } from './optimizations.ts';
import { createPlans } from './plans.ts';
import { createPlanReads } from './reads.ts';
import { createRoles } from './roles.ts';
import { changeRun, lockRun } from './runStore.ts';
import { createRuns } from './runs.ts';

const sweepEveryMs = 1_000;

export type PlanService = ReturnType<typeof createPlanService>;

export function createPlanService(runtime: ModuleRuntime) {
  const { sql, logger } = runtime;
  const commands = createCommands(runtime);
  const contexts = createContexts(runtime, commands);
  const runs = createRuns(runtime, commands);
  const methods = createMethods(runtime, commands);
  const plans = createPlans(runtime, { commands, contexts, decompositions: createDecompositions(runtime, methods) });
  const hooks = createBeforeHooks(runtime, 'plan');
  const executions = createExecutions(runtime, { commands, contexts, runs, hooks });
  const roles = createRoles(runtime);
  const analyses = createAnalyses(runtime, roles);
  const sessions = createSessions(runtime, commands);
  const confirms = createConfirms(runtime, { commands, runs, rules: createApprovalRules(runtime) });
  let followers: readonly Consumer[] = [];

  /** A context that is no longer active pauses its running executions; nobody resumes them for it. */
  async function followContext({ tenantId, contextId, status }: ContextChange): Promise<void> {
    if (status === 'active') return;
    const open = (await sql.unsafe(
      `SELECT id FROM plan.execution WHERE tenant_id = $1 AND context_id = $2 AND status = 'RUNNING'`,
      [tenantId, contextId],
      { prepare: true },
    )) as unknown as { id: string }[];
    for (const { id } of open) {
      await commands.runAs(tenantId, 'system', async (tx) => {
        const run = await lockRun(tx, tenantId, id);
        if (run.status !== 'RUNNING') return { response: null };
        const reason = `the context is ${status.toUpperCase()}`;
        const after = await changeRun(tx, run, `status = 'PAUSED', paused_by = 'CONTEXT', status_reason = $3`, [
          reason,
        ]);
        return { response: null, events: [executionEvent('plan.execution.paused', after, { reason })] };
      });
    }
  }

  return {
    sql,
    keyedSql: runtime.keyedSql ?? sql,
    roles,
    learn: contexts.learn,
    reads: createPlanReads(runtime),
    methods,
    plans,
    runs,
    executions,
    analyses,
    optimizations: createOptimizations(runtime, { analyses, plans }),
    adaptations: createAdaptations(runtime, { commands, runs }),
    confirms,
    sessions,
    contributions: createContributions(commands),

    /** Reads everything other modules have told so far; for tests. */
    async catchUp(): Promise<void> {
      for (const follower of followers) await follower.catchUp();
    },

    async start(): Promise<StartedModule> {
      followers = await Promise.all([
        contexts.follow(followContext),
        confirms.follow(),
        roles.follow(),
        hooks.follow(),
      ]);
      let sweeping: Promise<unknown> = Promise.resolve();
      const timer = setInterval(() => {
        sweeping = sweeping
          .then(() => runs.sweep())
          .then(() => sessions.sweep())
          .catch((error: unknown) =>
            logger.warn({ error: String(error) }, 'a sweep of what is due failed; the next follows'),
          );
      }, sweepEveryMs);
      return {
        async close() {
          clearInterval(timer);
          await sweeping;
          await Promise.all(followers.map((follower) => follower.close()));
          await plans.drain();
        },
      };
    },

    jobs(): Readonly<Record<string, JobHandler>> {
      return {
        settle: async (payload) => {
          const { tenantId, executionId } = payload as Readonly<Record<string, unknown>>;
          if (typeof tenantId !== 'string') throw new Error('a job without tenant');
          await runs.settleOne(tenantId, requireId(executionId, ['executionId']));
        },
        closeSession: async (payload) => {
          const { tenantId, sessionId } = payload as Readonly<Record<string, unknown>>;
          if (typeof tenantId !== 'string') throw new Error('a job without tenant');
          await sessions.expire(tenantId, requireId(sessionId, ['sessionId']));
        },
        sweep: async () => {
          await runs.sweep();
          await sessions.sweep();
        },
      };
    },
  };
}

/** graphile-worker's crontab: minute hour day month weekday task. */
export const planCrontab = ['* * * * * plan.sweep'];
