import type { StepTemplate } from './method.ts';
import { findPrecedences } from './precedence.ts';
import { type DecompositionFailure, type DecompositionProblem, searchDecomposition } from './search.ts';

export interface DecomposedStep<Step extends StepTemplate = StepTemplate> {
  readonly methodId: string;
  readonly template: Step;
  readonly name: string;
  readonly description: string;
}

export type Decomposition<Step extends StepTemplate = StepTemplate> =
  | {
      /** In an order in which they can be carried out. */
      readonly steps: readonly DecomposedStep<Step>[];
      /** [earlier, later] by their places: a later step starts when the earlier one has finished. */
      readonly precedences: readonly (readonly [number, number])[];
      /** Methods taken, in the order in which they were, each as often as it was. */
      readonly methodIds: readonly string[];
    }
  | { readonly failure: DecompositionFailure };

/** Steps that do the objectives, by the first methods that lead to an end. Deterministic. */
export function decompose<Step extends StepTemplate>(problem: DecompositionProblem<Step>): Decomposition<Step> {
  const found = searchDecomposition(problem);
  if ('failure' in found) return found;
  const { choices, objectives } = found;
  const precedences = findPrecedences(objectives, problem.order, choices);
  if (precedences === null) {
    const { name, objective, depth } = objectives[0]!;
    return { failure: { kind: 'too_long', objective, task: name, depth, methods: [] } };
  }
  return {
    steps: choices.flatMap(({ compiled, step }) =>
      step === null ? [] : [{ methodId: compiled.method.id, template: compiled.step!.template, ...step }],
    ),
    precedences,
    methodIds: choices.map(({ compiled }) => compiled.method.id),
  };
}
