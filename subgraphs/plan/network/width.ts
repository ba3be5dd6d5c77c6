import type { Digraph } from './digraph.ts';

/**
 * A largest antichain: the most steps of which none waits for another, hence the most that can ever run at once
 * (Dilworth 1950, by matching as in Fulkerson 1956). Instead of the transitive closure, a node that is passed through
 * may be left again at no cost, so that the flow has only the edges of the graph; maximum flow by Dinic 1970.
 * The graph must be acyclic.
 * @param counts nodes that may stand in it; the others only pass on who waits for whom. @default all
 */
export function findWidestAntichain(graph: Digraph, counts: (node: number) => boolean = () => true): number[] {
  const { count } = graph;
  const flow = buildFlow(graph, counts);
  while (assignDistances(flow)) while (augment(flow));
  // König 1931: reachable as a predecessor and not as a successor is what the smallest cover leaves out.
  const antichain: number[] = [];
  for (let node = 0; node < count; node += 1)
    if (counts(node) && flow.distance[node] !== -1 && flow.distance[count + node] === -1) antichain.push(node);
  return antichain;
}

interface Flow {
  readonly source: number;
  readonly sink: number;
  /** Arc `a` and its reverse `a ^ 1`. */
  readonly arcTarget: Int32Array;
  readonly capacity: Int32Array;
  readonly arcStart: Int32Array;
  readonly arcs: Int32Array;
  readonly distance: Int32Array;
  readonly next: Int32Array;
}

/** Node `v` as a predecessor is `v`, as a successor `count + v`. */
function buildFlow({ count, edgeCount, edgeSource, edgeTarget }: Digraph, counts: (node: number) => boolean): Flow {
  const source = 2 * count;
  const sink = source + 1;
  const arcCount = 2 * (3 * count + edgeCount);
  const arcSource = new Int32Array(arcCount);
  const arcTarget = new Int32Array(arcCount);
  const capacity = new Int32Array(arcCount);
  let length = 0;
  const connect = (from: number, to: number, room: number): void => {
    arcSource[length] = arcTarget[length + 1] = from;
    arcTarget[length] = arcSource[length + 1] = to;
    capacity[length] = room;
    length += 2;
  };
  for (let node = 0; node < count; node += 1) {
    const room = counts(node) ? 1 : 0;
    connect(source, node, room);
    connect(count + node, sink, room);
    connect(count + node, node, count);
  }
  for (let edge = 0; edge < edgeCount; edge += 1) connect(edgeSource[edge]!, count + edgeTarget[edge]!, count);
  const arcStart = new Int32Array(sink + 2);
  for (const from of arcSource) arcStart[from + 1]! += 1;
  for (let node = 0; node <= sink; node += 1) arcStart[node + 1]! += arcStart[node]!;
  const next = arcStart.slice(0, sink + 1);
  const arcs = new Int32Array(arcCount);
  for (let arc = 0; arc < arcCount; arc += 1) arcs[next[arcSource[arc]!]!++] = arc;
  return { source, sink, arcTarget, capacity, arcStart, arcs, distance: new Int32Array(sink + 1), next };
}

/** Breadth first over arcs with room left; true when the sink is reached. */
function assignDistances({ source, sink, arcTarget, capacity, arcStart, arcs, distance, next }: Flow): boolean {
  distance.fill(-1);
  distance[source] = 0;
  const queue = [source];
  for (let head = 0; head < queue.length; head += 1) {
    const node = queue[head]!;
    next[node] = arcStart[node]!;
    for (let at = arcStart[node]!; at < arcStart[node + 1]!; at += 1) {
      const target = arcTarget[arcs[at]!]!;
      if (capacity[arcs[at]!] === 0 || distance[target] !== -1) continue;
      distance[target] = distance[node]! + 1;
      queue.push(target);
    }
  }
  return distance[sink] !== -1;
}

/** Sends one unit along arcs that lead one level on; false when none is left at these distances. */
function augment({ source, sink, arcTarget, capacity, arcStart, arcs, distance, next }: Flow): boolean {
  const path: number[] = [];
  let node = source;
  while (node !== sink) {
    const at = next[node]!;
    if (at < arcStart[node + 1]!) {
      const arc = arcs[at]!;
      const target = arcTarget[arc]!;
      if (capacity[arc]! > 0 && distance[target] === distance[node]! + 1) {
        path.push(arc);
        node = target;
      } else next[node] = at + 1;
      continue;
    }
    const back = path.pop();
    if (back === undefined) return false;
    node = arcTarget[back ^ 1]!;
    next[node]! += 1;
  }
  for (const arc of path) {
    capacity[arc]! -= 1;
    capacity[arc ^ 1]! += 1;
  }
  return true;
}
