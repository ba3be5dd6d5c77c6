import type { PlanProblem } from './analysis/index.ts';
import { expandComposites } from './compositeNodes.ts';
import { bindConstraints, timelineOf } from './constraints/index.ts';
import { toTimed } from './planTimes.ts';
import { isBinding, isPreferred } from './relations.ts';
import type { PlanDefinition, PlanDependencyRow, PlanStepRow } from './rows.ts';

const hourMs = 3_600_000;

const toRelation = ({ id, sourceId, targetId, type, lagMs }: PlanDependencyRow) => ({
  ...{ id, source: sourceId, target: targetId, type, lag: lagMs },
});

/**
 * What the algorithms see of a plan: times in milliseconds, prices per millisecond, composite steps as milestones, and
 * the dependencies that bind. One with a condition counts as if it held; hard constraints are kept.
 */
export function toPlanProblem(
  definition: PlanDefinition,
  steps: readonly PlanStepRow[],
  dependencies: readonly PlanDependencyRow[],
  /** How far the calendars have come: working weeks are looked at for a year from then on. */
  calendarMs = 0,
): PlanProblem {
  const clock = { startMs: timelineOf(definition).start, ageMs: calendarMs };
  const bound = bindConstraints(definition, steps);
  const nodes = bound.steps.map(({ id, durationMs, details: given }) => ({
    id,
    duration: durationMs,
    earliestStart: given.earliestStartMs,
    deadline: given.deadlineMs,
    estimate: given.estimate && {
      optimistic: given.estimate.optimisticMs,
      mostLikely: given.estimate.mostLikelyMs,
      pessimistic: given.estimate.pessimisticMs,
    },
    demands: given.demands?.filter(({ availability }) => availability !== 'OPTIONAL'),
    costRate: given.costPerHour === undefined ? undefined : given.costPerHour / hourMs,
    crash: given.crash && {
      minDuration: given.crash.minDurationMs,
      costPerUnit: given.crash.costPerHour / hourMs,
    },
  }));
  return {
    ...expandComposites(steps, nodes, dependencies.filter(isBinding).map(toRelation)),
    resources: bound.definition.resources.map((resource) => ({
      ...toTimed(resource, clock),
      costRate: resource.costPerHour == null ? undefined : resource.costPerHour / hourMs,
      maxAdded: resource.maxAdded ?? undefined,
    })),
    deadline: bound.definition.deadlineMs ?? undefined,
  };
}

/** Pairs of places in the problem, the earlier first: the order of dispatch that is asked for without being imposed. */
export function findPreferences(
  problem: PlanProblem,
  steps: readonly PlanStepRow[],
  dependencies: readonly PlanDependencyRow[],
): readonly (readonly [number, number])[] {
  const preferred = dependencies.filter(isPreferred);
  if (preferred.length === 0) return [];
  // What lies in a composite step comes with it.
  const expanded = expandComposites(steps, problem.steps.slice(0, steps.length), preferred.map(toRelation));
  const placeOf = new Map(problem.steps.map(({ id }, at) => [id, at]));
  return expanded.dependencies.map(({ source, target }) => [placeOf.get(source)!, placeOf.get(target)!] as const);
}
