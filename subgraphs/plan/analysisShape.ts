import type { createAnalyses } from './analyses.ts';
import type { InfeasibilityReason } from './analysis/index.ts';
import type { PlanAnalysis, PlanChangeKind, PlanInfeasibility } from './resolvers.generated.ts';

type Analysis = Awaited<ReturnType<ReturnType<typeof createAnalyses>['analyze']>>;

/** An analysis as the API answers it: times are milliseconds and say so. */
export function shapeAnalysis(analysis: Analysis): PlanAnalysis {
  const { percentiles, quality, earnedValue, deviations, criticalPaths, suggestions, ...rest } = analysis;
  return {
    ...rest,
    criticalPaths: criticalPaths.map((path) => [...path]),
    suggestions: suggestions.map(({ kind, parameters, ...suggestion }) => ({
      ...{ ...suggestion, ...shapeChange(kind, parameters) },
    })),
    percentiles: percentiles.map(({ share, finish, low, high }) => ({
      ...{ share, finishMs: finish, lowMs: low, highMs: high },
    })),
    quality: quality.map((finding) => ({
      check: finding.check.toUpperCase() as Uppercase<typeof finding.check>,
      stepIds: 'stepIds' in finding ? [...finding.stepIds] : [],
      dependencyIds: 'dependencyIds' in finding ? [...finding.dependencyIds] : [],
      resourceId: 'resourceId' in finding ? finding.resourceId : null,
      intervals:
        'intervals' in finding
          ? finding.intervals.map(({ start, end, stepIds, ...use }) => ({
              ...{ ...use, startMs: start, endMs: end, stepIds: [...stepIds] },
            }))
          : [],
    })),
    earnedValue: earnedValue && shapeEarnedValue(earnedValue),
    deviations: deviations?.map(({ startDelay, finishDelay, ...deviation }) => ({
      ...{ ...deviation, startDelayMs: startDelay, finishDelayMs: finishDelay },
    })),
  };
}

/** A change of the plan as the API answers it; its parameters are those of the kind. */
export function shapeChange(kind: string, parameters: Readonly<Record<string, unknown>>) {
  const { duration, earliestStart, lag, ...others } = parameters as {
    readonly duration?: number;
    readonly earliestStart?: number;
    readonly lag?: number;
  };
  return {
    kind: kind.toUpperCase() as PlanChangeKind,
    parameters: { ...others, durationMs: duration, earliestStartMs: earliestStart, lagMs: lag },
  };
}

function shapeEarnedValue({ earnedSchedule, scheduleVarianceTime, ...values }: NonNullable<Analysis['earnedValue']>) {
  return { ...values, earnedScheduleMs: earnedSchedule, scheduleVarianceTimeMs: scheduleVarianceTime };
}

/** Fields of a reason whose names do not say their unit. */
const named: Readonly<Record<string, keyof PlanInfeasibility>> = {
  deadline: 'deadlineMs',
  earliestFinish: 'earliestFinishMs',
  duration: 'durationMs',
  min: 'minDurationMs',
  max: 'maxDurationMs',
};

/** A reason as the API answers it. */
export function shapeInfeasibility(reason: InfeasibilityReason): PlanInfeasibility {
  const fields = Object.entries(reason).map(([field, value]) => [named[field] ?? field, value]);
  return { ...Object.fromEntries(fields), reason: reason.reason.toUpperCase() as Uppercase<typeof reason.reason> };
}
