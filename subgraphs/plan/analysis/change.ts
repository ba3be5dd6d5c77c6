import { withAdded } from './calendar.ts';
import { type PlanProblem, type ProblemDependency, type ProblemStep, replaceOne, scaleDuration } from './problem.ts';
import { splitStep } from './splitStep.ts';

/** One change of a plan, by the id of what it changes. */
export type PlanChange =
  | { readonly kind: 'add_capacity'; readonly target: string; readonly parameters: { readonly amount: number } }
  | { readonly kind: 'crash'; readonly target: string; readonly parameters: { readonly duration: number } }
  | {
      readonly kind: 'split';
      readonly target: string;
      readonly parameters: { readonly parts: number; readonly parallel: boolean };
    }
  | { readonly kind: 'release_start'; readonly target: string; readonly parameters: { readonly earliestStart: number } }
  | { readonly kind: 'fast_track'; readonly target: string; readonly parameters: { readonly lag: number } }
  | {
      readonly kind: 'remove_redundant_edge';
      readonly target: string;
      readonly parameters: Readonly<Record<string, never>>;
    };

/**
 * The problem with the change made; the problem itself stays as it is. `add_capacity` names a resource; `crash`, `split`
 * and `release_start` a step; `fast_track` sets the lag of a dependency and `remove_redundant_edge` removes one.
 * @throws {RangeError} when nothing has the target's id.
 */
export function applyChange(problem: PlanProblem, change: PlanChange): PlanProblem {
  const { target } = change;
  switch (change.kind) {
    case 'add_capacity':
      return {
        ...problem,
        resources: replaceOne(problem.resources, target, (resource) => [withAdded(resource, change.parameters.amount)]),
      };
    case 'crash':
      return withStep(problem, target, (step) => scaleDuration(step, change.parameters.duration));
    case 'release_start':
      return withStep(problem, target, (step) => ({ ...step, earliestStart: change.parameters.earliestStart }));
    case 'split':
      return splitStep(problem, target, change.parameters);
    case 'fast_track':
      return withDependency(problem, target, (dependency) => [{ ...dependency, lag: change.parameters.lag }]);
    case 'remove_redundant_edge':
      return withDependency(problem, target, () => []);
  }
}

function withStep(problem: PlanProblem, id: string, change: (step: ProblemStep) => ProblemStep): PlanProblem {
  return { ...problem, steps: replaceOne(problem.steps, id, (step) => [change(step)]) };
}

function withDependency(
  problem: PlanProblem,
  id: string,
  change: (dependency: ProblemDependency) => readonly ProblemDependency[],
): PlanProblem {
  return { ...problem, dependencies: replaceOne(problem.dependencies, id, change) };
}
