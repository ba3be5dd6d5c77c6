import type { Digraph } from './digraph.ts';
import type { Topology } from './topology.ts';

export interface Levels {
  /** Most edges on a path from a node without predecessor to this one. */
  readonly levelOf: Int32Array;
  /** Nodes on each level. No two of a level depend on each other, so the largest is a lower bound of the width. */
  readonly sizes: Int32Array;
}

export function computeLevels(graph: Digraph, { order }: Topology): Levels {
  const { count, outStart, outEdges, edgeTarget } = graph;
  const levelOf = new Int32Array(count);
  let depth = count === 0 ? 0 : 1;
  for (const node of order) {
    const below = levelOf[node]! + 1;
    for (let at = outStart[node]!; at < outStart[node + 1]!; at += 1) {
      const next = edgeTarget[outEdges[at]!]!;
      if (levelOf[next]! >= below) continue;
      levelOf[next] = below;
      if (below >= depth) depth = below + 1;
    }
  }
  const sizes = new Int32Array(depth);
  for (const level of levelOf) sizes[level]! += 1;
  return { levelOf, sizes };
}
