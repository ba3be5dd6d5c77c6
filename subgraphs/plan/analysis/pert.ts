import { sourceIsFinish, targetIsFinish } from '../network/dependency.ts';
import { type ActivityNetwork, earliestFit, requireTopology, type Topology } from '../network/index.ts';
import { pertMean, pertVariance, type ThreePoint } from './estimate.ts';
import { normalCdf } from './normal.ts';

export interface PertResult {
  /** Expected duration and its variance by node. */
  readonly mean: Float64Array;
  readonly variance: Float64Array;
  /** Expected finish: length of the longest path over expected durations. */
  readonly finish: number;
  /** Variance of that path; of several as long, the one with the largest. */
  readonly finishVariance: number;
  /** Step ids of the path. */
  readonly path: string[];
  /** P(finish <= deadline) by the normal approximation; null without a deadline. */
  readonly onTimeProbability: number | null;
}

/**
 * PERT (Malcolm, Roseboom, Clark & Fazar 1959). Other paths may become the longest, so the finish is optimistic where
 * several are nearly as long (merge-event bias, MacCrimmon & Ryavec 1964): the Monte Carlo analysis has no such bias.
 * A step that waits for its times begins a path anew, as one with an imposed start does: what came before varies within the wait.
 */
export function analyzePert(
  network: ActivityNetwork,
  estimates: readonly ThreePoint[],
  {
    topology = requireTopology(network),
    deadline,
  }: { readonly topology?: Topology | undefined; readonly deadline?: number | undefined } = {},
): PertResult {
  const mean = Float64Array.from(estimates, pertMean);
  const variance = Float64Array.from(estimates, pertVariance);
  const { end, finish, finishVariance, cameFrom } = passLongestPath(network, topology, { mean, variance });
  const path: string[] = [];
  for (let node = end; node !== -1; node = cameFrom[node]!) path.push(network.ids[node]!);
  return {
    ...{ mean, variance, finish, finishVariance, path: path.reverse() },
    onTimeProbability: deadline === undefined ? null : probabilityWithin(deadline, finish, finishVariance),
  };
}

/** P(X <= limit) for a normal X; with no variance, whether the mean itself is within. */
export function probabilityWithin(limit: number, mean: number, variance: number): number {
  return variance > 0 ? normalCdf((limit - mean) / Math.sqrt(variance)) : limit >= mean ? 1 : 0;
}

/**
 * A step adds its variance only where the path runs through it from one end to the other: entered at its start it does
 * when left at its finish, entered at its finish (its start is then the finish less the duration) when left at its start.
 */
function passLongestPath(
  network: ActivityNetwork,
  topology: Topology,
  { mean, variance }: { readonly mean: Float64Array; readonly variance: Float64Array },
) {
  const { count, edgeSource, edgeType, edgeLag, inStart, inEdges, earliestStart, open, planned } = network;
  const start = new Float64Array(count);
  const varianceAtStart = new Float64Array(count);
  const varianceAtFinish = new Float64Array(count);
  const cameFrom = new Int32Array(count).fill(-1);
  let end = -1;
  for (const node of topology.order) {
    start[node] = Math.max(0, earliestStart[node]!);
    varianceAtFinish[node] = variance[node]!;
    for (let at = inStart[node]!; at < inStart[node + 1]!; at += 1) {
      const edge = inEdges[at]!;
      const source = edgeSource[edge]!;
      const type = edgeType[edge]!;
      const leftAtFinish = type & sourceIsFinish;
      const entersFinish = type & targetIsFinish;
      const reached = start[source]! + (leftAtFinish ? mean[source]! : 0) + edgeLag[edge]!;
      const candidate = entersFinish ? reached - mean[node]! : reached;
      const soFar = (leftAtFinish ? varianceAtFinish : varianceAtStart)[source]!;
      const atStart = entersFinish ? soFar + variance[node]! : soFar;
      const atFinish = entersFinish ? soFar : soFar + variance[node]!;
      const order = compareTimes(candidate, start[node]!);
      if (order < 0 || (order === 0 && atFinish < varianceAtFinish[node]!)) continue;
      start[node] = Math.max(start[node]!, candidate);
      varianceAtStart[node] = atStart;
      varianceAtFinish[node] = atFinish;
      cameFrom[node] = source;
    }
    const own = open?.[node];
    const fit = own === undefined ? start[node]! : earliestFit(own, start[node]!, planned[node]!);
    if (fit > start[node]!) {
      start[node] = fit;
      varianceAtStart[node] = 0;
      varianceAtFinish[node] = variance[node]!;
      cameFrom[node] = -1;
    }
    const order = end === -1 ? 1 : compareTimes(start[node]! + mean[node]!, start[end]! + mean[end]!);
    if (order > 0 || (order === 0 && varianceAtFinish[node]! >= varianceAtFinish[end]!)) end = node;
  }
  return {
    ...{ end, cameFrom },
    finish: end === -1 ? 0 : start[end]! + mean[end]!,
    finishVariance: end === -1 ? 0 : varianceAtFinish[end]!,
  };
}

/** Sums of sixths round differently along different paths. */
function compareTimes(left: number, right: number): number {
  const difference = left - right;
  return Math.abs(difference) <= 1e-9 * Math.max(1, Math.abs(left), Math.abs(right)) ? 0 : difference;
}
