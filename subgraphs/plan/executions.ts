import type { BeforeHooks } from '#shared/beforeHooks.ts';
import type { RequestScope } from '#shared/context.ts';
import { PlatformError } from '#shared/errors.ts';
import { isId } from '#shared/ids.ts';
import { holds } from '#shared/rights.ts';
import type { SqlTransaction } from '#shared/sql.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import { parseInput } from '#shared/validation.ts';
import { planTarget, requireVisible } from './access.ts';
import type { CallOptions, Commands } from './commands.ts';
import type { Contexts } from './contexts.ts';
import { executionEvent } from './events.ts';
import * as inputs from './inputs.ts';
import { createReassignments } from './reassignments.ts';
import type { PlanExecutionRow } from './rows.ts';
import { cancelRun, isOpen, notActive } from './runEnds.ts';
import { createRunStarts } from './runStarts.ts';
import { changeRun, lockRun } from './runStore.ts';
import type { Runs } from './runs.ts';
import { findExecutions } from './store.ts';

export interface ExecutionDeps {
  readonly commands: Commands;
  readonly contexts: Contexts;
  readonly runs: Runs;
  readonly hooks: BeforeHooks;
}

export type Executions = ReturnType<typeof createExecutions>;

/** Starts, pauses, resumes and cancels runs. */
export function createExecutions(runtime: ModuleRuntime, { commands, contexts, runs, hooks }: ExecutionDeps) {
  const { sql } = runtime;

  /** Before any lock: see `start`. @throws {CONTEXT_NOT_ACTIVE} {NOT_FOUND} where a paused run would go on in a context that does not. */
  async function requireResumable(scope: RequestScope, executionId: string): Promise<void> {
    if (!isId(executionId)) return;
    await requireVisible(sql, scope.principal, 'execution', executionId);
    const [run] = await findExecutions(sql, scope.principal.tenantId, [executionId]);
    if (run?.status === 'PAUSED') await contexts.requireActive(scope.principal, run.contextId);
  }

  async function toggle(scope: RequestScope, executionId: string, to: 'PAUSED' | 'RUNNING', options: CallOptions) {
    const reason = options.reason == null ? null : parseInput(inputs.reason, options.reason, ['reason']);
    const operation = to === 'PAUSED' ? 'pauseExecution' : 'resumeExecution';
    const call = { operation, input: { executionId, reason }, idempotencyKey: options.idempotencyKey };
    if (to === 'RUNNING') await requireResumable(scope, executionId);
    return commands.run(scope, call, async (tx) => {
      const run = await requireRun(tx, scope, executionId);
      if (run.status === to) return { response: { executionId } };
      if (!isOpen(run)) throw notActive(run);
      const after = await changeRun(tx, run, 'status = $3, paused_by = $4, status_reason = $5', [
        to,
        to === 'PAUSED' ? 'USER' : null,
        reason,
      ]);
      return {
        response: { executionId },
        events: [
          executionEvent(to === 'PAUSED' ? 'plan.execution.paused' : 'plan.execution.resumed', after, { reason }),
        ],
        audit: [{ action: `plan.${operation}`, resource: 'PlanExecution', resourceId: executionId }],
      };
    });
  }

  return {
    ...createRunStarts(runtime, { commands, contexts, hooks }),
    ...createReassignments({ commands }),

    pause: (scope: RequestScope, executionId: string, options: CallOptions) =>
      toggle(scope, executionId, 'PAUSED', options),
    resume: (scope: RequestScope, executionId: string, options: CallOptions) =>
      toggle(scope, executionId, 'RUNNING', options),

    cancel(scope: RequestScope, executionId: string, options: CallOptions) {
      const reason = options.reason == null ? null : parseInput(inputs.reason, options.reason, ['reason']);
      const call = {
        operation: 'cancelExecution',
        input: { executionId, reason },
        idempotencyKey: options.idempotencyKey,
      };
      return commands.run(scope, call, async (tx) => {
        const run = await requireRun(tx, scope, executionId);
        await requireOwner(tx, scope, run);
        if (!isOpen(run)) throw notActive(run);
        const { events } = await cancelRun(tx, run, { reason, actor: scope.principal.subject });
        return {
          response: { executionId },
          events,
          audit: [{ action: 'plan.cancelExecution', resource: 'PlanExecution', resourceId: executionId }],
        };
      });
    },

    resolveStep(
      scope: RequestScope,
      target: { readonly executionId: string; readonly stepId: string },
      options: CallOptions & {
        readonly resolution: 'RETRY' | 'SKIP' | 'FAIL';
        readonly skipDependents?: boolean | null | undefined;
      },
    ) {
      const reason = options.reason == null ? null : parseInput(inputs.reason, options.reason, ['reason']);
      const { resolution, skipDependents = null } = options;
      if (skipDependents !== null && resolution !== 'SKIP')
        throw new PlatformError('VALIDATION_FAILED', 'skipDependents: expected it with SKIP alone', {
          path: ['skipDependents'],
        });
      const call = {
        operation: 'resolveStep',
        // As calls were kept before there was a choice.
        input: { ...target, resolution, reason, ...(skipDependents === null ? {} : { skipDependents }) },
        idempotencyKey: options.idempotencyKey,
      };
      return commands.run(scope, call, async (tx) => {
        await requireRun(tx, scope, target.executionId);
        if (!isId(target.stepId))
          throw new PlatformError('NOT_FOUND', 'no such step in this execution', { path: ['stepId'] });
        const { tenantId, subject } = scope.principal;
        const outcome = await runs.resolve(
          tx,
          { ...target, tenantId, actor: subject },
          { resolution, reason, skipDependents },
        );
        const audit = [{ action: 'plan.resolveStep', resource: 'PlanExecution', resourceId: target.executionId }];
        return { response: target, ...outcome, audit };
      });
    },
  };
}

/** With its run a plan is cancelled too. @throws {PERMISSION_DENIED} unless its author, who started the run or plan:admin asks. */
async function requireOwner(tx: SqlTransaction, { principal }: RequestScope, run: PlanExecutionRow): Promise<void> {
  if (run.startedBy === principal.subject || holds(principal, 'plan:admin', planTarget(run))) return;
  const owned = await tx.unsafe(
    'SELECT 1 FROM plan.plan WHERE tenant_id = $1 AND id = $2 AND created_by = $3',
    [run.tenantId, run.planId, principal.subject],
    { prepare: true },
  );
  if (owned.length === 0)
    throw new PlatformError('PERMISSION_DENIED', 'only the author of its plan, or who started it, cancels a run', {
      path: ['executionId'],
    });
}

/** The run under its lock. @throws {NOT_FOUND} */
async function requireRun(tx: SqlTransaction, { principal }: RequestScope, executionId: string) {
  if (!isId(executionId)) throw new PlatformError('NOT_FOUND', 'no such execution', { path: ['executionId'] });
  const [run] = await Promise.all([
    lockRun(tx, principal.tenantId, executionId),
    requireVisible(tx, principal, 'execution', executionId),
  ]);
  return run;
}
