import { createBuilder } from './builder.ts';
import { levelSquares, levelStarts } from './levelling.ts';
import { makespanOf } from './measures.ts';
import { type NoSchedule, prepareInstance } from './optimize.ts';
import type { SchedulingProblem } from './problem.ts';

export interface LevelledSchedule {
  readonly status: 'feasible';
  readonly starts: Int32Array;
  /** Sum of the squared use before and after. */
  readonly before: number;
  readonly after: number;
}

/**
 * Levels a feasible schedule (`findViolations` finds none) without making it longer than `latestFinish`.
 * @param latestFinish the makespan of the schedule where it is left out
 */
export function levelSchedule(
  problem: SchedulingProblem,
  starts: Int32Array,
  latestFinish: number = makespanOf(problem, starts),
): LevelledSchedule | NoSchedule {
  const instance = prepareInstance(problem);
  if ('status' in instance) return instance;
  const levelled = starts.slice();
  levelStarts(createBuilder(instance), levelled, latestFinish);
  return {
    status: 'feasible',
    starts: levelled,
    before: levelSquares(instance, starts),
    after: levelSquares(instance, levelled),
  };
}
