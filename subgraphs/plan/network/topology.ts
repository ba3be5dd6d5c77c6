import type { Digraph } from './digraph.ts';

/** A topological order and, for each node, its place in it. */
export interface Topology {
  readonly order: Int32Array;
  readonly position: Int32Array;
}

/** Kahn 1962, O(nodes + edges): nodes of lower index come first where the edges leave a choice of queue order. Null on a cycle. */
export function sortTopologically(graph: Digraph): Topology | null {
  const { count, outStart, outEdges, edgeTarget, inStart } = graph;
  const order = new Int32Array(count);
  const waiting = new Int32Array(count);
  let length = 0;
  for (let node = 0; node < count; node += 1) {
    waiting[node] = inStart[node + 1]! - inStart[node]!;
    if (waiting[node] === 0) order[length++] = node;
  }
  for (let head = 0; head < length; head += 1) {
    const node = order[head]!;
    for (let at = outStart[node]!; at < outStart[node + 1]!; at += 1) {
      const next = edgeTarget[outEdges[at]!]!;
      waiting[next]! -= 1;
      if (waiting[next] === 0) order[length++] = next;
    }
  }
  if (length < count) return null;
  const position = new Int32Array(count);
  for (let place = 0; place < count; place += 1) position[order[place]!] = place;
  return { order, position };
}

/** @throws {RangeError} on a cycle; `findCycle` names it. */
export function requireTopology(graph: Digraph): Topology {
  const topology = sortTopologically(graph);
  if (topology === null) throw new RangeError('expected an acyclic network, got a cycle');
  return topology;
}
