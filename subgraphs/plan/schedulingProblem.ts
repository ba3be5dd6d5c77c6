import type { PlanProblem } from './analysis/index.ts';
import { free, type SchedulingProblem, unbounded } from './scheduling/index.ts';

/** All times of a scheduling problem together stay below this. */
const maxTotal = 2 ** 29 - 1;

export interface AdaptedProblem {
  readonly problem: SchedulingProblem;
  /** Milliseconds of one unit of its time. */
  readonly unitMs: number;
}

/**
 * A plan as the scheduler takes it: indexes for ids, whole units of time as fine as fit. Durations and lags are rounded
 * up, so that a schedule kept in units is kept in milliseconds; deadlines are rounded down.
 */
export function toSchedulingProblem(plan: PlanProblem): AdaptedProblem {
  const total =
    plan.steps.reduce((sum, step) => sum + step.duration + (step.earliestStart ?? 0), 0) +
    plan.dependencies.reduce((sum, { lag }) => sum + Math.abs(lag), 0);
  // Rounding up adds less than one unit for each of them.
  const slack = 2 * (plan.steps.length + plan.dependencies.length) + 1;
  let unitMs = 1;
  for (const next of [1, 10, 100, 1_000, 10_000, 60_000, 600_000, 3_600_000, 86_400_000]) {
    unitMs = next;
    if (total / unitMs + slack <= maxTotal) break;
  }
  const up = (value: number) => Math.ceil(value / unitMs);
  const indexOf = new Map(plan.steps.map((step, index) => [step.id, index]));
  const resourceAt = new Map(plan.resources.map((resource, index) => [resource.id, index]));
  const demands = new Int32Array(plan.steps.length * plan.resources.length);
  for (const [index, step] of plan.steps.entries()) {
    for (const { resourceId, amount } of step.demands ?? []) {
      const at = resourceAt.get(resourceId);
      if (at !== undefined) demands[index * plan.resources.length + at]! += amount;
    }
  }
  const bounded = (deadline: number | undefined) => Math.min(deadline ?? Infinity, plan.deadline ?? Infinity);
  return {
    unitMs,
    problem: {
      durations: Int32Array.from(plan.steps, (step) => up(step.duration)),
      precedences: plan.dependencies.map(({ source, target, type, lag }) => ({
        from: indexOf.get(source)!,
        to: indexOf.get(target)!,
        type,
        lag: up(lag),
      })),
      resources: plan.resources.map(({ capacity, costRate }) => ({
        capacity,
        costPerUnitTime: (costRate ?? 0) * unitMs,
      })),
      demands,
      releases: Int32Array.from(plan.steps, (step) => up(step.earliestStart ?? 0)),
      deadlines: Int32Array.from(plan.steps, (step) => {
        const deadline = bounded(step.deadline);
        return deadline === Infinity ? unbounded : Math.min(unbounded, Math.floor(deadline / unitMs));
      }),
      fixedStarts: new Int32Array(plan.steps.length).fill(free),
      crashOptions: plan.steps.flatMap((step, activity) =>
        step.crash === undefined || step.crash.minDuration >= step.duration
          ? []
          : [
              {
                activity,
                crashDuration: up(step.crash.minDuration),
                costPerUnitTime: step.crash.costPerUnit * unitMs,
              },
            ],
      ),
    },
  };
}
