import { PlatformError } from '#shared/errors.ts';
import { networkOf } from './analysis/calendar.ts';
import { type PlanProblem, scaleDuration } from './analysis/problem.ts';
import { isStructural } from './compositeNodes.ts';
import { computeSchedule } from './network/index.ts';
import type { PlanScheduleViolation } from './resolvers.generated.ts';
import { type ScheduledStep, shapeViolations, toScheduledSteps, toStarts } from './scheduleShape.ts';
import {
  crashCost,
  crashSchedule,
  type FoundSchedule,
  findCompromise,
  findParetoFront,
  findViolations,
  levelSchedule,
  measureSchedule,
  type NoSchedule,
  optimizeSchedule,
  type ParetoSchedule,
  qualityOfSchedule,
  type ScheduleMeasures,
  type SchedulingProblem,
  type SearchAlgorithm,
  type Target,
} from './scheduling/index.ts';
import { type AdaptedProblem, toSchedulingProblem } from './schedulingProblem.ts';

export type OptimizationStrategy =
  | 'TIME_OPTIMAL'
  | 'COST_OPTIMAL'
  | 'RESOURCE_OPTIMAL'
  | 'QUALITY_OPTIMAL'
  | 'BALANCED';

/** What a thread of the compute pool runs. */
export interface OptimizeTask {
  readonly plan: PlanProblem;
  readonly targets: readonly Target[];
  readonly strategy: OptimizationStrategy;
  /** Of COST_OPTIMAL. */
  readonly targetMakespanMs: number | null;
  readonly maxCrashCost: number | null;
  /** @default none */
  readonly limits?: ScheduleLimits | undefined;
  readonly maxSchedules: number;
  readonly maxMilliseconds: number;
  readonly seed: number;
  /** Whether the schedules alone may end the search: where time does first, there is none. @default false */
  readonly reproducible?: boolean | undefined;
  /** Of the shortest schedule alone. @default annealing */
  readonly algorithm?: SearchAlgorithm | undefined;
  /** Starts in milliseconds as they are now, by step; without one the first schedule found stands for it. */
  readonly current: Readonly<Record<string, number>> | null;
}

/** What the schedule must keep; null for what it need not. */
export interface ScheduleLimits {
  readonly maxDurationMs: number | null;
  readonly maxCost: number | null;
  /** 0 to 100. */
  readonly minQuality: number | null;
}

export interface MeasuresMs extends Omit<ScheduleMeasures, 'makespan'> {
  readonly makespanMs: number;
  /** 0 to 100. */
  readonly quality: number;
  /** 100 at most of those that are counted. */
  readonly violations: readonly PlanScheduleViolation[];
}

export interface OptimizeOutcome {
  readonly before: MeasuresMs;
  readonly after: MeasuresMs;
  readonly schedule: readonly ScheduledStep[];
  /** Steps without float under the durations of the schedule, by their early starts. */
  readonly criticalPath: readonly string[];
  readonly optimal: boolean;
  readonly lowerBoundMs: number;
  readonly paretoFront: readonly { readonly values: readonly number[]; readonly steps: readonly ScheduledStep[] }[];
  /** Price of the time saved, and the steps that save it; null where no step may be shortened. */
  readonly crashCost: number | null;
  readonly crashedSteps: readonly { readonly stepId: string; readonly durationMs: number }[] | null;
  /** Generated, passes of justification counted. */
  readonly schedules: number;
  /** Whether time ended or paced the search. */
  readonly timeLimited: boolean;
}

/** @throws {INFEASIBLE_CONSTRAINTS} naming the step and the constraint. */
export function optimize(task: OptimizeTask): OptimizeOutcome {
  switch (task.strategy) {
    case 'COST_OPTIMAL':
      return crashPlan(task);
    case 'QUALITY_OPTIMAL':
      // By its first target: the front begins with the best quality.
      return weighPlan(task, ['quality', 'time'], ([best]) => best!);
    case 'BALANCED':
      return weighPlan(task, balanced, (front) => findCompromise(front, balanced));
    case 'TIME_OPTIMAL':
    case 'RESOURCE_OPTIMAL':
      return shortenPlan(task);
    default:
      return task.strategy satisfies never;
  }
}

const balanced: readonly Target[] = ['time', 'quality', 'cost', 'resource'];

