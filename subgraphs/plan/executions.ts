import type { RequestScope } from '#shared/context.ts';
import { PlatformError } from '#shared/errors.ts';
import { isId, newId } from '#shared/ids.ts';
import type { SqlTransaction } from '#shared/sql.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import { parseInput, requireVersion } from '#shared/validation.ts';
import { requireVisible } from './access.ts';
import type { PlanProblem } from './analysis/index.ts';
import type { Commands } from './commands.ts';
import { foldDates, isStructural, stepOf } from './compositeNodes.ts';
import { ancestorsOf, isComposite } from './composites.ts';
import type { Contexts } from './contexts.ts';
import { createReadyQueue, findUnmatched, type ReadyQueue, rankSteps, simulateDispatch } from './dispatch/index.ts';
import { executionEvent, planEvent, stepEvents } from './events.ts';
import * as inputs from './inputs.ts';
import { computeSchedule, createNetwork } from './network/index.ts';
import { unknownPlan } from './planChanges.ts';
import { toPlanProblem } from './planProblem.ts';
import type { PlanRow, PlanStepRow } from './rows.ts';
import { cancelRun, isOpen, notActive } from './runEnds.ts';
import { changeRun, changeRunStep, findRunStep, insertRun, lockRun } from './runStore.ts';
import type { Runs } from './runs.ts';
import { requireTransition } from './states.ts';
import { findDependencies, findExecutions, findPlans, findSteps, lockPlan, upsertPlans } from './store.ts';

const priorities: Readonly<Record<string, number>> = { LOW: 0, MEDIUM: 1, HIGH: 2, CRITICAL: 3 };
const defaultLeaseMs = 30_000;

export interface StartedExecution {
  readonly planId: string;
  readonly executionId: string | null;
  readonly readySteps: readonly string[];
  readonly schedule: readonly { readonly stepId: string; readonly startMs: number; readonly finishMs: number }[] | null;
  readonly makespanMs: number | null;
}

interface CallOptions {
  readonly reason?: string | null | undefined;
  readonly idempotencyKey?: string | null | undefined;
}

export type Executions = ReturnType<typeof createExecutions>;

