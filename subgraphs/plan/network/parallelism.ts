import { computeLevels } from './levels.ts';
import type { ActivityNetwork } from './network.ts';
import type { Schedule } from './schedule.ts';
import { integrate, peakOf, type StepFunction, sumSpans } from './stepFunction.ts';
import { findWidestAntichain } from './width.ts';

export interface Parallelism {
  /** Steps under way over time when each starts as early as it can. */
  readonly profile: StepFunction;
  readonly peak: number;
  /** Work over duration: what as many agents could finish in the same time at best. */
  readonly mean: number;
  /** Most steps of which none waits for another, whatever the durations. */
  readonly width: number;
  readonly levelSizes: Int32Array;
}

/** @param counts nodes that are work of their own, for the width. @default all */
export function profileParallelism(
  network: ActivityNetwork,
  schedule: Schedule,
  counts?: (stepId: string) => boolean,
): Parallelism {
  const { earlyStart, earlyFinish, finish, projectStart, topology } = schedule;
  const profile = sumSpans(Array.from(earlyStart, (start, node) => ({ start, end: earlyFinish[node]!, weight: 1 })));
  return {
    profile,
    peak: peakOf(profile),
    mean: finish > projectStart ? integrate(profile) / (finish - projectStart) : 0,
    width: findWidestAntichain(network, counts && ((node) => counts(network.ids[node]!))).length,
    levelSizes: computeLevels(network, topology).sizes,
  };
}
