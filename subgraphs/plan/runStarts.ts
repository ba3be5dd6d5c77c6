import type { BeforeHooks } from '#shared/beforeHooks.ts';
import type { RequestScope } from '#shared/context.ts';
import { PlatformError } from '#shared/errors.ts';
import { newId } from '#shared/ids.ts';
import type { Sql } from '#shared/sql.ts';
import { parseInput, requireVersion } from '#shared/validation.ts';
import { requireVisible } from './access.ts';
import { highestCapacity, networkOf } from './analysis/calendar.ts';
import type { PlanProblem } from './analysis/index.ts';
import type { Commands } from './commands.ts';
import { foldDates, isStructural, stepOf } from './compositeNodes.ts';
import { ancestorsOf, isComposite } from './composites.ts';
import { bindConstraints } from './constraints/index.ts';
import type { Contexts } from './contexts.ts';
import {
  createReadyQueue,
  createResourceTimes,
  createStaffing,
  type DispatchStrategy,
  findUnmatched,
  keepPreferences,
  type ReadyQueue,
  rankByStrategy,
  type SimulatedRun,
  type StaffedAgent,
  simulateDispatch,
} from './dispatch/index.ts';
import { executionEvent, planEvent } from './events.ts';
import * as inputs from './inputs.ts';
import { type ActivityNetwork, computeSchedule } from './network/index.ts';
import { requireNetwork } from './network.ts';
import { unknownPlan } from './planChanges.ts';
import { type ExecutionMode, executionConfigOf } from './planDefaults.ts';
import { findPreferences, toPlanProblem } from './planProblem.ts';
import { atMoment, calendarAge, calendarsOfRun, capacitiesOf } from './planTimes.ts';
import { isBinding, isConditional, isStartBound } from './relations.ts';
import { limitResources, type ResourceLimits, requireDatedWeeks } from './resourceLimits.ts';
import type { PlanRow, PlanStepRow } from './rows.ts';
import { insertRun } from './runStore.ts';
import { requireTimes } from './runTimes.ts';
import { requireTransition } from './states.ts';
import { findDependencies, findPlans, findSteps, lockPlan, upsertPlans } from './store.ts';

const priorities: Readonly<Record<string, number>> = { LOW: 0, MEDIUM: 1, HIGH: 2, CRITICAL: 3 };
const defaultLeaseMs = 30_000;

export interface StartedExecution {
  readonly planId: string;
  readonly executionId: string | null;
  readonly readySteps: readonly string[];
  readonly schedule:
    | readonly {
        readonly stepId: string;
        readonly startMs: number;
        readonly finishMs: number;
        readonly agentId?: string | null;
      }[]
    | null;
  readonly makespanMs: number | null;
  /** Of the agents' work, by their rates. */
  readonly cost?: number | null;
}

/** What a run waits for: what is preferred is planned, and not waited for. */
const requiredOf = (step: PlanStepRow | undefined) =>
  (step?.details.demands ?? []).flatMap(({ availability, ...demand }) =>
    availability == null || availability === 'REQUIRED' ? [demand] : [],
  );

/** @throws {RESOURCE_ALLOCATION_FAILED} when no agent of the pool can ever do a step. */
function requireAgents(steps: readonly PlanStepRow[], pool: readonly Parameters<typeof findUnmatched>[1][number][]) {
  const atomic = steps.filter((step) => !isComposite(step));
  const unmatched = findUnmatched(atomic.map(requirementOf), pool);
  if (unmatched.length === 0) return;
  const stepIds = unmatched.map((at) => atomic[at]!.id);
  throw new PlatformError(
    'RESOURCE_ALLOCATION_FAILED',
    `no agent of the pool can do ${stepIds.slice(0, 5).join(', ')}`,
    { path: ['input', 'agentPool'], details: { stepIds } },
  );
}

const requirementOf = ({ capabilities, agentRole, assignedAgents }: PlanStepRow) => ({
  ...{ capabilities, role: agentRole ?? undefined },
  agents: assignedAgents.length === 0 ? undefined : assignedAgents,
});

interface Dispatching {
  readonly maxConcurrent: number;
  readonly strategy: DispatchStrategy;
  /** Null where nobody says who will work on it. */
  readonly pool: readonly StaffedAgent[] | null;
  /** When the run begins. */
  readonly now: number;
}

