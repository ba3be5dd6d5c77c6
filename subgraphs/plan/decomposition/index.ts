export { compileMethod } from './compile.ts';
export { type DecomposedStep, type Decomposition, decompose } from './decompose.ts';
export type { Binding, Effect, Method, StepTemplate, Subtask, TaskOrder, Term } from './method.ts';
export {
  type DecompositionFailure,
  type DecompositionProblem,
  maxDepth,
  maxMatches,
  maxSteps,
  maxTries,
} from './search.ts';
