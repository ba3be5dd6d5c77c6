import { sourceIsFinish, targetIsFinish } from './dependency.ts';
import type { ActivityNetwork } from './network.ts';
import { latestFit } from './openTimes.ts';
import type { Topology } from './topology.ts';

/**
 * By node, the last start that leaves the project its finish, whatever deadlines say: where steps have times of their own a
 * small delay may become a great one, so that what is critical shows in the floats alone. Steps run without a break.
 */
export function lastStarts(network: ActivityNetwork, { order }: Topology, finish: number): Float64Array {
  const { count, duration, edgeTarget, edgeType, edgeLag, outStart, outEdges, open, planned } = network;
  const last = new Float64Array(count);
  for (let place = count - 1; place >= 0; place -= 1) {
    const node = order[place]!;
    let bound = finish - duration[node]!;
    for (let at = outStart[node]!; at < outStart[node + 1]!; at += 1) {
      const edge = outEdges[at]!;
      const next = edgeTarget[edge]!;
      const event = last[next]! + (edgeType[edge]! & targetIsFinish ? duration[next]! : 0) - edgeLag[edge]!;
      bound = Math.min(bound, edgeType[edge]! & sourceIsFinish ? event - duration[node]! : event);
    }
    const own = open?.[node];
    last[node] = own === undefined ? bound : latestFit(own, bound, planned[node]!);
  }
  return last;
}

/** Whether a step that starts then can start no later; sums round differently forwards and backwards. */
export const isLast = (start: number, last: number): boolean =>
  last - start <= 1e-9 * Math.max(1, Math.abs(start), Math.abs(last));
