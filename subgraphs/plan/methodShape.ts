import { criteriaOf } from './acceptance.ts';
import { shapeDemands } from './definitionShape.ts';
import type { MethodStep } from './methodInputs.ts';
import type { PlanCriterionDefinition, PlanMethodResolvers, PlanMethodStep } from './resolvers.generated.ts';

/** Fields of a method that rows keep in another form than the API answers. */
export const methodFields: Pick<PlanMethodResolvers, 'bindings' | 'step' | 'subtasks'> = {
  bindings: ({ bindings }) => bindings.map(({ in: list, pattern }) => ({ in: list, pattern })),
  subtasks: ({ subtasks }) => subtasks?.map(({ task, arguments: given }) => ({ task, arguments: given })) ?? null,
  step: ({ step }) => step && shapeStep(step),
};

function shapeStep({ effects, type, priority, ...step }: MethodStep): PlanMethodStep {
  return {
    ...step,
    type: (type ?? null) as PlanMethodStep['type'],
    priority: (priority ?? null) as PlanMethodStep['priority'],
    demands: shapeDemands(step.demands),
    requiredCapabilities: [...(step.requiredCapabilities ?? [])],
    assignedAgents: [...(step.assignedAgents ?? [])],
    acceptanceCriteria: shapeCriteria(step.acceptanceCriteria),
    effects: effects.map((effect) =>
      'increase' in effect
        ? { fact: effect.fact, value: null, increase: effect.increase }
        : { fact: effect.fact, value: effect.value, increase: null },
    ),
  };
}

/** Criteria as they are given, complete with defaults. */
export const shapeCriteria = (list: unknown): PlanCriterionDefinition[] =>
  criteriaOf({ acceptanceCriteria: list }).map(({ condition, ...criterion }) => ({
    ...criterion,
    condition: condition ?? null,
  }));
