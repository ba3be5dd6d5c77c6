/** A directed graph of nodes 0..count-1 in compressed sparse rows. Parallel edges and self-loops are allowed. */
export interface Digraph {
  readonly count: number;
  readonly edgeCount: number;
  readonly edgeSource: Int32Array;
  readonly edgeTarget: Int32Array;
  /** Edges out of node `n`: `outEdges[outStart[n]] .. outEdges[outStart[n + 1] - 1]`, in the order they were given. */
  readonly outStart: Int32Array;
  readonly outEdges: Int32Array;
  readonly inStart: Int32Array;
  readonly inEdges: Int32Array;
}

/** O(count + edges). Endpoints must lie in 0..count-1. */
export function createDigraph(count: number, edgeSource: Int32Array, edgeTarget: Int32Array): Digraph {
  const [outStart, outEdges] = groupEdges(count, edgeSource);
  const [inStart, inEdges] = groupEdges(count, edgeTarget);
  return { count, edgeCount: edgeSource.length, edgeSource, edgeTarget, outStart, outEdges, inStart, inEdges };
}

/** Counting sort of the edges by one of their ends; stable. */
function groupEdges(count: number, end: Int32Array): [start: Int32Array, edges: Int32Array] {
  const start = new Int32Array(count + 1);
  for (const node of end) start[node + 1]! += 1;
  for (let node = 0; node < count; node += 1) start[node + 1]! += start[node]!;
  const next = start.slice(0, count);
  const edges = new Int32Array(end.length);
  for (let edge = 0; edge < end.length; edge += 1) {
    const node = end[edge]!;
    edges[next[node]!] = edge;
    next[node]! += 1;
  }
  return [start, edges];
}
