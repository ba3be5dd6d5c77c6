import type { PlanProblem } from './analysis/index.ts';
import { expandComposites } from './compositeNodes.ts';
import type { PlanDefinition, PlanDependencyRow, PlanStepRow } from './rows.ts';

const hourMs = 3_600_000;

/** What the algorithms see of a plan: times in milliseconds, prices per millisecond, composite steps as milestones. */
export function toPlanProblem(
  definition: PlanDefinition,
  steps: readonly PlanStepRow[],
  dependencies: readonly PlanDependencyRow[],
): PlanProblem {
  const nodes = steps.map(({ id, durationMs, details: given }) => ({
    id,
    duration: durationMs,
    earliestStart: given.earliestStartMs,
    deadline: given.deadlineMs,
    estimate: given.estimate && {
      optimistic: given.estimate.optimisticMs,
      mostLikely: given.estimate.mostLikelyMs,
      pessimistic: given.estimate.pessimisticMs,
    },
    demands: given.demands,
    costRate: given.costPerHour === undefined ? undefined : given.costPerHour / hourMs,
    crash: given.crash && {
      minDuration: given.crash.minDurationMs,
      costPerUnit: given.crash.costPerHour / hourMs,
    },
  }));
  const relations = dependencies.map(({ id, sourceId, targetId, type, lagMs, criticality }) => ({
    id,
    source: sourceId,
    target: targetId,
    type,
    lag: lagMs,
    criticality,
  }));
  return {
    ...expandComposites(steps, nodes, relations),
    resources: definition.resources.map(({ id, capacity, costPerHour, maxAdded }) => ({
      id,
      capacity,
      costRate: costPerHour == null ? undefined : costPerHour / hourMs,
      maxAdded: maxAdded ?? undefined,
    })),
    deadline: definition.deadlineMs ?? undefined,
  };
}
