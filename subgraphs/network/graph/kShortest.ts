import type { Digraph } from './digraph.ts';
import { lengthOf, nodesOf, shortestPath } from './shortestPaths.ts';

export interface RankedPath {
  readonly arcs: readonly number[];
  readonly length: number;
}

/**
 * Up to `count` shortest paths without a node twice, shortest first (Yen 1971, with Lawler's 1972 rule that a path is
 * only left behind the place where it left its parent). Paths over parallel links are different paths.
 */
export function kShortestPaths(
  graph: Digraph,
  { source, target }: { readonly source: number; readonly target: number },
  length: Float64Array,
  count: number,
): readonly RankedPath[] {
  const best = shortestPath(graph, { source, target }, length);
  if (best === null || count < 1) return [];
  const found: { arcs: readonly number[]; length: number; leftAt: number }[] = [
    { arcs: best, length: lengthOf(best, length), leftAt: 0 },
  ];
  const waiting: typeof found = [];
  const known = new Set<string>([best.join()]);
  while (found.length < count) {
    const last = found.at(-1)!;
    const nodes = nodesOf(graph, source, last.arcs);
    for (let at = last.leftAt; at < last.arcs.length; at += 1) {
      const closedNodes = new Uint8Array(graph.nodeCount);
      for (const node of nodes.slice(0, at)) closedNodes[node] = 1;
      const closedArcs = new Uint8Array(graph.arcCount);
      const root = last.arcs.slice(0, at);
      for (const { arcs } of found)
        if (arcs.length > at && root.every((arc, place) => arcs[place] === arc)) closedArcs[arcs[at]!] = 1;
      const spur = shortestPath(graph, { source: nodes[at]!, target }, length, { closedNodes, closedArcs });
      if (spur === null) continue;
      const arcs = [...root, ...spur];
      const key = arcs.join();
      if (known.has(key)) continue;
      known.add(key);
      waiting.push({ arcs, length: lengthOf(arcs, length), leftAt: at });
    }
    if (waiting.length === 0) break;
    let shortest = 0;
    for (let at = 1; at < waiting.length; at += 1) if (waiting[at]!.length < waiting[shortest]!.length) shortest = at;
    found.push(...waiting.splice(shortest, 1));
  }
  return found.map(({ arcs, length: total }) => ({ arcs, length: total }));
}
