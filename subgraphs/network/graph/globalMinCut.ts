import type { Digraph } from './digraph.ts';
import { IndexedHeap } from './heap.ts';

export interface GlobalCut {
  readonly weight: number;
  /** By node, 1 on the smaller side. */
  readonly side: Uint8Array;
  /** Links across. */
  readonly links: readonly number[];
}

/**
 * The least weight of links whose loss takes a graph apart (Stoer and Wagner 1997), directions aside. Weights are by link
 * and not negative. Null for fewer than two nodes.
 */
export function globalMinCut(graph: Digraph, weight: ArrayLike<number>): GlobalCut | null {
  const { nodeCount } = graph;
  if (nodeCount < 2) return null;
  const neighbours = Array.from({ length: nodeCount }, () => new Map<number, number>());
  const add = (one: number, other: number, amount: number) =>
    neighbours[one]!.set(other, (neighbours[one]!.get(other) ?? 0) + amount);
  const seen = new Uint8Array(graph.linkCount);
  for (let arc = 0; arc < graph.arcCount; arc += 1) {
    const [link, one, other] = [graph.link[arc]!, graph.from[arc]!, graph.to[arc]!];
    if (seen[link] === 1 || one === other) continue;
    seen[link] = 1;
    add(one, other, weight[link]!);
    add(other, one, weight[link]!);
  }
  const members = Array.from({ length: nodeCount }, (_, node) => [node]);
  const alive = new Set(neighbours.keys());
  const tied = new Float64Array(nodeCount);
  const heap = new IndexedHeap(nodeCount);
  let best = Number.POSITIVE_INFINITY;
  let side: readonly number[] = [];
  while (alive.size > 1 && best > 0) {
    // A phase: nodes in the order of how strongly they hang on those before them.
    tied.fill(0);
    for (const node of alive) heap.push(node, 0);
    let [last, before] = [-1, -1];
    const taken = new Set<number>();
    while (heap.length > 0) {
      const node = heap.pop();
      taken.add(node);
      [before, last] = [last, node];
      for (const [other, amount] of neighbours[node]!) {
        if (taken.has(other)) continue;
        tied[other]! += amount;
        heap.push(other, -tied[other]!);
      }
    }
    if (tied[last]! < best) {
      best = tied[last]!;
      side = members[last]!;
    }
    // The last two are not parted by any lighter cut: they go on as one.
    for (const [other, amount] of neighbours[last]!) {
      neighbours[other]!.delete(last);
      if (other === before) continue;
      add(before, other, amount);
      add(other, before, amount);
    }
    members[before] = [...members[before]!, ...members[last]!];
    alive.delete(last);
  }
  return describeCut(graph, best, side);
}

function describeCut(graph: Digraph, weight: number, given: readonly number[]): GlobalCut {
  const inGiven = new Uint8Array(graph.nodeCount);
  for (const node of given) inGiven[node] = 1;
  const isSmaller = given.length * 2 <= graph.nodeCount;
  const side = inGiven.map((value) => (isSmaller ? value : 1 - value));
  const links = new Set<number>();
  for (let arc = 0; arc < graph.arcCount; arc += 1)
    if (side[graph.from[arc]!] !== side[graph.to[arc]!]) links.add(graph.link[arc]!);
  return { weight, side, links: [...links].sort((a, b) => a - b) };
}
