import type { DemandGroup } from './demandGroups.ts';
import type { RoutingProblem } from './problem.ts';

/** One side of a cut, whose nodes change one at a time. */
export interface CutSide {
  /** By node, 1 where it is on the side. */
  readonly nodes: Uint8Array;
  /** Takes a node to the other side. */
  toggle(node: number): void;
  /** What has to cross by what can, in the direction in which that is the most; 0 where nothing has to. */
  ratio(): number;
  /** Takes all nodes off the side, or those that are given onto it. */
  reset(nodes?: Uint8Array): void;
}

/** What crosses from the side, to it, and both together; counted too, since sums that are taken back have rounded. */
const out = 0;
const back = 1;
const both = 2;

/** A cut of links with capacity, measured at the cost of what changes: each node brings its links and demands. */
export function createCutSide({ graph, capacity }: RoutingProblem, groups: readonly DemandGroup[]): CutSide {
  const { nodeCount } = graph;
  const linkEnds = new Map<number, { readonly ends: readonly [number, number]; readonly isTwoWay: boolean }>();
  for (let arc = 0; arc < graph.arcCount; arc += 1) {
    const [link, from, to] = [graph.link[arc]!, graph.from[arc]!, graph.to[arc]!];
    if (capacity[link]! > 0 && from !== to && !linkEnds.has(link))
      linkEnds.set(link, { ends: [from, to], isTwoWay: graph.reverse[arc] !== -1 });
  }
  const crossings = [
    ...[...linkEnds].map(([link, found]) => ({ ...found, amount: capacity[link]!, isDemand: false })),
    ...groups.map(({ source, target, mbps }) => ({
      ...{ ends: [source, target] as const, isTwoWay: false, amount: mbps, isDemand: true },
    })),
  ];
  const byNode = Array.from({ length: nodeCount }, (): number[] => []);
  for (const [at, { ends }] of crossings.entries()) for (const node of ends) byNode[node]!.push(at);

  const nodes = new Uint8Array(nodeCount);
  const supply = new Float64Array(3);
  const demand = new Float64Array(3);
  const supplyCount = new Int32Array(3);
  const demandCount = new Int32Array(3);
  const add = (node: number, sign: 1 | -1) => {
    for (const at of byNode[node]!) {
      const { ends, isTwoWay, amount, isDemand } = crossings[at]!;
      if (nodes[ends[0]] === nodes[ends[1]]) continue;
      const [sums, counts] = isDemand ? [demand, demandCount] : [supply, supplyCount];
      const direction = nodes[ends[0]] === 1 ? out : back;
      for (const place of isTwoWay ? [out, back, both] : [direction, both]) {
        counts[place]! += sign;
        sums[place] = counts[place] === 0 ? 0 : sums[place]! + sign * amount;
      }
    }
  };
  const toggle = (node: number) => {
    add(node, -1);
    nodes[node] = 1 - nodes[node]!;
    add(node, 1);
  };
  return {
    nodes,
    toggle,
    ratio() {
      let most = 0;
      for (let place = 0; place < 3; place += 1)
        if (demandCount[place]! > 0 && supplyCount[place]! > 0) most = Math.max(most, demand[place]! / supply[place]!);
      return most;
    },
    reset(wanted) {
      for (let node = 0; node < nodeCount; node += 1) if (nodes[node] !== (wanted?.[node] ?? 0)) toggle(node);
    },
  };
}
