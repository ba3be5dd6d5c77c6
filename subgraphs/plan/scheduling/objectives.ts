import type { Instance } from './instance.ts';
import { levelSquares } from './levelling.ts';
import { costOf, makespanOf } from './measures.ts';
import type { SchedulingProblem } from './problem.ts';

export const targets = ['time', 'cost', 'resource', 'quality'] as const;
/** time: makespan; cost: resources, crashing and overhead; resource: squared use; quality: see `qualityOf`. */
export type Target = (typeof targets)[number];

/** The value of a schedule for a target, the lower the better. `instance` has the durations after crashing. */
export function valueTarget(
  target: Target,
  instance: Instance,
  { starts, original }: { readonly starts: Int32Array; readonly original: SchedulingProblem },
): number {
  switch (target) {
    case 'time':
      return makespanOf(instance.problem, starts);
    case 'cost':
      return (
        costOf(original, instance.durations, makespanOf(instance.problem, starts)) +
        crashCost(original, instance.durations)
      );
    case 'resource':
      return levelSquares(instance, starts);
    case 'quality':
      return 1 - qualityOf(instance, { starts, original });
  }
}

/** Price of the time that durations save. */
export function crashCost({ durations, crashOptions = [] }: SchedulingProblem, crashed: Int32Array): number {
  return crashOptions.reduce(
    (sum, { activity, costPerUnitTime }) => sum + (durations[activity]! - crashed[activity]!) * costPerUnitTime,
    0,
  );
}

/**
 * 0 to 1, the weighted mean over activities of two halves: the share of the normal duration that is left to the work
 * (Babu and Suresh 1996), and the free slack as a share of the duration, at most 1 (robustness, Al-Fawzan and Haouari 2005).
 */
export function qualityOf(
  instance: Instance,
  { starts, original }: { readonly starts: Int32Array; readonly original: SchedulingProblem },
): number {
  const { size, durations, successors } = instance;
  const makespan = makespanOf(instance.problem, starts);
  let weights = 0;
  let sum = 0;
  for (let activity = 0; activity < size; activity += 1) {
    const duration = durations[activity]!;
    if (original.durations[activity] === 0) continue;
    let slack = makespan - starts[activity]! - duration;
    for (let at = successors.offsets[activity]!; at < successors.offsets[activity + 1]!; at += 1)
      slack = Math.min(slack, starts[successors.ends[at]!]! - successors.weights[at]! - starts[activity]!);
    const unhurried = duration / original.durations[activity]!;
    const buffered = duration === 0 ? 1 : Math.min(1, Math.max(0, slack) / duration);
    const weight = original.qualityWeights?.[activity] ?? 1;
    weights += weight;
    sum += weight * (unhurried / 2 + buffered / 2);
  }
  return weights === 0 ? 1 : sum / weights;
}
