import type { PlanProblem } from './analysis/index.ts';
import { completeStarts, foldDates, stepOf } from './compositeNodes.ts';
import type { PlanScheduleViolation } from './resolvers.generated.ts';
import type { Violation } from './scheduling/index.ts';
import type { AdaptedProblem } from './schedulingProblem.ts';

export interface ScheduledStep {
  readonly stepId: string;
  readonly startMs: number;
  readonly finishMs: number;
}

/** Dates of a plan's steps from the starts of its nodes. */
export function toScheduledSteps(
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

/** Starts in whole units from those in milliseconds by step. */
export function toStarts(
  { unitMs }: AdaptedProblem,
  plan: PlanProblem,
  startMs: Readonly<Record<string, number>>,
): Int32Array {
  return Int32Array.from(
    completeStarts(plan, (id) => startMs[id] ?? 0),
    (start) => Math.ceil(start / unitMs),
  );
}

const maxViolations = 100;

/** Violations by the ids of what breaks them, 100 at most. */
export function shapeViolations(
  unitMs: number,
  plan: PlanProblem,
  violations: readonly Violation[],
): PlanScheduleViolation[] {
  const idOf = (at: number) => stepOf(plan.steps[at]!.id);
  return violations.slice(0, maxViolations).map((found) => {
    switch (found.kind) {
      case 'precedence':
        return {
          kind: 'PRECEDENCE',
          stepId: idOf(found.to),
          predecessorId: idOf(found.from),
          byMs: found.missing * unitMs,
        };
      case 'release':
        return { kind: 'RELEASE', stepId: idOf(found.activity), byMs: found.early * unitMs };
      case 'deadline':
        return { kind: 'DEADLINE', stepId: idOf(found.activity), byMs: found.late * unitMs };
      case 'fixed_start':
        return { kind: 'FIXED_START', stepId: idOf(found.activity), byMs: Math.abs(found.moved) * unitMs };
      case 'capacity':
        return { kind: 'CAPACITY', resourceId: plan.resources[found.resource]!.id, excess: found.over };
      default:
        return found satisfies never;
    }
  });
}