function prepare(
  plan: PlanRow,
  steps: readonly PlanStepRow[],
  dependencies: Awaited<ReturnType<typeof findDependencies>>,
  { maxConcurrent, strategy, pool, now }: Dispatching,
) {
  const calendarMs = calendarAge(plan.definition, now, now);
  const problem = atMoment(toPlanProblem(plan.definition, steps, dependencies, calendarMs), { calendarMs });
  const network = networkOf(problem);
  const urgency = rankByStrategy(network, computeSchedule(network), {
    strategy,
    priority: problem.steps.map((_, at) => priorities[steps[at]?.priority ?? ''] ?? 1),
  });
  const order = plan.schedule === null ? urgency : rankBySchedule(plan.schedule, problem.steps, urgency);
  const rank = keepPreferences(order, findPreferences(problem, steps, dependencies));
  // As hard constraints leave them.
  const capacities = new Map(problem.resources.map((resource) => [resource.id, highestCapacity(resource)]));
  const staffing =
    pool &&
    createStaffing(
      pool,
      problem.steps.map((_, at) => (steps[at] && !isComposite(steps[at]) ? requirementOf(steps[at]) : null)),
    );
  const demands = problem.steps.map((_, at) => requiredOf(steps[at]));
  try {
    const options = { rank, maxConcurrent: Math.min(maxConcurrent, staffing?.places ?? Infinity), capacities, demands };
    const readySteps = findFirstWave(createReadyQueue(network, options), problem);
    return { network, rank, options, staffing, times: createResourceTimes(problem.resources), calendarMs, readySteps };
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new PlatformError('RESOURCE_ALLOCATION_FAILED', error.message, { path: ['input', 'planId'] });
  }
}

