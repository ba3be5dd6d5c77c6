import { createDigraph, type Digraph, type LinkEnds } from './graph/digraph.ts';
import { type SingleFailures, singleFailures } from './graph/singleFailures.ts';

export interface Recommended {
  readonly kind: 'ADD_LINK' | 'ADD_CAPACITY';
  readonly message: string;
  readonly nodes: readonly number[];
  readonly links: readonly number[];
  readonly gain: number;
}

export interface RecommendInput {
  readonly graph: Digraph;
  readonly links: readonly LinkEnds[];
  readonly single: SingleFailures;
  readonly used: Float64Array;
  readonly capacityMbps: Float64Array;
  readonly reservedMbps: Float64Array;
  readonly hotSpotUtilization: number;
}

/** The worst links that are looked at. */
const considered = 3;

/** What would help, each with what it gains: found by making the change and analysing again, never guessed. */
export function recommend(input: RecommendInput): readonly Recommended[] {
  return [...newLinks(input), ...moreCapacity(input)];
}

const lostPairs = ({ pairsLostByLink, pairsLostByNode }: SingleFailures) =>
  pairsLostByLink.reduce((sum, value) => sum + value, 0) + pairsLostByNode.reduce((sum, value) => sum + value, 0);

/** Past each of the worst bridges a link between the best joined nodes around it on either side. */
function newLinks({ graph, links, single }: RecommendInput): Recommended[] {
  const before = lostPairs(single);
  const bridges = [...single.bridges.keys()]
    .filter((link) => single.bridges[link] === 1)
    .sort((a, b) => single.pairsLostByLink[b]! - single.pairsLostByLink[a]! || a - b)
    .slice(0, considered);
  return bridges.flatMap((bridge): Recommended[] => {
    const { source, target } = links[bridge]!;
    const [one, other] = [farthest(graph, source, bridge), farthest(graph, target, bridge)];
    const pairs = [
      [one, other],
      [source, other],
      [one, target],
    ].filter(([a, b]) => a !== b && !(a === source && b === target));
    let best: Recommended | null = null;
    for (const [a, b] of pairs) {
      const changed = createDigraph(graph.nodeCount, [...links, { source: a!, target: b!, isTwoWay: true }]);
      const gain = before - lostPairs(singleFailures(changed));
      if (gain > (best?.gain ?? 0))
        best = {
          kind: 'ADD_LINK',
          message: 'a second way past a link whose loss parts the network',
          nodes: [a!, b!],
          links: [bridge],
          gain,
        };
    }
    return best === null ? [] : [best];
  });
}

/** The node most links away from another on its side of a bridge: a link from there bypasses what lies between. */
function farthest({ first, to, link, nodeCount }: Digraph, from: number, bridge: number): number {
  const seen = new Uint8Array(nodeCount);
  const queue = [from];
  seen[from] = 1;
  for (let at = 0; at < queue.length; at += 1) {
    const node = queue[at]!;
    for (let arc = first[node]!; arc < first[node + 1]!; arc += 1) {
      if (link[arc] === bridge || seen[to[arc]!] === 1) continue;
      seen[to[arc]!] = 1;
      queue.push(to[arc]!);
    }
  }
  return queue.at(-1)!;
}

/** For each hot spot the capacity that brings it to three quarters of its mark. */
function moreCapacity({ used, capacityMbps, reservedMbps, hotSpotUtilization }: RecommendInput): Recommended[] {
  return [...used.keys()]
    .filter((link) => used[link]! >= hotSpotUtilization)
    .sort((a, b) => used[b]! - used[a]! || a - b)
    .slice(0, considered)
    .map((link) => ({
      kind: 'ADD_CAPACITY',
      message: 'what is reserved comes near the capacity',
      nodes: [],
      links: [link],
      gain: Math.ceil(reservedMbps[link]! / (0.75 * hotSpotUtilization) - capacityMbps[link]!),
    }));
}
