import { compileInstance } from './instance.ts';
import { qualityOf } from './objectives.ts';
import type { SchedulingProblem } from './problem.ts';

/** Quality of a schedule whose activities may be shorter than normal, 0 to 1: see `qualityOf`. */
export function qualityOfSchedule(
  original: SchedulingProblem,
  { starts, durations }: { readonly starts: Int32Array; readonly durations: Int32Array },
): number {
  // Dates that a schedule misses say nothing about its quality.
  const { deadlines: _deadlines, ...undated } = original;
  const compiled = compileInstance({ ...undated, durations });
  return 'infeasibility' in compiled ? 0 : qualityOf(compiled.instance, { starts, original });
}
