import { createDigraph, type Digraph, type LinkEnds } from './digraph.ts';
import { lengthOf, pathTo, shortestTree } from './shortestPaths.ts';

export interface DisjointPair {
  /** The shorter one first. */
  readonly paths: readonly [readonly number[], readonly number[]];
  readonly length: number;
}

/**
 * Two paths that share no link, or with `apart: 'nodes'` no node between their ends, of least length together (Suurballe
 * and Tarjan 1984: the second search runs over reduced costs, in which the first path leads back for nothing).
 * Null where no two exist.
 */
export function disjointPair(
  graph: Digraph,
  ends: { readonly source: number; readonly target: number },
  length: Float64Array,
  apart: 'links' | 'nodes',
): DisjointPair | null {
  if (ends.source === ends.target) return null;
  const split = splitGraph(graph, ends, length, apart);
  const used = disjointArcs(split.graph, split.ends, split.length);
  if (used === null) return null;
  // Arcs of the graph itself, without those that lead through nodes.
  const paths = toPaths(
    graph,
    ends,
    used.map((arc) => split.origin[arc]!).filter((arc) => arc !== -1),
  );
  const sorted = paths.sort((one, other) => lengthOf(one, length) - lengthOf(other, length));
  return {
    paths: [sorted[0]!, sorted[1]!],
    length: lengthOf(sorted[0]!, length) + lengthOf(sorted[1]!, length),
  };
}

/** One-way arcs only, so that a path can be led back; for nodes apart, each node is an arc from its entry to its exit. */
function splitGraph(
  graph: Digraph,
  { source, target }: { readonly source: number; readonly target: number },
  length: Float64Array,
  apart: 'links' | 'nodes',
) {
  const { nodeCount, arcCount, from, to } = graph;
  const links: LinkEnds[] = [];
  const origins: number[] = [];
  const lengths: number[] = [];
  const add = (one: number, other: number, origin: number, cost: number) => {
    links.push({ source: one, target: other, isTwoWay: false });
    origins.push(origin);
    lengths.push(cost);
  };
  const leave = (node: number) => (apart === 'nodes' ? node + nodeCount : node);
  if (apart === 'nodes') for (let node = 0; node < nodeCount; node += 1) add(node, node + nodeCount, -1, 0);
  for (let arc = 0; arc < arcCount; arc += 1)
    if (Number.isFinite(length[arc]!)) add(leave(from[arc]!), to[arc]!, arc, length[arc]!);
  const count = apart === 'nodes' ? 2 * nodeCount : nodeCount;
  const made = createDigraph(count, links);
  return {
    graph: made,
    ends: { source: leave(source), target },
    origin: Int32Array.from(made.link, (link) => origins[link]!),
    length: Float64Array.from(made.link, (link) => lengths[link]!),
  };
}

function disjointArcs(
  graph: Digraph,
  { source, target }: { readonly source: number; readonly target: number },
  length: Float64Array,
): readonly number[] | null {
  const tree = shortestTree(graph, source, length);
  const shortest = pathTo(graph, tree, target);
  if (shortest === null) return null;
  const onPath = new Uint8Array(graph.arcCount);
  for (const arc of shortest) onPath[arc] = 1;
  // The residual graph: arcs of the path turned round, all others at their reduced cost.
  const links: LinkEnds[] = [];
  const reduced: number[] = [];
  for (let arc = 0; arc < graph.arcCount; arc += 1) {
    const [one, other] = [graph.from[arc]!, graph.to[arc]!];
    if (onPath[arc] === 1) {
      links.push({ source: other, target: one, isTwoWay: false });
      reduced.push(0);
    } else {
      links.push({ source: one, target: other, isTwoWay: false });
      const cost = length[arc]! + tree.distance[one]! - tree.distance[other]!;
      // What the source does not reach is not on any path from it.
      reduced.push(
        Number.isNaN(cost) || cost === Number.POSITIVE_INFINITY ? Number.POSITIVE_INFINITY : Math.max(0, cost),
      );
    }
  }
  const residual = createDigraph(graph.nodeCount, links);
  const costs = Float64Array.from(residual.link, (link) => reduced[link]!);
  const second = pathTo(residual, shortestTree(residual, source, costs, { target }), target);
  if (second === null) return null;
  // Links of the residual graph are arcs of this one: those that both use, there and back, cancel out.
  const used = new Set(shortest);
  for (const arc of second) {
    const own = residual.link[arc]!;
    if (onPath[own] === 1) used.delete(own);
    else used.add(own);
  }
  return [...used];
}

/** The two paths that arcs make together. */
function toPaths(
  graph: Digraph,
  { source, target }: { readonly source: number; readonly target: number },
  used: readonly number[],
): (readonly number[])[] {
  // Where lengths are zero both directions of a link may be among them: they cancel out.
  const kept = new Set(used);
  const arcs = used.filter((arc) => !kept.has(graph.reverse[arc]!)).sort((a, b) => a - b);
  const next = Map.groupBy(arcs, (arc) => graph.from[arc]!);
  const walk = (): readonly number[] => {
    const path: number[] = [];
    for (let node = source; node !== target; ) {
      const arc = next.get(node)!.shift()!;
      path.push(arc);
      node = graph.to[arc]!;
    }
    return withoutLoops(graph, source, path);
  };
  return [walk(), walk()];
}

/** The path without what lies between two visits of a node; loops are possible where lengths are zero. */
function withoutLoops(graph: Digraph, source: number, path: readonly number[]): readonly number[] {
  const lastAt = new Map<number, number>([[source, 0]]);
  for (const [at, arc] of path.entries()) lastAt.set(graph.to[arc]!, at + 1);
  const kept: number[] = [];
  for (let at = lastAt.get(source)!; at < path.length; ) {
    const arc = path[at]!;
    kept.push(arc);
    at = lastAt.get(graph.to[arc]!)!;
  }
  return kept;
}
