import { analyzePlan, bucketLoad, type PlanProblem } from './analysis/index.ts';
import type { QualityFinding } from './analysis/quality.ts';
import type { RiskStatus } from './analysis/risk.ts';
import { isStructural, stepOf } from './compositeNodes.ts';
import type { StepFunction } from './network/index.ts';
import { optimizeSchedule } from './scheduling/index.ts';
import { toSchedulingProblem } from './schedulingProblem.ts';

/** What a thread of the compute pool runs. */
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

/** Parts of the time that a chart of the plan has. */
const chartParts = 50;

export function analyze({ plan, risks, samples, seed }: AnalyzeTask) {
  // A split that crosses a bound is compared with what it came from.
  const maxSchedules = schedulesFor(plan.steps.length);
  const scheduled = scheduledMakespan(plan, maxSchedules);
  const begins = plan.steps.filter(({ id }) => isStructural(id)).map(({ id }) => id);
  const containers = new Set([...begins, ...begins.map(stepOf)]);
  const result = analyzePlan(plan, {
    counts: (stepId) => !containers.has(stepId),
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
  const { schedule, monteCarlo, pert, parallelism } = result;
  const chart = (profile: StepFunction) =>
    bucketLoad(profile, chartParts, { from: schedule.projectStart, until: schedule.finish }).map(
      ({ start, end, mean }) => ({ startMs: start, endMs: end, mean }),
    );
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
        // What a composite step takes is that of its sub-tasks.
        expectedMs: containers.has(stepId) ? null : pert.mean[at]!,
        deviationMs: containers.has(stepId) ? null : Math.sqrt(pert.variance[at]!),
      })),
    ),
    parallelism: {
      ...{ peak: parallelism.peak, mean: parallelism.mean, width: parallelism.width },
      profile: chart(parallelism.profile),
    },
    deadlineProbability: pert.onTimeProbability,
    pertMeanMs: pert.finish,
    pertDeviationMs: Math.sqrt(pert.finishVariance),
    percentiles: monteCarlo.percentiles,
    samples: monteCarlo.samples,
    utilisation: result.loads.map(({ resourceId, capacity, peak, utilization, criticalUtilization, profile }) => ({
      ...{ resourceId, capacity, peak, profile: chart(profile) },
      ...{ utilization: finite(utilization), criticalUtilization: finite(criticalUtilization) },
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

/** Null for work of a resource that there is none of. */
const finite = (share: number): number | null => (Number.isFinite(share) ? share : null);

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
