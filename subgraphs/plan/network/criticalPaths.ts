import { sourceIsFinish, targetIsFinish } from './dependency.ts';
import type { ActivityNetwork } from './network.ts';
import { isDriving, type Schedule } from './schedule.ts';

/** All longest paths of a schedule, without listing them. */
export interface CriticalPaths {
  /** Exact; there can be exponentially many. */
  readonly count: bigint;
  /** Lazily, each from a step that nothing critical precedes to one that nothing critical follows, as step ids. */
  paths(options?: { readonly limit?: number }): Generator<string[], void, void>;
}

/**
 * Paths over the driving edges between critical steps, counted by dynamic programming in reverse topological order.
 * In an interruptible schedule a path is a sequence of events, where one step's start may be critical and its finish not.
 */
export function findCriticalPaths(network: ActivityNetwork, schedule: Schedule): CriticalPaths {
  const { successors, starts, byOrder, stepOf } = buildDrivingGraph(network, schedule);
  const pathsFrom = new Map<number, bigint>();
  for (const node of byOrder.toReversed()) {
    const next = successors.get(node) ?? [];
    pathsFrom.set(node, next.length === 0 ? 1n : next.reduce((sum, other) => sum + pathsFrom.get(other)!, 0n));
  }
  const describe = (path: readonly number[]): string[] => {
    const steps = path.map(stepOf);
    return steps.filter((step, place) => step !== steps[place - 1]).map((step) => network.ids[step]!);
  };
  return {
    count: starts.reduce((sum, node) => sum + pathsFrom.get(node)!, 0n),
    *paths({ limit = Infinity } = {}) {
      let listed = 0;
      for (const start of starts) {
        const path = [start];
        const taken = [0];
        while (path.length > 0) {
          const next = successors.get(path.at(-1)!) ?? [];
          const branch = taken.at(-1)!;
          if (branch < next.length) {
            taken[taken.length - 1] = branch + 1;
            path.push(next[branch]!);
            taken.push(0);
            continue;
          }
          if (next.length === 0) {
            if (listed >= limit) return;
            yield describe(path);
            listed += 1;
          }
          path.pop();
          taken.pop();
        }
      }
    },
  };
}

interface DrivingGraph {
  readonly successors: ReadonlyMap<number, readonly number[]>;
  readonly starts: readonly number[];
  readonly byOrder: readonly number[];
  readonly stepOf: (node: number) => number;
}

/** One node a step, or one an event when steps may be stretched; parallel edges count once. */
function buildDrivingGraph(network: ActivityNetwork, schedule: Schedule): DrivingGraph {
  const { edgeTarget, edgeType, outStart, outEdges, duration } = network;
  const { criticalEvent, earlyStart, earlyFinish, topology } = schedule;
  const rigid = schedule.continuity === 'contiguous';
  const nodeOf = (event: number): number => (rigid ? event >> 1 : event);
  const successors = new Map<number, number[]>();
  const followed = new Set<number>();
  const byOrder: number[] = [];
  for (const step of topology.order) {
    const own = new Map<number, Set<number>>();
    for (const event of [2 * step, 2 * step + 1]) if (criticalEvent[event]) own.set(nodeOf(event), new Set());
    if (own.size === 0) continue;
    if (own.size === 2 && earlyFinish[step] === earlyStart[step]! + duration[step]!)
      own.get(2 * step)!.add(2 * step + 1);
    for (let at = outStart[step]!; at < outStart[step + 1]!; at += 1) {
      const edge = outEdges[at]!;
      const from = nodeOf(2 * step + (edgeType[edge]! & sourceIsFinish ? 1 : 0));
      const to = 2 * edgeTarget[edge]! + (edgeType[edge]! & targetIsFinish ? 1 : 0);
      if (criticalEvent[to] && own.has(from) && isDriving(network, schedule, edge)) own.get(from)!.add(nodeOf(to));
    }
    for (const [node, next] of own) {
      byOrder.push(node);
      successors.set(node, [...next]);
      for (const other of next) followed.add(other);
    }
  }
  return {
    successors,
    byOrder,
    starts: byOrder.filter((node) => !followed.has(node)),
    stepOf: (node) => (rigid ? node : node >> 1),
  };
}
