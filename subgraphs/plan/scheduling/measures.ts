import { capacityAt } from './packedCapacity.ts';
import type { SchedulingProblem } from './problem.ts';
import { findViolations, loadOver } from './violations.ts';

export interface ScheduleMeasures {
  readonly makespan: number;
  /** lowerBound / makespan, 1 where proven shortest. */
  readonly score: number;
  /** Used capacity / offered capacity until the makespan, over all resources. */
  readonly resourceEfficiency: number;
  /** 1 - standard deviation / mean of the use of each resource relative to its offer, not below 0. */
  readonly loadBalanceScore: number;
  readonly constraintViolations: number;
  /** Price of resources used, plus overhead. */
  readonly cost: number;
  /** Sum over resources and time of the squared use (Burgess and Killebrew 1962): lower is more level. */
  readonly levelling: number;
}

export function measureSchedule(problem: SchedulingProblem, starts: Int32Array, lowerBound: number): ScheduleMeasures {
  const makespan = makespanOf(problem, starts);
  const uses = problem.resources.map((_, resource) => useOf(problem, starts, resource, makespan));
  const shares = uses.filter(({ offered }) => offered > 0).map(({ used, offered }) => used / offered);
  const sum = (pick: (use: ResourceUse) => number) => uses.reduce((total, use) => total + pick(use), 0);
  const offered = sum((use) => use.offered);
  return {
    makespan,
    score: makespan === 0 ? 1 : lowerBound / makespan,
    resourceEfficiency: offered > 0 ? sum((use) => use.used) / offered : 0,
    loadBalanceScore: balanceOf(shares),
    constraintViolations: findViolations(problem, starts).length,
    cost: costOf(problem, problem.durations, makespan),
    levelling: sum((use) => use.squares),
  };
}

export function makespanOf({ durations }: SchedulingProblem, starts: Int32Array): number {
  return starts.reduce((latest, start, activity) => Math.max(latest, start + durations[activity]!), 0);
}

/** Price of the resources used for these durations, plus overhead. */
export function costOf(problem: SchedulingProblem, durations: Int32Array, makespan: number): number {
  const { resources, demands, overheadPerUnitTime = 0 } = problem;
  let cost = overheadPerUnitTime * makespan;
  resources.forEach(({ costPerUnitTime = 0 }, resource) => {
    if (costPerUnitTime === 0) return;
    for (const [activity, duration] of durations.entries())
      cost += duration * demands[activity * resources.length + resource]! * costPerUnitTime;
  });
  return cost;
}

interface ResourceUse {
  readonly used: number;
  readonly offered: number;
  readonly squares: number;
}

function useOf(problem: SchedulingProblem, starts: Int32Array, resource: number, makespan: number): ResourceUse {
  const load = loadOver(problem, starts, resource);
  let used = 0;
  let offered = 0;
  let squares = 0;
  load.forEach((entry, at) => {
    const time = Math.min(load[at + 1]?.time ?? makespan, makespan) - entry.time;
    if (time <= 0) return;
    used += entry.used * time;
    squares += entry.used ** 2 * time;
    offered += capacityAt(problem, resource, entry.time) * time;
  });
  return { used, offered, squares };
}

function balanceOf(shares: readonly number[]): number {
  const mean = shares.reduce((sum, share) => sum + share, 0) / shares.length;
  if (!(mean > 0)) return 1;
  const variance = shares.reduce((sum, share) => sum + (share - mean) ** 2, 0) / shares.length;
  return Math.max(0, 1 - Math.sqrt(variance) / mean);
}
