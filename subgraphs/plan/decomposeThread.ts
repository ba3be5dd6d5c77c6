import { type Decomposition, type DecompositionProblem, decompose } from './decomposition/index.ts';
import type { MethodStep } from './methodInputs.ts';

export type DecomposeTask = DecompositionProblem<MethodStep>;
export type DecomposeOutcome = Decomposition<MethodStep>;

/** What a thread of the compute pool runs. */
export function decomposeObjectives(task: DecomposeTask): DecomposeOutcome {
  return decompose(task);
}
