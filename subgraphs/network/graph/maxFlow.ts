import type { Digraph } from './digraph.ts';

export interface MaxFlow {
  readonly value: number;
  /** By arc; of a link that leads both ways at most one direction carries flow. */
  readonly flow: Float64Array;
  /** Nodes that residual capacity leads to from the source: the source's side of a least cut. */
  readonly sourceSide: Uint8Array;
  /** Links from that side to the other: what holds the flow down. */
  readonly cut: readonly number[];
}

/** Flow below which an arc counts as full, relative to the greatest capacity. */
const precision = 1e-12;

/**
 * Greatest flow between two sets of nodes and the least cut that proves it (Dinic 1970). Capacities are by link; a link
 * that leads both ways has its capacity in whichever direction the flow takes.
 * @param most the search ends once so much flows. @default no end
 */
export function maxFlow(
  graph: Digraph,
  { source, target }: { readonly source: number; readonly target: number },
  capacity: ArrayLike<number>,
  most = Number.POSITIVE_INFINITY,
): MaxFlow {
  const { nodeCount, arcCount, first, to, from, link, reverse } = graph;
  const residual = Float64Array.from(link, (index) => capacity[index]!);
  // Flow against a one-way arc: only what flows along it can be taken back.
  const taken = new Float64Array(arcCount);
  const incoming = incomingOneWay(graph);
  const epsilon = precision * residual.reduce((greatest, value) => Math.max(greatest, value), 0);
  const level = new Int32Array(nodeCount);
  const place = new Int32Array(nodeCount);
  const queue = new Int32Array(nodeCount);

  /** What can be pushed over step `at` of a node: its arcs, then the one-way arcs that lead to it, backwards. */
  const stepCount = (node: number) =>
    first[node + 1]! - first[node]! + (incoming.first[node + 1]! - incoming.first[node]!);
  const arcAt = (node: number, at: number): number => {
    const own = first[node + 1]! - first[node]!;
    return at < own ? first[node]! + at : -1 - incoming.arcs[incoming.first[node]! + at - own]!;
  };
  const headOf = (step: number) => (step >= 0 ? to[step]! : from[-1 - step]!);
  const roomOf = (step: number) => (step >= 0 ? residual[step]! : taken[-1 - step]!);
  const push = (step: number, amount: number) => {
    if (step < 0) {
      taken[-1 - step]! -= amount;
      residual[-1 - step]! += amount;
      return;
    }
    residual[step]! -= amount;
    const back = reverse[step]!;
    if (back === -1) taken[step]! += amount;
    else residual[back]! += amount;
  };

  function layer(): boolean {
    level.fill(-1);
    level[source] = 0;
    queue[0] = source;
    let length = 1;
    for (let at = 0; at < length; at += 1) {
      const node = queue[at]!;
      for (let step = 0; step < stepCount(node); step += 1) {
        const arc = arcAt(node, step);
        const head = headOf(arc);
        if (level[head] !== -1 || roomOf(arc) <= epsilon) continue;
        level[head] = level[node]! + 1;
        queue[length] = head;
        length += 1;
      }
    }
    return level[target] !== -1;
  }

  /** One augmenting path of the layered graph, by a stack of its own: networks may be deeper than the call stack. */
  function augment(limit: number): number {
    const steps: number[] = [];
    let node = source;
    for (;;) {
      if (node === target) {
        const amount = steps.reduce((least, step) => Math.min(least, roomOf(step)), limit);
        for (const step of steps) push(step, amount);
        return amount;
      }
      let advanced = false;
      for (; place[node]! < stepCount(node); place[node]! += 1) {
        const step = arcAt(node, place[node]!);
        const head = headOf(step);
        if (level[head] !== level[node]! + 1 || roomOf(step) <= epsilon) continue;
        steps.push(step);
        node = head;
        advanced = true;
        break;
      }
      if (advanced) continue;
      if (steps.length === 0) return 0;
      const back = steps.pop()!;
      node = back >= 0 ? from[back]! : to[-1 - back]!;
      place[node]! += 1;
    }
  }

  let value = 0;
  while (value < most && source !== target && layer()) {
    place.fill(0);
    for (let amount = augment(most - value); amount > 0; amount = augment(most - value)) {
      value += amount;
      if (value >= most) break;
    }
  }
  // The last layering names the source's side, unless the search ended early.
  if (value >= most) layer();
  const sourceSide = Uint8Array.from(level, (depth) => (depth === -1 ? 0 : 1));
  const cut = new Set<number>();
  for (let arc = 0; arc < arcCount; arc += 1)
    if (sourceSide[from[arc]!] === 1 && sourceSide[to[arc]!] === 0) cut.add(link[arc]!);
  const flow = Float64Array.from(residual, (room, arc) => Math.max(0, capacity[link[arc]!]! - room));
  return { value, flow, sourceSide, cut: [...cut].sort((a, b) => a - b) };
}

/** Arcs that lead to each node and have no other direction. */
function incomingOneWay({ nodeCount, arcCount, to, reverse }: Digraph) {
  const first = new Int32Array(nodeCount + 1);
  for (let arc = 0; arc < arcCount; arc += 1) if (reverse[arc] === -1) first[to[arc]! + 1]! += 1;
  for (let node = 0; node < nodeCount; node += 1) first[node + 1]! += first[node]!;
  const next = first.slice(0, nodeCount);
  const arcs = new Int32Array(first[nodeCount]!);
  for (let arc = 0; arc < arcCount; arc += 1) {
    if (reverse[arc] !== -1) continue;
    arcs[next[to[arc]!]!] = arc;
    next[to[arc]!]! += 1;
  }
  return { first, arcs };
}
