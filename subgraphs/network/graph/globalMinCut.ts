import type { Digraph } from './digraph.ts';
import { IndexedHeap } from './heap.ts';

export interface GlobalCut {
  readonly weight: number;
  /** By node, 1 on the smaller side. */
  readonly side: Uint8Array;
  /** Links across. */
  readonly links: readonly number[];
}

/** Links of the graph as it is contracted: ends by the nodes that are left, and weights. */
interface Contracted {
  readonly nodeCount: number;
  readonly one: Int32Array;
  readonly other: Int32Array;
  readonly weight: Float64Array;
}

/**
 * The least weight of links whose loss takes a graph apart, directions aside. Weights are by link and not negative. Null for
 * fewer than two nodes.
 *
 * Nodes are taken in the order of how strongly they hang on those before them (Stoer and Wagner 1997), which gives a cut at
 * its end and, on the way, for each link a lower bound of what parts its ends (Nagamochi and Ibaraki 1992). Whatever is bound
 * at least as strongly as the lightest cut known is contracted at once (Nagamochi, Ono and Ibaraki 1994): on the networks
 * measured few orders remain of the n - 1 that one contraction at a time takes.
 */
export function globalMinCut(graph: Digraph, weight: ArrayLike<number>): GlobalCut | null {
  if (graph.nodeCount < 2) return null;
  /** By node of the graph, the contracted node it is part of. */
  const label = Int32Array.from({ length: graph.nodeCount }, (_, node) => node);
  let current = contractedOf(graph, weight);
  const lightest = findLightestNode(current);
  let best = lightest.weight;
  let side = sideOf(label, lightest.node);
  while (current.nodeCount > 1 && best > 0) {
    const parts = createParts(current.nodeCount);
    const { last, before, cut } = orderByStrength(current, (one, other, bound) => {
      if (bound >= best) parts.join(one, other);
    });
    if (cut < best) {
      best = cut;
      side = sideOf(label, last);
    }
    // No lighter cut than the one found parts the last two.
    parts.join(last, before);
    const next = parts.number();
    for (const [node, at] of label.entries()) label[node] = next.of[at]!;
    current = contract(current, next);
    if (current.nodeCount < 2) break;
    const lone = findLightestNode(current);
    if (lone.weight < best) {
      best = lone.weight;
      side = sideOf(label, lone.node);
    }
  }
  return describeCut(graph, best, side);
}

function contractedOf(graph: Digraph, weight: ArrayLike<number>): Contracted {
  const seen = new Uint8Array(graph.linkCount);
  const [one, other, weights]: [number[], number[], number[]] = [[], [], []];
  for (let arc = 0; arc < graph.arcCount; arc += 1) {
    const link = graph.link[arc]!;
    if (seen[link] === 1 || graph.from[arc] === graph.to[arc]) continue;
    seen[link] = 1;
    one.push(graph.from[arc]!);
    other.push(graph.to[arc]!);
    weights.push(weight[link]!);
  }
  return {
    nodeCount: graph.nodeCount,
    one: Int32Array.from(one),
    other: Int32Array.from(other),
    weight: Float64Array.from(weights),
  };
}

/** Each node alone on its side is a cut. */
function findLightestNode({ nodeCount, one, other, weight }: Contracted): { node: number; weight: number } {
  const sums = new Float64Array(nodeCount);
  for (const [at, amount] of weight.entries()) {
    sums[one[at]!]! += amount;
    sums[other[at]!]! += amount;
  }
  let node = 0;
  for (let at = 1; at < nodeCount; at += 1) if (sums[at]! < sums[node]!) node = at;
  return { node, weight: sums[node]! };
}

/** Visits the nodes by strength; `bound` is told of each link what at least parts its ends. */
function orderByStrength(
  { nodeCount, one, other, weight }: Contracted,
  bound: (one: number, other: number, amount: number) => void,
): { readonly last: number; readonly before: number; readonly cut: number } {
  const first = new Int32Array(nodeCount + 1);
  for (let at = 0; at < one.length; at += 1) {
    first[one[at]! + 1]! += 1;
    first[other[at]! + 1]! += 1;
  }
  for (let node = 0; node < nodeCount; node += 1) first[node + 1]! += first[node]!;
  const place = first.slice();
  const links = new Int32Array(2 * one.length);
  for (let at = 0; at < one.length; at += 1) {
    for (const end of [one[at]!, other[at]!]) {
      links[place[end]!] = at;
      place[end]! += 1;
    }
  }
  const strength = new Float64Array(nodeCount);
  const taken = new Uint8Array(nodeCount);
  const heap = new IndexedHeap(nodeCount);
  for (let node = 0; node < nodeCount; node += 1) heap.push(node, 0);
  let [last, before] = [-1, -1];
  while (heap.length > 0) {
    const node = heap.pop();
    taken[node] = 1;
    [before, last] = [last, node];
    for (let at = first[node]!; at < first[node + 1]!; at += 1) {
      const link = links[at]!;
      const head = one[link] === node ? other[link]! : one[link]!;
      if (taken[head] === 1) continue;
      strength[head]! += weight[link]!;
      heap.push(head, -strength[head]!);
      bound(node, head, strength[head]!);
    }
  }
  return { last, before, cut: strength[last]! };
}

interface Numbering {
  readonly count: number;
  /** By node, the number of its part. */
  readonly of: Int32Array;
}

/** Disjoint sets of nodes, with path halving. */
function createParts(nodeCount: number) {
  const parent = Int32Array.from({ length: nodeCount }, (_, node) => node);
  const rootOf = (node: number): number => {
    let at = node;
    while (parent[at] !== at) {
      parent[at] = parent[parent[at]!]!;
      at = parent[at]!;
    }
    return at;
  };
  return {
    join(one: number, other: number): void {
      parent[rootOf(one)] = rootOf(other);
    },
    number(): Numbering {
      const of = new Int32Array(nodeCount);
      const numbers = new Int32Array(nodeCount).fill(-1);
      let count = 0;
      for (let node = 0; node < nodeCount; node += 1) {
        const root = rootOf(node);
        if (numbers[root] === -1) {
          numbers[root] = count;
          count += 1;
        }
        of[node] = numbers[root]!;
      }
      return { count, of };
    },
  };
}

/** Links within a part are gone, parallel ones are one. */
function contract({ one, other, weight }: Contracted, { count, of }: Numbering): Contracted {
  const sums = new Map<number, number>();
  for (const [at, amount] of weight.entries()) {
    const [left, right] = [of[one[at]!]!, of[other[at]!]!];
    if (left === right) continue;
    const key = Math.min(left, right) * count + Math.max(left, right);
    sums.set(key, (sums.get(key) ?? 0) + amount);
  }
  return {
    nodeCount: count,
    one: Int32Array.from(sums.keys(), (key) => Math.floor(key / count)),
    other: Int32Array.from(sums.keys(), (key) => key % count),
    weight: Float64Array.from(sums.values()),
  };
}

/** Nodes of the graph that are part of one contracted node. */
function sideOf(label: Int32Array, part: number): readonly number[] {
  return [...label.keys()].filter((node) => label[node] === part);
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
