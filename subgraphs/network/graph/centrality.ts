import type { Digraph } from './digraph.ts';
import { IndexedHeap } from './heap.ts';
import { createRandom, shuffled } from './random.ts';

export interface Centrality {
  /** Sum over pairs of the share of shortest paths that pass the node between their ends; by node. */
  readonly betweenness: Float64Array;
  /** The same of links; a pair's ends count. */
  readonly linkBetweenness: Float64Array;
  /** (reached / (n - 1)) * (reached / sum of distances): Wasserman and Faust's form for graphs in parts; by node. */
  readonly closeness: Float64Array;
  /** Greatest finite distance, in the unit of the lengths. */
  readonly diameter: number;
  /** Mean distance over ordered pairs that reach each other; 0 without any. */
  readonly averagePath: number;
  /** Greatest and mean number of links on shortest paths. */
  readonly diameterHops: number;
  readonly averageHops: number;
  /** Sources that were searched; fewer than nodes: betweenness is an estimate. */
  readonly sources: number;
  readonly approximate: boolean;
}

/** Lengths that differ by less, relatively, are one length: sums over different links rarely agree to the last bit. */
const tolerance = 1e-12;

/**
 * Betweenness of nodes and links (Brandes 2001), closeness, diameter and mean path in one run of Dijkstra's searches.
 * With fewer `pivots` than nodes the sums are scaled up from a sample of sources (Brandes and Pich 2007); closeness is
 * then that of the sources alone, 0 elsewhere. Pairs are ordered: on links that lead both ways each counts twice. Lengths are
 * greater than 0.
 */
export function centrality(
  graph: Digraph,
  length: Float64Array,
  options: { readonly pivots?: number; readonly seed?: number } = {},
): Centrality {
  const { nodeCount, linkCount, first, to, from, link } = graph;
  const pivots = Math.min(nodeCount, options.pivots ?? nodeCount);
  const sources =
    pivots === nodeCount
      ? Int32Array.from({ length: nodeCount }, (_, at) => at)
      : shuffled(nodeCount, createRandom(options.seed ?? 1)).slice(0, pivots);
  const betweenness = new Float64Array(nodeCount);
  const linkBetweenness = new Float64Array(linkCount);
  const closeness = new Float64Array(nodeCount);
  const distance = new Float64Array(nodeCount);
  const hops = new Int32Array(nodeCount);
  const paths = new Float64Array(nodeCount);
  const dependency = new Float64Array(nodeCount);
  const order = new Int32Array(nodeCount);
  const heap = new IndexedHeap(nodeCount);
  let [pairs, sum, hopSum, diameter, diameterHops] = [0, 0, 0, 0, 0];

  for (const source of sources) {
    distance.fill(Number.POSITIVE_INFINITY);
    paths.fill(0);
    dependency.fill(0);
    distance[source] = 0;
    hops[source] = 0;
    paths[source] = 1;
    heap.push(source, 0);
    let reached = 0;
    while (heap.length > 0) {
      const node = heap.pop();
      order[reached] = node;
      reached += 1;
      for (let arc = first[node]!; arc < first[node + 1]!; arc += 1) {
        const head = to[arc]!;
        const candidate = distance[node]! + length[arc]!;
        const known = distance[head]!;
        if (candidate === Number.POSITIVE_INFINITY) continue;
        if (isSame(candidate, known)) {
          paths[head]! += paths[node]!;
          hops[head] = Math.min(hops[head]!, hops[node]! + 1);
        } else if (candidate < known) {
          distance[head] = candidate;
          hops[head] = hops[node]! + 1;
          paths[head] = paths[node]!;
          heap.push(head, candidate);
        }
      }
    }
    let own = 0;
    for (let at = 1; at < reached; at += 1) {
      const node = order[at]!;
      own += distance[node]!;
      hopSum += hops[node]!;
      diameter = Math.max(diameter, distance[node]!);
      diameterHops = Math.max(diameterHops, hops[node]!);
    }
    sum += own;
    pairs += reached - 1;
    if (own > 0) closeness[source] = ((reached - 1) / (nodeCount - 1)) * ((reached - 1) / own);
    for (let at = reached - 1; at >= 0; at -= 1) {
      const node = order[at]!;
      for (let arc = first[node]!; arc < first[node + 1]!; arc += 1) {
        const head = to[arc]!;
        if (distance[head]! === Number.POSITIVE_INFINITY || from[arc]! === head) continue;
        if (!isSame(distance[node]! + length[arc]!, distance[head]!) || distance[head]! <= distance[node]!) continue;
        const share = (paths[node]! / paths[head]!) * (1 + dependency[head]!);
        dependency[node]! += share;
        linkBetweenness[link[arc]!]! += share;
      }
      if (node !== source) betweenness[node]! += dependency[node]!;
    }
  }
  const scale = nodeCount / pivots;
  return {
    betweenness: betweenness.map((value) => value * scale),
    linkBetweenness: linkBetweenness.map((value) => value * scale),
    ...{ closeness, diameter, diameterHops },
    averagePath: pairs === 0 ? 0 : sum / pairs,
    averageHops: pairs === 0 ? 0 : hopSum / pairs,
    sources: pivots,
    approximate: pivots < nodeCount,
  };
}

function isSame(one: number, other: number): boolean {
  return one === other || (Number.isFinite(other) && Math.abs(one - other) <= tolerance * Math.max(one, other));
}