/** The shortest schedule found; levelled where the resources count. */
function shortenPlan(task: OptimizeTask): OptimizeOutcome {
  const adapted = toSchedulingProblem(task.plan);
  const { problem, unitMs } = adapted;
  const limits = limitsOf(task);
  const found = require(optimizeSchedule(problem, { ...limits, algorithm: task.algorithm }), task.plan, unitMs);
  const several = task.targets.length > 1 || task.targets[0] !== 'time';
  const front = several ? findParetoFront(problem, { ...limits, targets: task.targets }) : null;
  if (front?.status === 'infeasible') throw infeasible(front, task.plan, unitMs);
  const spent = spend(task, found, ...(front === null ? [] : [front]));
  const levelled = task.strategy === 'RESOURCE_OPTIMAL' ? levelSchedule(problem, found.starts) : null;
  const starts = levelled?.status === 'feasible' ? levelled.starts : found.starts;
  return {
    before: measure(task.plan, adapted, { starts: currentStarts(task, adapted), lowerBound: found.lowerBound }),
    after: requireKept(measure(task.plan, adapted, { starts, lowerBound: found.lowerBound }), task.limits),
    schedule: toScheduledSteps(adapted, task.plan, starts, problem.durations),
    criticalPath: criticalStepsOf(task.plan),
    optimal: found.status === 'optimal',
    lowerBoundMs: found.lowerBound * unitMs,
    paretoFront: (front?.front ?? []).map((entry) => ({
      values: entry.values,
      steps: toScheduledSteps(adapted, task.plan, entry.starts, entry.durations),
    })),
    crashCost: null,
    crashedSteps: null,
    ...spent,
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
  const spent = spend(task, found);
  if (found.status === 'target_missed')
    throw missed(`expected a makespan of ${targetMs} ms, the shortest found is ${found.shortest * unitMs} ms`, {
      ...{ targetMakespanMs: targetMs, shortestMs: found.shortest * unitMs },
    });
  if (task.maxCrashCost !== null && found.crashCost > task.maxCrashCost)
    throw missed(`expected a price of at most ${task.maxCrashCost}, the least found is ${found.crashCost}`, {
      ...{ targetMakespanMs: targetMs, crashCost: found.crashCost },
    });
  const { starts, durations, crashCost: price } = found;
  return {
    ...reportCrashed({ ...task, plan }, adapted, { starts, durations, price }),
    optimal: price === 0,
    paretoFront: [],
    ...spent,
  };
}

/** One of the schedules of which none is better in all targets. */
function weighPlan(
  task: OptimizeTask,
  targets: readonly Target[],
  choose: (front: readonly ParetoSchedule[]) => ParetoSchedule,
): OptimizeOutcome {
  const adapted = toSchedulingProblem(task.plan);
  const { problem, unitMs } = adapted;
  const found = findParetoFront(problem, { ...limitsOf(task), targets });
  if (found.status === 'infeasible') throw infeasible(found, task.plan, unitMs);
  const spent = spend(task, found);
  // Where none keeps the limits, the one of all that would be chosen says how far they are missed.
  const kept = found.front.filter(({ starts: of, durations: taken }) =>
    isKept(
      measure(task.plan, adapted, { starts: of, durations: taken, lowerBound: 0, price: crashCost(problem, taken) }),
      task.limits ?? unlimited,
    ),
  );
  const { starts, durations } = choose(kept.length > 0 ? kept : found.front);
  return {
    ...reportCrashed(task, adapted, { starts, durations, price: crashCost(problem, durations) }),
    optimal: false,
    ...spent,
    paretoFront: found.front.map((entry) => ({
      values: entry.values,
      steps: toScheduledSteps(adapted, task.plan, entry.starts, entry.durations),
    })),
  };
}

interface CrashedChoice {
  readonly starts: Int32Array;
  readonly durations: Int32Array;
  /** Of the time saved. */
  readonly price: number;
}

/** What a schedule with steps that may be shorter comes to, beside what there is now. */
function reportCrashed(
  task: OptimizeTask,
  adapted: AdaptedProblem,
  { starts, durations, price }: CrashedChoice,
): Omit<OptimizeOutcome, 'optimal' | 'paretoFront' | keyof Spent> {
  const { problem, unitMs } = adapted;
  const { plan } = task;
  const crashed = { ...problem, durations };
  const bound = (of: SchedulingProblem) => {
    const one = optimizeSchedule(of, { maxSchedules: 1, seed: task.seed });
    return one.status === 'infeasible' ? makespanOf(of) : one.lowerBound;
  };
  const lowerBound = bound(crashed);
  return {
    before: measure(task.plan, adapted, { starts: currentStarts(task, adapted), lowerBound: bound(problem) }),
    after: requireKept(measure(task.plan, adapted, { starts, durations, price, lowerBound }), task.limits),
    schedule: toScheduledSteps(adapted, plan, starts, durations),
    criticalPath: criticalStepsOf({
      ...plan,
      steps: plan.steps.map((step, at) =>
        durations[at] === problem.durations[at] ? step : scaleDuration(step, durations[at]! * unitMs),
      ),
    }),
    lowerBoundMs: lowerBound * unitMs,
    crashCost: price,
    crashedSteps: plan.steps.flatMap(({ id }, at) =>
      durations[at] === problem.durations[at] ? [] : [{ stepId: id, durationMs: durations[at]! * unitMs }],
    ),
  };
}

const makespanOf = ({ durations }: SchedulingProblem) => durations.reduce((most, one) => Math.max(most, one), 0);

const limitsOf = ({ maxSchedules, maxMilliseconds, seed, reproducible = false }: OptimizeTask) => ({
  ...{ maxSchedules, maxMilliseconds, seed },
  pacedByTime: !reproducible,
});

interface Spent {
  readonly schedules: number;
  readonly timeLimited: boolean;
}

/** @throws {PLANNING_ALGORITHM_ERROR} where time ended a search that is to go the same way everywhere. */
function spend({ reproducible = false, maxSchedules, maxMilliseconds }: OptimizeTask, ...searches: Spent[]): Spent {
  const schedules = searches.reduce((sum, search) => sum + search.schedules, 0);
  const timeLimited = searches.some((search) => search.timeLimited);
  if (reproducible && timeLimited)
    throw new PlatformError(
      'PLANNING_ALGORITHM_ERROR',
      `expected ${maxSchedules} schedules within ${maxMilliseconds} ms, ${schedules} were made`,
      { path: ['input', 'iterations'], details: { iterations: maxSchedules, schedules } },
    );
  return { schedules, timeLimited };
}

/** As they are now; the first schedule found where none is kept. */
function currentStarts(task: OptimizeTask, adapted: AdaptedProblem): Int32Array {
  const { current } = task;
  const { problem, unitMs } = adapted;
  if (current === null)
    return require(optimizeSchedule(problem, { maxSchedules: 1, seed: task.seed }), task.plan, unitMs).starts;
  return toStarts(adapted, task.plan, current);
}

function criticalStepsOf(plan: PlanProblem): string[] {
  const { steps } = plan;
  const { critical, earlyStart } = computeSchedule(networkOf(plan));
  return [...steps.keys()]
    .filter((at) => critical[at] === 1 && !isStructural(steps[at]!.id))
    .sort((left, right) => earlyStart[left]! - earlyStart[right]! || left - right)
    .map((at) => steps[at]!.id);
}

function missed(message: string, details: Readonly<Record<string, unknown>>): PlatformError {
  return new PlatformError('INFEASIBLE_CONSTRAINTS', message, { path: ['input'], details });
}

interface Measured {
  readonly starts: Int32Array;
  /** @default the normal ones */
  readonly durations?: Int32Array;
  readonly lowerBound: number;
  /** Of the time that the durations save. @default 0 */
  readonly price?: number;
}

function measure(
  plan: PlanProblem,
  { problem, unitMs }: AdaptedProblem,
  { starts, durations = problem.durations, lowerBound, price = 0 }: Measured,
): MeasuresMs {
  const taken = { ...problem, durations };
  const { makespan, ...rest } = measureSchedule(taken, starts, lowerBound);
  return {
    ...rest,
    makespanMs: makespan * unitMs,
    cost: rest.cost + price,
    quality: 100 * qualityOfSchedule(problem, { starts, durations }),
    levelling: rest.levelling * unitMs,
    violations: rest.constraintViolations === 0 ? [] : shapeViolations(unitMs, plan, findViolations(taken, starts)),
  };
}

const unlimited: ScheduleLimits = { maxDurationMs: null, maxCost: null, minQuality: null };

const isKept = ({ makespanMs, cost, quality }: MeasuresMs, limits: ScheduleLimits): boolean =>
  makespanMs <= (limits.maxDurationMs ?? Infinity) &&
  cost <= (limits.maxCost ?? Infinity) &&
  quality >= (limits.minQuality ?? 0);

/** @throws {INFEASIBLE_CONSTRAINTS} with what was found. */
function requireKept(found: MeasuresMs, limits: ScheduleLimits = unlimited): MeasuresMs {
  if (isKept(found, limits)) return found;
  const { makespanMs, cost, quality } = found;
  throw missed(
    `expected a schedule within the constraints, the one found takes ${makespanMs} ms, costs ${cost} and has a quality of ${quality.toFixed(1)}`,
    { ...limits, found: { makespanMs, cost, quality } },
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
