import { createDigraph, type Digraph, undirected } from './digraph.ts';
import { maxFlow } from './maxFlow.ts';

/**
 * Nodes whose loss takes the graph apart at least, or `nodes - 1` where all are joined, directions aside: Menger's theorem
 * by flows between few pairs (Even 1975). The count stops at `most`.
 */
export function vertexConnectivity(directed: Digraph, most = Number.POSITIVE_INFINITY): number {
  const graph = undirected(directed);
  const { nodeCount } = graph;
  if (nodeCount < 2) return 0;
  const adjacent = Array.from(
    { length: nodeCount },
    (_, node) => new Set(graph.to.subarray(graph.first[node]!, graph.first[node + 1]!)),
  );
  const split = splitNodes(graph);
  const flowBetween = (one: number, other: number, limit: number) =>
    maxFlow(split.graph, { source: one + nodeCount, target: other }, split.capacity, limit).value;
  let least = Math.min(most, nodeCount - 1, ...adjacent.map((near) => near.size));
  // Of `least + 1` nodes one is not in a least cut: flows from each of them to all others meet it.
  for (let source = 0; source <= least && source < nodeCount; source += 1) {
    for (let target = source + 1; target < nodeCount; target += 1) {
      if (adjacent[source]!.has(target)) continue;
      least = Math.min(least, flowBetween(source, target, least));
      if (least === 0) return 0;
    }
  }
  return least;
}

/** Each node an arc of capacity 1 from its entry to its exit. */
function splitNodes(graph: Digraph) {
  const { nodeCount, arcCount, from, to } = graph;
  const links = [
    ...Array.from({ length: nodeCount }, (_, node) => ({ source: node, target: node + nodeCount, isTwoWay: false })),
    ...Array.from({ length: arcCount }, (_, arc) => ({
      source: from[arc]! + nodeCount,
      target: to[arc]!,
      isTwoWay: false,
    })),
  ];
  return { graph: createDigraph(2 * nodeCount, links), capacity: new Float64Array(links.length).fill(1) };
}