/** Starts, pauses, resumes and cancels runs. */
export function createExecutions(
  runtime: ModuleRuntime,
  { commands, contexts, runs }: { readonly commands: Commands; readonly contexts: Contexts; readonly runs: Runs },
) {
  const { sql } = runtime;

  /** @throws {RESOURCE_ALLOCATION_FAILED} when no agent of the pool can ever do a step. */
  function requireAgents(steps: readonly PlanStepRow[], pool: readonly Parameters<typeof findUnmatched>[1][number][]) {
    const atomic = steps.filter((step) => !isComposite(step));
    const unmatched = findUnmatched(
      atomic.map(({ capabilities, agentRole }) => ({ capabilities, role: agentRole ?? undefined })),
      pool,
    );
    if (unmatched.length === 0) return;
    const stepIds = unmatched.map((at) => atomic[at]!.id);
    throw new PlatformError(
      'RESOURCE_ALLOCATION_FAILED',
      `no agent of the pool can do ${stepIds.slice(0, 5).join(', ')}`,
      { path: ['input', 'agentPool'], details: { stepIds } },
    );
  }

  function prepare(
    plan: PlanRow,
    steps: readonly PlanStepRow[],
    dependencies: Awaited<ReturnType<typeof findDependencies>>,
    maxConcurrent: number,
  ) {
    const problem = toPlanProblem(plan.definition, steps, dependencies);
    const network = createNetwork(problem.steps, problem.dependencies);
    const urgency = rankSteps(network, computeSchedule(network), {
      priority: problem.steps.map((_, at) => priorities[steps[at]?.priority ?? ''] ?? 1),
    });
    const rank = plan.schedule === null ? urgency : rankBySchedule(plan.schedule, problem.steps, urgency);
    const capacities = new Map(plan.definition.resources.map(({ id, capacity }) => [id, capacity]));
    const demands = problem.steps.map((step) => step.demands ?? []);
    try {
      const options = { rank, maxConcurrent, capacities, demands };
      return { network, rank, options, readySteps: findFirstWave(createReadyQueue(network, options), problem) };
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      throw new PlatformError('RESOURCE_ALLOCATION_FAILED', error.message, { path: ['input', 'planId'] });
    }
  }

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
    /** @throws {INVALID_STATE_TRANSITION} {CONTEXT_NOT_ACTIVE} {RESOURCE_ALLOCATION_FAILED} {NOT_FOUND} {VERSION_CONFLICT} */
    async start(scope: RequestScope, raw: unknown): Promise<StartedExecution> {
      const { idempotencyKey, ...input } = parseInput(inputs.executePlan, raw, ['input']);
      const { tenantId, subject } = scope.principal;
      await requireVisible(sql, scope.principal, 'plan', input.planId);
      if (input.dryRun) {
        const [plan] = await findPlans(sql, tenantId, [input.planId]);
        if (!plan) throw unknownPlan();
        requireVersion(input.expectedVersion, plan.version);
        const steps = await findSteps(sql, tenantId, [plan.id]);
        requireParts(steps);
        if (input.agentPool) requireAgents(steps, toPool(input.agentPool));
        const prepared = prepare(
          plan,
          steps,
          await findDependencies(sql, tenantId, [plan.id]),
          input.maxConcurrentTasks ?? plan.definition.maxConcurrentTasks,
        );
        const run = simulateDispatch(prepared.network, prepared.options);
        return {
          planId: plan.id,
          executionId: null,
          readySteps: prepared.readySteps,
          makespanMs: run.makespan,
          schedule: foldDates(
            prepared.network.ids.map((id, at) => ({ stepId: id, startMs: run.start[at]!, finishMs: run.finish[at]! })),
          ),
        };
      }
      // Before the transaction: what asks for a connection while it holds one waits for others that do the same.
      const [planned] = await findPlans(sql, tenantId, [input.planId]);
      if (planned?.status === 'approved') await contexts.requireActive(scope.principal, planned.contextId);
      return commands.run(scope, { operation: 'executePlan', input, idempotencyKey }, async (tx) => {
        const plan = await lockPlan(tx, tenantId, input.planId);
        if (!plan) throw unknownPlan();
        requireVersion(input.expectedVersion, plan.version);
        requireTransition(plan.status, 'in_progress');
        const [steps, dependencies] = await Promise.all([
          findSteps(tx, tenantId, [plan.id]),
          findDependencies(tx, tenantId, [plan.id]),
        ]);
        if (input.agentPool) requireAgents(steps, toPool(input.agentPool));
        const maxConcurrent = input.maxConcurrentTasks ?? plan.definition.maxConcurrentTasks;
        requireParts(steps);
        const ancestors = ancestorsOf(steps);
        const { rank, readySteps } = prepare(plan, steps, dependencies, maxConcurrent);
        const waits = new Map<string, number>();
        const finishWaits = new Map<string, number>();
        for (const { targetId, type } of dependencies) {
          const counts = type === 'finish_to_start' || type === 'start_to_start' ? waits : finishWaits;
          counts.set(targetId, (counts.get(targetId) ?? 0) + 1);
        }
        const executionId = newId();
        const run = await insertRun(
          tx,
          {
            tenantId,
            id: executionId,
            planId: plan.id,
            contextId: plan.contextId,
            status: 'RUNNING',
            mode: input.mode ?? 'pull',
            maxConcurrent,
            leaseMs: input.leaseMs ?? defaultLeaseMs,
            planVersion: plan.version,
            policy: {
              failure: plan.definition.failureResolver,
              approval: plan.definition.approval,
              resources: Object.fromEntries(plan.definition.resources.map(({ id, capacity }) => [id, capacity])),
            },
            totalSteps: steps.length,
            endedSteps: 0,
            runningSteps: 0,
            totalWorkMs: steps.reduce((sum, step) => sum + (isComposite(step) ? 0 : step.durationMs), 0),
            doneWorkMs: 0,
            pausedBy: null,
            statusReason: null,
            version: 1,
            startedBy: subject,
            timeoutMs: input.timeoutMs ?? null,
          },
          steps.map((step, at) => ({
            stepId: step.id,
            composite: isComposite(step),
            ancestors: ancestors.get(step.id),
            parentId: step.parentId,
            rank: rank[at],
            waits: waits.get(step.id) ?? 0,
            finishWaits: finishWaits.get(step.id) ?? 0,
            releaseMs: step.details.earliestStartMs ?? null,
            capabilities: step.capabilities,
            agents: step.assignedAgents,
            agentRole: step.agentRole,
            demands: step.details.demands ?? [],
            durationMs: step.durationMs,
            timeoutMs: step.details.timeoutMs ?? input.stepTimeoutMs ?? null,
          })),
        );
        const moved: PlanRow = {
          ...plan,
          status: 'in_progress',
          version: plan.version + 1,
          updatedAt: run.startedAt,
          updatedBy: subject,
        };
        await upsertPlans(tx, [moved], 'upsert');
        return {
          response: { planId: plan.id, executionId, readySteps, schedule: null, makespanMs: null },
          events: [
            executionEvent('plan.execution.started', run, { readySteps }),
            planEvent('plan.status.changed', moved, { status: [plan.status, moved.status], executionId }),
          ],
          audit: [{ action: 'plan.executePlan', resource: 'PlanExecution', resourceId: executionId }],
        };
      });
    },

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
      options: CallOptions & { readonly resolution: 'RETRY' | 'SKIP' | 'FAIL' },
    ) {
      const reason = options.reason == null ? null : parseInput(inputs.reason, options.reason, ['reason']);
      const { resolution } = options;
      const call = {
        operation: 'resolveStep',
        input: { ...target, resolution, reason },
        idempotencyKey: options.idempotencyKey,
      };
      return commands.run(scope, call, async (tx) => {
        await requireRun(tx, scope, target.executionId);
        if (!isId(target.stepId))
          throw new PlatformError('NOT_FOUND', 'no such step in this execution', { path: ['stepId'] });
        const { tenantId, subject } = scope.principal;
        const outcome = await runs.resolve(tx, { ...target, tenantId, actor: subject }, { resolution, reason });
        return { response: target, ...outcome };
      });
    },

    /** @throws {NOT_FOUND} {INVALID_STATE} */
    reassign(
      scope: RequestScope,
      { planId, stepId, agentId }: { readonly planId: string; readonly stepId: string; readonly agentId: string },
      options: CallOptions,
    ) {
      const agent = parseInput(inputs.agentId, agentId, ['agentId']);
      const reason = options.reason == null ? null : parseInput(inputs.reason, options.reason, ['reason']);
      const call = {
        operation: 'reassignTask',
        input: { planId, stepId, agent, reason },
        idempotencyKey: options.idempotencyKey,
      };
      return commands.run(scope, call, async (tx) => {
        const { tenantId } = scope.principal;
        if (!isId(planId)) throw unknownPlan();
        await requireVisible(tx, scope.principal, 'plan', planId);
        if (!isId(stepId)) throw new PlatformError('NOT_FOUND', 'no such step in this plan', { path: ['stepId'] });
        const [active] = (await tx.unsafe(
          `SELECT id FROM plan.execution WHERE tenant_id = $1 AND plan_id = $2 AND status IN ('RUNNING', 'PAUSED')`,
          [tenantId, planId],
          { prepare: true },
        )) as unknown as { id: string }[];
        const run = active ? await lockRun(tx, tenantId, active.id) : null;
        const plan = await lockPlan(tx, tenantId, planId);
        if (!plan) throw unknownPlan();
        const changed = await tx.unsafe(
          `UPDATE plan.step SET assigned_agents = ARRAY[$4] WHERE tenant_id = $1 AND plan_id = $2 AND id = $3 AND type <> 'COMPOSITE' AND status NOT IN ('completed', 'skipped') RETURNING id`,
          [tenantId, planId, stepId, agent],
          { prepare: true },
        );
        if (changed.length === 0)
          throw new PlatformError('NOT_FOUND', 'no such open step in this plan', { path: ['stepId'] });
        const moved: PlanRow = {
          ...plan,
          version: plan.version + 1,
          updatedAt: new Date().toISOString(),
          updatedBy: scope.principal.subject,
        };
        await upsertPlans(tx, [moved], 'upsert');
        const events = [planEvent('plan.updated', moved, { stepId, assignedAgents: [agent], reason })];
        const step = run && isOpen(run) ? await findRunStep(tx, run, stepId) : null;
        if (run && step) {
          const held = step.status === 'leased' && step.leaseOwner !== agent;
          const after = await changeRunStep(
            tx,
            run,
            stepId,
            held
              ? `agents = ARRAY[$4], status = 'pending', lease_epoch = lease_epoch + 1, lease_owner = NULL, lease_subject = NULL, lease_until = NULL, progress = 0`
              : 'agents = ARRAY[$4]',
            [agent],
          );
          const current = held ? await changeRun(tx, run, 'running_steps = running_steps - 1') : run;
          events.push(...stepEvents('step.reassigned', after, current, { agentId: agent, reason }));
        }
        return { response: { planId }, events };
      });
    },
  };
}

