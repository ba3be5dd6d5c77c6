import type { PlanDependencyRow, PlanStepRow } from './rows.ts';

export interface Network {
  readonly steps: readonly PlanStepRow[];
  readonly dependencies: readonly PlanDependencyRow[];
}

/** What an edit makes of a network: only this is written, and told. */
export interface NetworkChange {
  readonly addedSteps: readonly PlanStepRow[];
  readonly changedSteps: readonly PlanStepRow[];
  readonly removedSteps: readonly string[];
  readonly addedDependencies: readonly PlanDependencyRow[];
  readonly removedDependencies: readonly string[];
}

/** Rows that an edit leaves alone are the same objects before and after. */
export function compareNetworks(before: Network, after: Network): NetworkChange {
  const steps = new Map(before.steps.map((step) => [step.id, step]));
  const kept = new Set(after.steps.map(({ id }) => id));
  const linksBefore = new Set(before.dependencies.map(({ id }) => id));
  const linksAfter = new Set(after.dependencies.map(({ id }) => id));
  return {
    addedSteps: after.steps.filter(({ id }) => !steps.has(id)),
    changedSteps: after.steps.filter((step) => steps.has(step.id) && steps.get(step.id) !== step),
    removedSteps: before.steps.filter(({ id }) => !kept.has(id)).map(({ id }) => id),
    addedDependencies: after.dependencies.filter(({ id }) => !linksBefore.has(id)),
    removedDependencies: before.dependencies.filter(({ id }) => !linksAfter.has(id)).map(({ id }) => id),
  };
}

/** An edit as its event tells it: what came and went, by id. */
export interface ToldNetworkChange {
  readonly addedSteps: readonly string[];
  readonly removedSteps: readonly string[];
  readonly addedDependencies: readonly string[];
  readonly removedDependencies: readonly string[];
}

export function tellChange(change: NetworkChange): ToldNetworkChange {
  return {
    addedSteps: change.addedSteps.map(({ id }) => id),
    removedSteps: change.removedSteps,
    addedDependencies: change.addedDependencies.map(({ id }) => id),
    removedDependencies: change.removedDependencies,
  };
}
