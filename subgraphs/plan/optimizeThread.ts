import { PlatformError } from '#shared/errors.ts';
import type { PlanProblem } from './analysis/index.ts';
import { completeStarts, foldDates } from './compositeNodes.ts';
import {
  crashSchedule,
  type FoundSchedule,
  findParetoFront,
  levelSchedule,
  measureSchedule,
  type NoSchedule,
  optimizeSchedule,
  type ScheduleMeasures,
  type SchedulingProblem,
  type Target,
} from './scheduling/index.ts';
import { type AdaptedProblem, toSchedulingProblem } from './schedulingProblem.ts';

/** What a thread of the compute pool runs. */
export interface OptimizeTask {
  readonly plan: PlanProblem;
  readonly targets: readonly Target[];
  readonly strategy: 'TIME_OPTIMAL' | 'COST_OPTIMAL' | 'RESOURCE_OPTIMAL';
  /** Of COST_OPTIMAL. */
  readonly targetMakespanMs: number | null;
  readonly maxCrashCost: number | null;
  readonly maxSchedules: number;
  readonly maxMilliseconds: number;
  readonly seed: number;
  /** Starts in milliseconds as they are now, by step; without one the first schedule found stands for it. */
  readonly current: Readonly<Record<string, number>> | null;
}

export interface ScheduledStep {
  readonly stepId: string;
  readonly startMs: number;
  readonly finishMs: number;
}

export interface MeasuresMs extends Omit<ScheduleMeasures, 'makespan'> {
  readonly makespanMs: number;
}

export interface OptimizeOutcome {
  readonly before: MeasuresMs;
  readonly after: MeasuresMs;
  readonly schedule: readonly ScheduledStep[];
  readonly optimal: boolean;
  readonly lowerBoundMs: number;
  readonly paretoFront: readonly { readonly values: readonly number[]; readonly steps: readonly ScheduledStep[] }[];
  /** Of COST_OPTIMAL: price of the time saved, and the steps that save it. */
  readonly crashCost: number | null;
  readonly crashedSteps: readonly { readonly stepId: string; readonly durationMs: number }[] | null;
}

/** @throws {INFEASIBLE_CONSTRAINTS} naming the step and the constraint. */
export function optimize(task: OptimizeTask): OptimizeOutcome {
  return task.strategy === 'COST_OPTIMAL' ? crashPlan(task) : shortenPlan(task);
}

/** The shortest schedule found; levelled where the resources count. */
function shortenPlan(task: OptimizeTask): OptimizeOutcome {
  const adapted = toSchedulingProblem(task.plan);
  const { problem, unitMs } = adapted;
  const limits = limitsOf(task);
  const found = require(optimizeSchedule(problem, limits), task.plan, unitMs);
  const several = task.targets.length > 1 || task.targets[0] !== 'time';
  const front = several ? findParetoFront(problem, { ...limits, targets: task.targets }) : null;
  if (front?.status === 'infeasible') throw infeasible(front, task.plan, unitMs);
  const levelled = task.strategy === 'RESOURCE_OPTIMAL' ? levelSchedule(problem, found.starts) : null;
  const starts = levelled?.status === 'feasible' ? levelled.starts : found.starts;
  return {
    before: toMs(measureSchedule(problem, currentStarts(task, adapted), found.lowerBound), unitMs),
    after: toMs(measureSchedule(problem, starts, found.lowerBound), unitMs),
    schedule: toSteps(adapted, task.plan, starts, problem.durations),
    optimal: found.status === 'optimal',
    lowerBoundMs: found.lowerBound * unitMs,
    paretoFront: (front?.front ?? []).map((entry) => ({
      values: entry.values,
      steps: toSteps(adapted, task.plan, entry.starts, entry.durations),
    })),
    crashCost: null,
    crashedSteps: null,
  };
}