/** Starts runs, or says how one would go. */
export function createRunStarts(
  { sql }: { readonly sql: Sql },
  {
    commands,
    contexts,
    hooks,
  }: { readonly commands: Commands; readonly contexts: Contexts; readonly hooks: BeforeHooks },
) {
  /** The run as the extensions that are asked before it leave it: how it goes, not of what. */
  async function heard(
    scope: RequestScope,
    plan: PlanRow,
    asked: inputs.ExecutePlanInput,
  ): Promise<inputs.ExecutePlanInput> {
    const { planId, dryRun, expectedVersion, ...how } = asked;
    const { title, version, priority } = plan;
    const changed = await hooks.ask(scope, {
      point: 'plan.before_execution',
      contextId: plan.contextId,
      payload: { planId, plan: { title, version, priority }, ...how },
      read: (payload) => parseInput(inputs.executePlan, { ...(payload as object), planId, dryRun, expectedVersion }),
    });
    return changed ?? asked;
  }

  return {
    /** @throws {SCHEDULING_CONFLICT} {INVALID_STATE_TRANSITION} {CONTEXT_NOT_ACTIVE} {RESOURCE_ALLOCATION_FAILED} {NOT_FOUND} {VERSION_CONFLICT} {HOOK_VETOED} */
    async start(scope: RequestScope, raw: unknown): Promise<StartedExecution> {
      const { idempotencyKey, ...said } = parseInput(inputs.executePlan, raw, ['input']);
      let input: inputs.ExecutePlanInput = said;
      const { tenantId, subject } = scope.principal;
      await requireVisible(sql, scope.principal, 'plan', input.planId);
      if (input.dryRun) {
        const [found] = await findPlans(sql, tenantId, [input.planId]);
        if (!found) throw unknownPlan();
        requireVersion(input.expectedVersion, found.version);
        const plan = withLimits(found, input.resourceLimits);
        const steps = await findSteps(sql, tenantId, [plan.id]);
        requireParts(steps);
        const pool = input.agentPool ? toPool(input.agentPool) : null;
        if (pool) requireAgents(steps, pool);
        const dependencies = await findDependencies(sql, tenantId, [plan.id]);
        if (input.validateDependencies) requireNetwork(steps, dependencies, ['input', 'planId']);
        const prepared = prepare(plan, steps, dependencies, {
          ...{ ...dispatchOf(plan, input), pool, now: Date.now() },
        });
        const run = simulateDispatch(prepared.network, prepared.options, prepared);
        requireDone(prepared.network, run);
        return {
          planId: plan.id,
          executionId: null,
          readySteps: prepared.readySteps,
          makespanMs: run.makespan,
          schedule: foldDates(
            prepared.network.ids.map((id, at) => ({
              ...{ stepId: id, startMs: run.start[at]!, finishMs: run.finish[at]!, agentId: run.agents[at] ?? null },
            })),
          ),
          cost: pool && costOf(prepared.network, run, pool),
        };
      }
      // Before the transaction: what asks for a connection while it holds one waits for others that do the same.
      const [planned] = await findPlans(sql, tenantId, [input.planId]);
      if (planned?.status === 'approved') {
        await contexts.requireActive(scope.principal, planned.contextId);
        input = await heard(scope, planned, said);
      }
      return commands.run(scope, { operation: 'executePlan', input: said, idempotencyKey }, async (tx) => {
        const plan = await lockPlan(tx, tenantId, input.planId);
        if (!plan) throw unknownPlan();
        requireVersion(input.expectedVersion, plan.version);
        requireTransition(plan.status, 'in_progress');
        const [steps, dependencies] = await Promise.all([
          findSteps(tx, tenantId, [plan.id]),
          findDependencies(tx, tenantId, [plan.id]),
        ]);
        const pool = input.agentPool ? toPool(input.agentPool) : null;
        if (pool) requireAgents(steps, pool);
        const config = executionConfigOf(plan.definition);
        const dispatch = dispatchOf(plan, input);
        const now = Date.now();
        requireParts(steps);
        if (input.validateDependencies) requireNetwork(steps, dependencies, ['input', 'planId']);
        const limited = withLimits(plan, input.resourceLimits);
        const bound = bindConstraints(limited.definition, steps);
        const ancestors = ancestorsOf(steps);
        const prepared = prepare(limited, steps, dependencies, { ...dispatch, pool, now });
        const comesAndGoes = pool?.some(
          ({ availableFrom, availableUntil }) => availableFrom !== undefined || availableUntil !== undefined,
        );
        if (comesAndGoes === true || prepared.times !== null)
          requireDone(prepared.network, simulateDispatch(prepared.network, prepared.options, prepared));
        requireTimes(plan.definition, prepared, now);
        const { rank, readySteps } = prepared;
        const waits = new Map<string, number>();
        const finishWaits = new Map<string, number>();
        for (const { targetId, type } of dependencies.filter(isBinding)) {
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
            mode: dispatch.mode,
            maxConcurrent: dispatch.maxConcurrent,
            leaseMs: input.leaseMs ?? config.leaseMs ?? defaultLeaseMs,
            planVersion: plan.version,
            policy: {
              failure: plan.definition.failureResolver,
              approval: plan.definition.approval,
              conditional: dependencies.some(isConditional),
              startBound: dependencies.some(isStartBound),
              resources: capacitiesOf(bound.definition),
              calendars: calendarsOfRun(bound.definition.resources, prepared.calendarMs),
              ...(pool === null ? {} : { pooled: true }),
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
            timeoutMs: input.timeoutMs ?? config.timeoutMs ?? null,
            pool,
          },
          bound.steps.map((step, at) => ({
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
            demands: requiredOf(step),
            durationMs: step.durationMs,
            timeoutMs: step.details.timeoutMs ?? input.stepTimeoutMs ?? config.stepTimeoutMs ?? null,
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
  };
}

/** What is asked for, else what the plan says; a plan that is not to run in parallel has one step at a time. */
function dispatchOf(
  { definition }: PlanRow,
  input: {
    readonly maxConcurrentTasks?: number | null | undefined;
    readonly strategy?: DispatchStrategy | null | undefined;
    readonly mode?: ExecutionMode | null | undefined;
  },
): { readonly mode: ExecutionMode; readonly maxConcurrent: number; readonly strategy: DispatchStrategy } {
  const { parallel, strategy } = executionConfigOf(definition);
  // So many at a time say of themselves that they run in parallel.
  const isOneByOne = input.maxConcurrentTasks == null && parallel === false;
  const mode = input.mode ?? (isOneByOne ? 'SEQUENTIAL' : 'PARALLEL');
  return {
    mode,
    maxConcurrent: mode === 'SEQUENTIAL' ? 1 : (input.maxConcurrentTasks ?? definition.maxConcurrentTasks),
    strategy: input.strategy ?? strategy ?? 'CRITICAL_PATH',
  };
}

/** The plan with the capacities of one run. @throws {VALIDATION_FAILED} */
function withLimits(plan: PlanRow, limits: ResourceLimits | null | undefined): PlanRow {
  const path = ['input', 'resourceLimits'];
  const resources = limitResources(plan.definition.resources, limits, path);
  requireDatedWeeks({ ...plan.definition, resources }, path);
  return { ...plan, definition: { ...plan.definition, resources } };
}

function toPool(pool: NonNullable<inputs.ExecutePlanInput['agentPool']>) {
  return pool.map(({ roles, costPerHour, availableFromMs, availableUntilMs, ...agent }) => ({
    ...{ ...agent, running: 0, roles: roles ?? undefined },
    costRate: costPerHour == null ? undefined : costPerHour / 3_600_000,
    availableFrom: availableFromMs ?? undefined,
    availableUntil: availableUntilMs ?? undefined,
  }));
}

/** @throws {RESOURCE_ALLOCATION_FAILED} where a step waits in vain for an agent who is there. */
function requireDone({ ids }: ActivityNetwork, { complete, start }: SimulatedRun): void {
  if (complete) return;
  const stepIds = ids.filter((id, at) => Number.isNaN(start[at]) && !isStructural(id));
  throw new PlatformError(
    'RESOURCE_ALLOCATION_FAILED',
    `neither agents nor resources are there for as long as ${stepIds.slice(0, 5).join(', ')} would need`,
    { path: ['input'], details: { stepIds } },
  );
}

/** Of the work of agents, by their rates. */
function costOf({ duration }: ActivityNetwork, { agents }: SimulatedRun, pool: readonly StaffedAgent[]): number {
  const rates = new Map(pool.map(({ agentId, costRate = 0 }) => [agentId, costRate]));
  return agents.reduce((sum, agent, at) => sum + (agent === null ? 0 : duration[at]! * (rates.get(agent) ?? 0)), 0);
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
