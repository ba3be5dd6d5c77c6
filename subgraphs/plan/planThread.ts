import { PlatformError } from '#shared/errors.ts';
import { analyzePlan, type PlanProblem } from './analysis/index.ts';
import type { QualityFinding } from './analysis/quality.ts';
import type { RiskStatus } from './analysis/risk.ts';
import { completeStarts, foldDates, isStructural, stepOf } from './compositeNodes.ts';
import {
  type FoundSchedule,
  findParetoFront,
  measureSchedule,
  type NoSchedule,
  optimizeSchedule,
  type ScheduleMeasures,
  type Target,
} from './scheduling/index.ts';
import { type AdaptedProblem, toSchedulingProblem } from './schedulingProblem.ts';

/** What the compute pool's threads run. */
export interface OptimizeTask {
  readonly plan: PlanProblem;
  readonly targets: readonly Target[];
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
}

/** @throws {INFEASIBLE_CONSTRAINTS} naming the step and the constraint. */
export function optimize(task: OptimizeTask): OptimizeOutcome {
  const adapted = toSchedulingProblem(task.plan);
  const { problem, unitMs } = adapted;
  const limits = { maxSchedules: task.maxSchedules, maxMilliseconds: task.maxMilliseconds, seed: task.seed };
  const found = require(optimizeSchedule(problem, limits), task.plan, unitMs);
  const first = require(optimizeSchedule(problem, { maxSchedules: 1, seed: task.seed }), task.plan, unitMs);
  const current = task.current;
  const starts =
    current === null
      ? first.starts
      : Int32Array.from(
          completeStarts(task.plan, (id) => current[id] ?? 0),
          (start) => Math.ceil(start / unitMs),
        );
  const before = measureSchedule(problem, starts, found.lowerBound);
  const several = task.targets.length > 1 || task.targets[0] !== 'time';
  const front = several ? findParetoFront(problem, { ...limits, targets: task.targets }) : null;
  if (front?.status === 'infeasible') throw infeasible(front, task.plan, unitMs);
  return {
    before: toMs(before, unitMs),
    after: toMs(found.measures, unitMs),
    schedule: toSteps(adapted, task.plan, found.starts, problem.durations),
    optimal: found.status === 'optimal',
    lowerBoundMs: found.lowerBound * unitMs,
    paretoFront: (front?.front ?? []).map((entry) => ({
      values: entry.values,
      steps: toSteps(adapted, task.plan, entry.starts, entry.durations),
    })),
  };
}

export interface AnalyzeTask {
  readonly plan: PlanProblem;
  readonly risks: readonly {
    readonly name: string;
    readonly probability: number;
    readonly impact: number;
    readonly status?: RiskStatus | undefined;
  }[];
  readonly samples: number;
  readonly seed: number;
}

/** A suggestion is tried by so many schedules: thirty of them are to take a fifth of a second of a core. */
function schedulesFor(steps: number): number {
  if (steps <= 30) return 100;
  return steps <= 300 ? 12 : 4;
}

/** Schedules a plan for its suggestions: few schedules, always the same ones. Null where there is none. */
export function scheduledMakespan(plan: PlanProblem, maxSchedules = schedulesFor(plan.steps.length)): number | null {
  const { problem, unitMs } = toSchedulingProblem({ ...plan, deadline: undefined });
  const found = optimizeSchedule(problem, { maxSchedules, seed: 1 });
  return found.status === 'infeasible' ? null : found.measures.makespan * unitMs;
}

export type AnalyzeOutcome = ReturnType<typeof analyze>;

export function analyze({ plan, risks, samples, seed }: AnalyzeTask) {
  // A split that crosses a bound is compared with what it came from.
  const maxSchedules = schedulesFor(plan.steps.length);
  const scheduled = scheduledMakespan(plan, maxSchedules);
  const result = analyzePlan(plan, {
    risks,
    samples,
    seed,
    // A change that leaves no schedule gains nothing.
    ...(scheduled === null
      ? {}
      : {
          scheduler: (changed: PlanProblem) => scheduledMakespan(changed, maxSchedules) ?? Number.MAX_SAFE_INTEGER,
          maxEvaluations: 30,
        }),
  });
  const { schedule, monteCarlo, pert } = result;
  return {
    makespanMs: schedule.finish,
    scheduledMakespanMs: scheduled ?? schedule.finish,
    criticalPaths: result.criticalPaths.listed.map((path) => path.filter((id) => !isStructural(id))),
    criticalPathCount: String(result.criticalPaths.count),
    steps: foldTimings(
      result.stepIds.map((stepId, at) => ({
        stepId,
        esMs: schedule.earlyStart[at]!,
        efMs: schedule.earlyFinish[at]!,
        lsMs: schedule.lateStart[at]!,
        lfMs: schedule.lateFinish[at]!,
        totalFloatMs: schedule.totalFloat[at]!,
        freeFloatMs: schedule.freeFloat[at]!,
        critical: schedule.critical[at] === 1,
        criticality: monteCarlo.criticality[at]!,
      })),
    ),
    deadlineProbability: pert.onTimeProbability,
    pertMeanMs: pert.finish,
    pertDeviationMs: Math.sqrt(pert.finishVariance),
    percentiles: monteCarlo.percentiles,
    samples: monteCarlo.samples,
    utilisation: result.loads.map(({ resourceId, capacity, peak, utilization, criticalUtilization }) => ({
      ...{ resourceId, capacity, peak, utilization, criticalUtilization },
    })),
    bottleneckId: result.bottleneck?.resourceId ?? null,
    riskScore: result.risk.score,
    quality: foldFindings(result.quality),
    suggestions: (result.suggestions?.suggestions ?? []).map(
      ({ change, before, after, gain, cost, keepsDeadline }) => ({
        ...{ kind: change.kind, target: change.target, parameters: change.parameters, cost, keepsDeadline },
        ...{ beforeMs: before, afterMs: after, gainMs: gain },
      }),
    ),
  };
}

function toMs({ makespan, ...rest }: ScheduleMeasures, unitMs: number): MeasuresMs {
  return { ...rest, makespanMs: makespan * unitMs };
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

/** Timings of the nodes as those of the plan's steps: a composite one starts with its begin. */
function foldTimings<Timing extends { readonly stepId: string; readonly esMs: number; readonly lsMs: number }>(
  timings: readonly Timing[],
): Timing[] {
  const begins = new Map(
    timings.filter(({ stepId }) => isStructural(stepId)).map((timing) => [stepOf(timing.stepId), timing]),
  );
  return timings
    .filter(({ stepId }) => !isStructural(stepId))
    .map((timing) => {
      const begin = begins.get(timing.stepId);
      return begin === undefined ? timing : { ...timing, esMs: begin.esMs, lsMs: begin.lsMs };
    });
}

/** Findings about what the plan itself holds. */
function foldFindings(findings: readonly QualityFinding[]): QualityFinding[] {
  const own = (ids: readonly string[]) => ids.filter((id) => !isStructural(id));
  return findings.flatMap((finding): QualityFinding[] => {
    if ('stepIds' in finding) {
      const stepIds = own(finding.stepIds);
      return stepIds.length === 0 ? [] : [{ ...finding, stepIds }];
    }
    if ('dependencyIds' in finding) {
      const dependencyIds = own(finding.dependencyIds);
      return dependencyIds.length === 0 ? [] : [{ ...finding, dependencyIds }];
    }
    return [finding];
  });
}