/** Steps are shortened to the target at the least price found. */
function crashPlan(task: OptimizeTask): OptimizeOutcome {
  const targetMs = task.targetMakespanMs!;
  // The target takes the place of the plan's deadline: how far it is missed is told.
  const plan = { ...task.plan, deadline: undefined };
  const adapted = toSchedulingProblem(plan, [targetMs]);
  const { problem, unitMs } = adapted;
  const limits = limitsOf(task);
  const found = crashSchedule(problem, { ...limits, targetMakespan: Math.floor(targetMs / unitMs) });
  if (found.status === 'infeasible') throw infeasible(found, plan, unitMs);
  if (found.status === 'target_missed')
    throw missed(`expected a makespan of ${targetMs} ms, the shortest found is ${found.shortest * unitMs} ms`, {
      ...{ targetMakespanMs: targetMs, shortestMs: found.shortest * unitMs },
    });
  if (task.maxCrashCost !== null && found.crashCost > task.maxCrashCost)
    throw missed(`expected a price of at most ${task.maxCrashCost}, the least found is ${found.crashCost}`, {
      ...{ targetMakespanMs: targetMs, crashCost: found.crashCost },
    });
  const crashed = { ...problem, durations: found.durations };
  const bound = (of: SchedulingProblem) => {
    const one = optimizeSchedule(of, { maxSchedules: 1, seed: task.seed });
    return one.status === 'infeasible' ? makespanOf(of) : one.lowerBound;
  };
  const lowerBound = bound(crashed);
  const after = measureSchedule(crashed, found.starts, lowerBound);
  return {
    before: toMs(measureSchedule(problem, currentStarts({ ...task, plan }, adapted), bound(problem)), unitMs),
    after: toMs({ ...after, cost: after.cost + found.crashCost }, unitMs),
    schedule: toSteps(adapted, plan, found.starts, found.durations),
    optimal: found.crashCost === 0,
    lowerBoundMs: lowerBound * unitMs,
    paretoFront: [],
    crashCost: found.crashCost,
    crashedSteps: plan.steps.flatMap(({ id }, at) =>
      found.durations[at] === problem.durations[at] ? [] : [{ stepId: id, durationMs: found.durations[at]! * unitMs }],
    ),
  };
}

const makespanOf = ({ durations }: SchedulingProblem) => durations.reduce((most, one) => Math.max(most, one), 0);

const limitsOf = ({ maxSchedules, maxMilliseconds, seed }: OptimizeTask) => ({ maxSchedules, maxMilliseconds, seed });

/** As they are now; the first schedule found where none is kept. */
function currentStarts(task: OptimizeTask, { problem, unitMs }: AdaptedProblem): Int32Array {
  const { current } = task;
  if (current === null)
    return require(optimizeSchedule(problem, { maxSchedules: 1, seed: task.seed }), task.plan, unitMs).starts;
  return Int32Array.from(
    completeStarts(task.plan, (id) => current[id] ?? 0),
    (start) => Math.ceil(start / unitMs),
  );
}

function missed(message: string, details: Readonly<Record<string, unknown>>): PlatformError {
  return new PlatformError('INFEASIBLE_CONSTRAINTS', message, { path: ['input'], details });
}

function toMs({ makespan, ...rest }: ScheduleMeasures, unitMs: number): MeasuresMs {
  return { ...rest, makespanMs: makespan * unitMs, levelling: rest.levelling * unitMs };
}

function toSteps(
  { unitMs }: AdaptedProblem,
  plan: PlanProblem,
  starts: Int32Array,
  durations: Int32Array,
): ScheduledStep[] {
  return foldDates(
    plan.steps.map(({ id }, at) => ({
      stepId: id,
      startMs: starts[at]! * unitMs,
      finishMs: (starts[at]! + durations[at]!) * unitMs,
    })),
  );
}

function require(result: FoundSchedule | NoSchedule, plan: PlanProblem, unitMs: number): FoundSchedule {
  if (result.status === 'infeasible') throw infeasible(result, plan, unitMs);
  return result;
}

function infeasible({ infeasibility }: NoSchedule, plan: PlanProblem, unitMs: number): PlatformError {
  const stepId = 'activity' in infeasibility ? plan.steps[infeasibility.activity]?.id : undefined;
  const resourceId = 'resource' in infeasibility ? plan.resources[infeasibility.resource]?.id : undefined;
  return new PlatformError(
    'INFEASIBLE_CONSTRAINTS',
    `no schedule keeps the constraints: ${infeasibility.kind}${stepId === undefined ? '' : ` at step ${stepId}`}`,
    { path: ['input', 'planId'], details: { ...infeasibility, stepId, resourceId, unitMs } },
  );
}
