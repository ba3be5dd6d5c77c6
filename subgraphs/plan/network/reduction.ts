import { sourceIsFinish, targetIsFinish } from './dependency.ts';
import { createDigraph, type Digraph } from './digraph.ts';
import type { ActivityNetwork } from './network.ts';
import { requireTopology, type Topology } from './topology.ts';

/** Columns of the reachability matrix worked on at a time: 20,000 rows x 128 words stay within 10 MiB. */
const blockWords = 128;

/**
 * Edges that the transitive reduction leaves out (Aho, Garey & Ullman 1972): without them every node still reaches
 * what it reached, and no further edge can go. O(nodes x edges / 32) over bit sets.
 */
export function findTransitiveEdges(graph: Digraph, topology: Topology): number[] {
  return findImpliedEdges(graph, topology, { lag: new Float64Array(graph.edgeCount) });
}

/**
 * Dependencies whose removal moves no step whatever the durations: a chain of relations with lags of zero or more
 * already holds the same two events (start or finish) at least as far apart, or the same relation is there twice.
 * A transitive edge that carries a lag, or another type than its detour, is not among them.
 */
export function findRedundantDependencies(network: ActivityNetwork): number[] {
  const { count, edgeCount, edgeSource, edgeTarget, edgeType, edgeLag } = network;
  // Two nodes a step, start 2n and finish 2n + 1; behind the dependencies the step itself, from its start to its finish.
  const source = new Int32Array(edgeCount + count);
  const target = new Int32Array(edgeCount + count);
  const lag = new Float64Array(edgeCount + count);
  for (let edge = 0; edge < edgeCount; edge += 1) {
    source[edge] = 2 * edgeSource[edge]! + (edgeType[edge]! & sourceIsFinish ? 1 : 0);
    target[edge] = 2 * edgeTarget[edge]! + (edgeType[edge]! & targetIsFinish ? 1 : 0);
    lag[edge] = edgeLag[edge]!;
  }
  for (let node = 0; node < count; node += 1) {
    source[edgeCount + node] = 2 * node;
    target[edgeCount + node] = 2 * node + 1;
  }
  const events = createDigraph(2 * count, source, target);
  return findImpliedEdges(events, requireTopology(events), { lag }).filter((edge) => edge < edgeCount);
}

/**
 * Edges u -> v of lag <= 0 with another path from u to v over lags >= 0, and all but the longest of parallel edges.
 * Going through the targets in topological order, whatever reaches v from u has been united before v is looked at.
 */
function findImpliedEdges(graph: Digraph, topology: Topology, { lag }: { readonly lag: Float64Array }): number[] {
  const { count, edgeCount, edgeTarget } = graph;
  const { position } = topology;
  const sorted = sortByTarget(graph, topology, lag);
  const implied = new Uint8Array(edgeCount);
  const words = Math.ceil(count / 32);
  const reach = new Uint32Array(count * Math.min(words, blockWords));
  for (let firstWord = 0; firstWord < words; firstWord += blockWords) {
    const width = Math.min(blockWords, words - firstWord);
    const firstPlace = firstWord * 32;
    reach.fill(0);
    // Columns are places in the order: no node placed behind the block reaches into it.
    for (let place = Math.min(count, firstPlace + width * 32) - 1; place >= 0; place -= 1) {
      const node = topology.order[place]!;
      const row = node * width;
      let previous = -1;
      for (let at = graph.outStart[node]!; at < graph.outStart[node + 1]!; at += 1) {
        const edge = sorted[at]!;
        const target = edgeTarget[edge]!;
        const column = position[target]! - firstPlace;
        if (column >= width * 32) break;
        const word = row + (column >>> 5);
        if (column >= 0 && (target === previous || (lag[edge]! <= 0 && (reach[word]! >>> (column & 31)) & 1)))
          implied[edge] = 1;
        previous = target;
        if (lag[edge]! < 0) continue;
        const other = target * width;
        for (let offset = 0; offset < width; offset += 1) reach[row + offset]! |= reach[other + offset]!;
        if (column >= 0) reach[word]! |= 1 << (column & 31);
      }
    }
  }
  const edges: number[] = [];
  for (let edge = 0; edge < edgeCount; edge += 1) if (implied[edge] === 1) edges.push(edge);
  return edges;
}

/** The out-edges of each node by the place of their target, among equals the longest lag and then the first given. */
function sortByTarget({ outStart, outEdges, edgeTarget, count }: Digraph, { position }: Topology, lag: Float64Array) {
  const sorted = outEdges.slice();
  for (let node = 0; node < count; node += 1)
    sorted
      .subarray(outStart[node]!, outStart[node + 1]!)
      .sort(
        (left, right) =>
          position[edgeTarget[left]!]! - position[edgeTarget[right]!]! || lag[right]! - lag[left]! || left - right,
      );
  return sorted;
}
