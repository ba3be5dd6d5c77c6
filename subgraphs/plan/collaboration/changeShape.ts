import { shapeDemands } from '../definitionShape.ts';
import { shapeCriteria } from '../methodShape.ts';
import { toDependency } from '../network.ts';
import type { PlanStepChange } from '../resolvers.generated.ts';
import type { PlanDependencyRow } from '../rows.ts';
import type { PlanChange } from './inputs.ts';

/** A contribution's change as the API answers it. */
export function shapeChange(change: PlanChange, of: { readonly tenantId: string; readonly planId: string }) {
  return {
    addSteps: change.addSteps.map(({ id, ...step }) => shapeStep(id, step)),
    updateSteps: change.updateSteps.map(({ stepId, patch }) => shapeStep(stepId, patch)),
    removeStepIds: [...change.removeStepIds],
    addDependencies: change.addDependencies.map(
      (given, place): PlanDependencyRow => toDependency(given, { ...of, place }),
    ),
    removeDependencyIds: [...change.removeDependencyIds],
  };
}

type Said = Omit<PlanChange['updateSteps'][number]['patch'], 'description'> & {
  readonly description?: string | undefined;
};

/** Null is said of a field that is cleared; what is not said is null too, and stands not among the fields. */
function shapeStep(stepId: string, said: Said): PlanStepChange {
  const { acceptanceCriteria, demands, type, priority, ...step } = said;
  return {
    ...step,
    stepId,
    // As they are stored they have no order of their own.
    fields: Object.entries(said)
      .flatMap(([field, value]) => (value === undefined ? [] : [field]))
      .sort(),
    type: (type ?? null) as PlanStepChange['type'],
    priority: (priority ?? null) as PlanStepChange['priority'],
    demands: demands == null ? null : shapeDemands(demands),
    acceptanceCriteria: acceptanceCriteria == null ? null : shapeCriteria(acceptanceCriteria),
  };
}
