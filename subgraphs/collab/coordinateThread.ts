import { type Coordination, type CoordinationProblem, coordinate } from './assignment/index.ts';

/** What a thread of the compute pool runs. */
export function coordinateTasks(problem: CoordinationProblem): Coordination | null {
  return coordinate(problem);
}
