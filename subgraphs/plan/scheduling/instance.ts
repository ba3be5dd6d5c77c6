import { type Arcs, groupArcs, orderTopologically, type StartArc, startDistance } from './arcs.ts';
import type { Infeasibility } from './infeasibility.ts';
import { findLongestPaths } from './longestPaths.ts';
import { type PackedCapacity, packCapacity } from './packedCapacity.ts';
import { free, type SchedulingProblem, unbounded } from './problem.ts';

/** A problem made ready for search: dependencies as distances between starts, windows, packed capacities. */
export interface Instance {
  readonly problem: SchedulingProblem;
  readonly size: number;
  readonly durations: Int32Array;
  readonly predecessors: Arcs;
  readonly successors: Arcs;
  /** Arcs that lists obey: their weight is not negative, so a later place never means an earlier start. */
  readonly listSuccessors: Arcs;
  readonly listPredecessors: Arcs;
  /** An order that `listSuccessors` allow; ties between equal starts are broken by it. */
  readonly order: Int32Array;
  /** Some arc binds an activity to one that lists may place later. */
  readonly hasReversibleArcs: boolean;
  /** No activity precedes itself, not even with time to spare. */
  readonly isAcyclic: boolean;
  /** Windows of the start that releases, deadlines, fixed starts and dependencies leave, resources ignored. */
  readonly earliestStarts: Int32Array;
  readonly latestStarts: Int32Array;
  /** Longest way from the start of an activity to the end of the project. */
  readonly tails: Int32Array;
  readonly fixedStarts: Int32Array;
  readonly capacity: PackedCapacity;
  /** No schedule of interest ends later. */
  readonly horizon: number;
}

export type Compiled = { readonly instance: Instance } | { readonly infeasibility: Infeasibility };

/** Expects a valid problem (`findInvalidInput`); finds what dependencies, releases, deadlines and fixed starts forbid. */
export function compileInstance(problem: SchedulingProblem): Compiled {
  const { durations } = problem;
  const size = durations.length;
  const arcs = strongestArcs(problem);
  if (!Array.isArray(arcs)) return { infeasibility: arcs };
  const successors = groupArcs(size, arcs, 'from');
  const predecessors = groupArcs(size, arcs, 'to');
  const acyclicOrder = orderTopologically(size, successors);
  // Where a cycle exists no cycle is positive, so arcs above zero alone have none.
  const listArcs = arcs.filter(({ weight }) => (acyclicOrder === null ? weight > 0 : weight >= 0));
  const listSuccessors = groupArcs(size, listArcs, 'from');
  const fixedStarts = problem.fixedStarts ?? new Int32Array(size).fill(free);
  const releases = Int32Array.from(durations, (_, activity) =>
    fixedStarts[activity]! === free ? (problem.releases?.[activity] ?? 0) : fixedStarts[activity]!,
  );
  const heads = findLongestPaths(releases, successors, acyclicOrder);
  if (heads.cycle !== null) return { infeasibility: { kind: 'cycle', activities: heads.cycle } };
  const infeasibility = findMissedDate(problem, heads.values);
  if (infeasibility !== null) return { infeasibility };
  const backwards = acyclicOrder?.toReversed() ?? null;
  const tails = findLongestPaths(durations, predecessors, backwards).values!;
  const negatedLatest = Int32Array.from(durations, (duration, activity) =>
    fixedStarts[activity]! === free ? duration - (problem.deadlines?.[activity] ?? unbounded) : -fixedStarts[activity]!,
  );
  const latestStarts = findLongestPaths(negatedLatest, predecessors, backwards).values!.map((start) => -start);
  const capacity = packCapacity(problem);
  const order = acyclicOrder ?? orderTopologically(size, listSuccessors)!;
  const hasReversibleArcs = listArcs.length < arcs.length;
  const horizon = boundHorizon(heads.values, durations, predecessors, capacity) * (hasReversibleArcs ? 2 : 1);
  const listPredecessors = groupArcs(size, listArcs, 'to');
  return {
    instance: {
      problem,
      size,
      durations,
      predecessors,
      successors,
      listSuccessors,
      listPredecessors,
      order,
      hasReversibleArcs,
      isAcyclic: acyclicOrder !== null,
      earliestStarts: heads.values,
      latestStarts,
      tails,
      fixedStarts,
      capacity,
      horizon,
    },
  };
}

/** Of several dependencies between the same two activities the strongest; one from an activity to itself is a cycle. */
function strongestArcs({ durations, precedences }: SchedulingProblem): StartArc[] | Infeasibility {
  const strongest = new Map<number, StartArc>();
  for (const precedence of precedences) {
    const { from, to } = precedence;
    const weight = startDistance(precedence, durations);
    if (from === to) {
      if (weight > 0) return { kind: 'cycle', activities: [from] };
      continue;
    }
    const key = from * durations.length + to;
    const known = strongest.get(key);
    if (known === undefined || known.weight < weight) strongest.set(key, { from, to, weight });
  }
  return [...strongest.values()];
}

function findMissedDate(problem: SchedulingProblem, earliestStarts: Int32Array): Infeasibility | null {
  for (const [activity, earliestStart] of earliestStarts.entries()) {
    const fixedStart = problem.fixedStarts?.[activity] ?? free;
    if (fixedStart !== free && earliestStart > fixedStart)
      return { kind: 'fixed_start', activity, fixedStart, earliestStart };
    const deadline = problem.deadlines?.[activity] ?? unbounded;
    const earliestFinish = earliestStart + problem.durations[activity]!;
    if (earliestFinish > deadline) return { kind: 'deadline', activity, deadline, earliestFinish, proven: true };
  }
  return null;
}

/** Whatever the order, each activity starts at most its longest lag after all others and the last change have passed. */
function boundHorizon(
  earliestStarts: Int32Array,
  durations: Int32Array,
  predecessors: Arcs,
  capacity: PackedCapacity,
): number {
  let horizon = capacity.times.at(-1)!;
  for (const [activity, start] of earliestStarts.entries()) horizon = Math.max(horizon, start + durations[activity]!);
  for (const [activity, duration] of durations.entries()) {
    let lag = 0;
    for (let at = predecessors.offsets[activity]!; at < predecessors.offsets[activity + 1]!; at += 1)
      lag = Math.max(lag, predecessors.weights[at]! - durations[predecessors.ends[at]!]!);
    horizon += duration + lag;
  }
  return horizon;
}
