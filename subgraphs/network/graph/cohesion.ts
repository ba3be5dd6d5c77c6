import { type Digraph, undirected } from './digraph.ts';

/** Neighbours of each node, each once, without itself, directions aside. */
function neighboursOf(directed: Digraph): readonly ReadonlySet<number>[] {
  const graph = undirected(directed);
  return Array.from({ length: graph.nodeCount }, (_, node) => {
    const near = new Set(graph.to.subarray(graph.first[node]!, graph.first[node + 1]!));
    near.delete(node);
    return near;
  });
}

/** Core number of each node: the greatest k of a subgraph around it in which all have k neighbours (Batagelj and Zaveršnik 2003). */
export function coreNumbers(graph: Digraph): Int32Array {
  const near = neighboursOf(graph);
  const degree = Int32Array.from(near, (set) => set.size);
  const buckets: number[][] = Array.from({ length: Math.max(0, ...degree) + 1 }, () => []);
  for (const [node, own] of degree.entries()) buckets[own]!.push(node);
  const core = new Int32Array(graph.nodeCount).fill(-1);
  for (let level = 0; level < buckets.length; level += 1) {
    const bucket = buckets[level]!;
    for (let node = bucket.pop(); node !== undefined; node = bucket.pop()) {
      if (core[node] !== -1 || degree[node]! > level) continue;
      core[node] = level;
      for (const other of near[node]!) {
        if (core[other] !== -1 || degree[other]! <= level) continue;
        degree[other]! -= 1;
        buckets[degree[other]!]!.push(other);
      }
    }
  }
  return core;
}

/** Mean share of a node's pairs of neighbours that are joined (Watts and Strogatz 1998); nodes with fewer than two count as 0. */
export function clusteringCoefficient(graph: Digraph): number {
  const near = neighboursOf(graph);
  if (near.length === 0) return 0;
  let sum = 0;
  for (const own of near) {
    if (own.size < 2) continue;
    let joined = 0;
    for (const one of own) for (const other of own) if (one < other && near[one]!.has(other)) joined += 1;
    sum += (2 * joined) / (own.size * (own.size - 1));
  }
  return sum / near.length;
}
