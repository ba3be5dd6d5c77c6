import { findComponents } from './components.ts';
import type { Digraph } from './digraph.ts';
import type { ActivityNetwork } from './network.ts';
import type { Topology } from './topology.ts';

/** The ids of a shortest cycle in order: each has a dependency to the next, the last to the first. Null when acyclic. */
export function findCycle(network: ActivityNetwork): string[] | null {
  return findShortestCycle(network)?.map((node) => network.ids[node]!) ?? null;
}

/**
 * A shortest cycle: breadth-first search from every node of the strongly connected components, no deeper than the
 * shortest cycle found so far (Itai & Rodeh 1978). A node searched from is taken out, and with it whatever no longer
 * lies on a cycle, so that a single ring costs one search. O(nodes x edges) at worst.
 */
export function findShortestCycle(graph: Digraph): number[] | null {
  const { count, edgeCount, edgeSource, edgeTarget, outStart, outEdges, inStart, inEdges } = graph;
  const { componentOf } = findComponents(graph);
  const inside = (edge: number): boolean => componentOf[edgeSource[edge]!] === componentOf[edgeTarget[edge]!];
  const outDegree = new Int32Array(count);
  const inDegree = new Int32Array(count);
  for (let edge = 0; edge < edgeCount; edge += 1) {
    if (edgeSource[edge] === edgeTarget[edge]) return [edgeSource[edge]!];
    if (!inside(edge)) continue;
    outDegree[edgeSource[edge]!]! += 1;
    inDegree[edgeTarget[edge]!]! += 1;
  }
  const removed = new Uint8Array(count);
  for (let node = 0; node < count; node += 1) if (outDegree[node] === 0) removed[node] = 1;
  const remove = (first: number): void => {
    const pending: number[] = [];
    const take = (node: number): void => {
      removed[node] = 1;
      pending.push(node);
    };
    take(first);
    for (let node = pending.pop(); node !== undefined; node = pending.pop()) {
      for (let at = outStart[node]!; at < outStart[node + 1]!; at += 1) {
        const other = edgeTarget[outEdges[at]!]!;
        if (removed[other] || !inside(outEdges[at]!)) continue;
        inDegree[other]! -= 1;
        if (inDegree[other] === 0) take(other);
      }
      for (let at = inStart[node]!; at < inStart[node + 1]!; at += 1) {
        const other = edgeSource[inEdges[at]!]!;
        if (removed[other] || !inside(inEdges[at]!)) continue;
        outDegree[other]! -= 1;
        if (outDegree[other] === 0) take(other);
      }
    }
  };
  const allowed = (edge: number): boolean => inside(edge) && !removed[edgeTarget[edge]!];
  let shortest: number[] | null = null;
  for (let node = 0; node < count && shortest?.length !== 2; node += 1) {
    if (removed[node]) continue;
    const limit: number = shortest === null ? Infinity : shortest.length - 1;
    shortest = findPath(graph, node, node, { allowed, limit }) ?? shortest;
    remove(node);
  }
  return shortest;
}

/**
 * The cycle that an edge source -> target would close, as nodes that begin with the source, or null. Searches from the
 * target and only among nodes placed before the source (the bound of Pearce & Kelly 2006): nothing at all when the
 * target stands behind the source already.
 */
export function findCycleOfEdge(
  graph: Digraph,
  { position }: Topology,
  { source, target }: { readonly source: number; readonly target: number },
): number[] | null {
  if (source === target) return [source];
  const last = position[source]!;
  if (position[target]! > last) return null;
  const path = findPath(graph, target, source, { allowed: (edge) => position[graph.edgeTarget[edge]!]! <= last });
  return path === null ? null : [source, ...path];
}

interface PathOptions {
  readonly allowed: (edge: number) => boolean;
  /** Most edges of the path. @default Infinity */
  readonly limit?: number;
}

/** A shortest path by edges, from included, to excluded; from = to asks for a cycle. */
function findPath(graph: Digraph, from: number, to: number, { allowed, limit = Infinity }: PathOptions) {
  const { outStart, outEdges, edgeTarget } = graph;
  const cameFrom = new Map<number, number>([[from, -1]]);
  let frontier = [from];
  for (let depth = 1; depth <= limit && frontier.length > 0; depth += 1) {
    const reached: number[] = [];
    for (const node of frontier) {
      for (let at = outStart[node]!; at < outStart[node + 1]!; at += 1) {
        const edge = outEdges[at]!;
        const next = edgeTarget[edge]!;
        if (next === to) {
          const path: number[] = [];
          for (let back = node; back !== -1; back = cameFrom.get(back)!) path.push(back);
          return path.reverse();
        }
        if (cameFrom.has(next) || !allowed(edge)) continue;
        cameFrom.set(next, node);
        reached.push(next);
      }
    }
    frontier = reached;
  }
  return null;
}