function toPool(
  pool: readonly {
    readonly agentId: string;
    readonly capabilities: readonly string[];
    readonly capacity: number;
    readonly roles?: readonly string[] | null | undefined;
  }[],
) {
  return pool.map(({ roles, ...agent }) => ({ ...agent, running: 0, roles: roles ?? undefined }));
}

/** The applied schedule's order of starts; steps that start together, or that it does not know, by urgency. */
function rankBySchedule(
  schedule: Readonly<Record<string, number>>,
  steps: readonly { readonly id: string }[],
  urgency: Int32Array,
): Int32Array {
  const startOf = ({ id }: { readonly id: string }) => schedule[id] ?? Number.MAX_SAFE_INTEGER;
  const order = steps.map((step, at) => ({ at, start: startOf(step) }));
  order.sort((left, right) => left.start - right.start || urgency[left.at]! - urgency[right.at]!);
  const rank = new Int32Array(steps.length);
  for (const [place, { at }] of order.entries()) rank[at] = place;
  return rank;
}

/** What agents may begin with: begins of composite steps come by themselves. */
function findFirstWave(queue: ReadyQueue, { steps }: PlanProblem): string[] {
  const composite = new Set(steps.filter(({ id }) => isStructural(id)).map(({ id }) => stepOf(id)));
  const waits = (id: string) => isStructural(id) || composite.has(id);
  for (let ids = queue.readyIds().filter(waits); ids.length > 0; ids = queue.readyIds().filter(waits)) {
    for (const id of ids) {
      queue.start(id, 0);
      queue.complete(id, 0);
    }
  }
  return queue.readyIds();
}

/** @throws {VALIDATION_FAILED} where a composite step has nothing to do. */
function requireParts(steps: readonly PlanStepRow[]): void {
  const parents = new Set(steps.map(({ parentId }) => parentId));
  const empty = steps.filter((step) => isComposite(step) && !parents.has(step.id)).map(({ id }) => id);
  if (empty.length > 0)
    throw new PlatformError('VALIDATION_FAILED', `expected sub-tasks of the composite step ${empty[0]}`, {
      path: ['input', 'planId'],
      details: { stepIds: empty },
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
