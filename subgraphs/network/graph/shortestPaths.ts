import type { Digraph } from './digraph.ts';
import { IndexedHeap } from './heap.ts';

export interface ShortestTree {
  /** By node; Infinity where nothing leads. */
  readonly distance: Float64Array;
  /** Arc by which a node is reached; -1 for the source and for what is not reached. */
  readonly via: Int32Array;
}

export interface SearchLimits {
  /** The search ends when it is reached. */
  readonly target?: number;
  /** Nodes that may not be entered. */
  readonly closedNodes?: Uint8Array;
  readonly closedArcs?: Uint8Array;
}

/**
 * Shortest paths from one node (Dijkstra 1959, binary heap). Lengths by arc are not negative; an infinite one closes its arc.
 */
export function shortestTree(
  graph: Digraph,
  source: number,
  length: Float64Array,
  { target = -1, closedNodes, closedArcs }: SearchLimits = {},
): ShortestTree {
  const { first, to, nodeCount } = graph;
  const distance = new Float64Array(nodeCount).fill(Number.POSITIVE_INFINITY);
  const via = new Int32Array(nodeCount).fill(-1);
  const heap = new IndexedHeap(nodeCount);
  distance[source] = 0;
  heap.push(source, 0);
  while (heap.length > 0) {
    const node = heap.pop();
    if (node === target) break;
    const reached = distance[node]!;
    for (let arc = first[node]!; arc < first[node + 1]!; arc += 1) {
      if (closedArcs?.[arc] === 1) continue;
      const head = to[arc]!;
      if (closedNodes?.[head] === 1) continue;
      const candidate = reached + length[arc]!;
      if (candidate >= distance[head]!) continue;
      distance[head] = candidate;
      via[head] = arc;
      heap.push(head, candidate);
    }
  }
  return { distance, via };
}

/** Arcs from the tree's source to a node, in order; null where nothing leads there. */
export function pathTo(graph: Digraph, tree: ShortestTree, target: number): readonly number[] | null {
  if (tree.distance[target] === Number.POSITIVE_INFINITY) return null;
  const arcs: number[] = [];
  for (let arc = tree.via[target]!; arc !== -1; arc = tree.via[graph.from[arc]!]!) arcs.push(arc);
  return arcs.reverse();
}

export function shortestPath(
  graph: Digraph,
  ends: { readonly source: number; readonly target: number },
  length: Float64Array,
  limits: Omit<SearchLimits, 'target'> = {},
): readonly number[] | null {
  return pathTo(graph, shortestTree(graph, ends.source, length, { ...limits, target: ends.target }), ends.target);
}

export function lengthOf(path: readonly number[], length: Float64Array): number {
  return path.reduce((sum, arc) => sum + length[arc]!, 0);
}

/** Nodes of a path of arcs, its source first. */
export function nodesOf(graph: Digraph, source: number, path: readonly number[]): readonly number[] {
  return [source, ...path.map((arc) => graph.to[arc]!)];
}
