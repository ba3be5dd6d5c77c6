import { byArc } from '../graph/digraph.ts';
import { nodesOf, pathTo, shortestTree } from '../graph/shortestPaths.ts';
import { widestPaths } from '../graph/widestPaths.ts';
import { type DemandGroup, groupDemands } from './demandGroups.ts';
import type { RoutingProblem } from './problem.ts';

/** Demands across a cut need more than its links can carry: no routing of any kind serves them all. */
export interface CutProof {
  /** Nodes on one side. */
  readonly nodes: readonly number[];
  readonly links: readonly number[];
  readonly capacityMbps: number;
  readonly demandedMbps: number;
  /** Demands that have to cross. */
  readonly demands: readonly number[];
}

/**
 * What does not fit, as anybody can check. CUT: demands across a cut exceed its links. PRICES: every Mbps on a link takes its
 * price of the link's, so what demands take at least, on their cheapest ways, cannot be more than all links have; several
 * demands may be infeasible without any cut that they exceed (Iri 1971, Onaga and Kakusho 1971). ONE_PATH: a demand is more
 * than any link of a cut carries, so it fits on no path, though parts of it may. LATENCY: the quickest way of links that carry a demand
 * at all takes longer than it may, however empty they are.
 */
export type InfeasibilityProof =
  | ({ readonly kind: 'CUT' } & CutProof)
  /** By link of `links`; sums of capacity times price, and of Mbps times the price of the cheapest way. */
  | ({ readonly kind: 'PRICES'; readonly prices: readonly number[] } & Omit<CutProof, 'nodes'>)
  /** The capacity is that of the widest link across. */
  | ({ readonly kind: 'ONE_PATH' } & CutProof)
  | ({ readonly kind: 'LATENCY' } & LatencyProof);

/** Nodes and links are those of the way, in its order; the capacity is that of its narrowest link. */
export interface LatencyProof extends CutProof {
  readonly latencyMs: number;
  readonly maxLatencyMs: number;
}

/** Proofs are of more than rounding. */
const tolerance = 1e-9;
const isExceeded = ({ capacityMbps, demandedMbps }: Pick<CutProof, 'capacityMbps' | 'demandedMbps'>) =>
  demandedMbps > capacityMbps * (1 + tolerance);

export interface Suspicion {
  /** @default those of the problem */
  readonly groups?: readonly DemandGroup[];
  /** By node, 1 on one side of the cut that is exceeded the most; null where none was found. */
  readonly side: Uint8Array | null;
  /** By link. */
  readonly prices: Float64Array;
}

/**
 * A proof that demands do not fit, or null where what is suspected proves nothing. Whatever is said is measured anew here by
 * shortest paths and sums over the problem itself: a wrong suspicion ends in no proof, never in a wrong one.
 */
export function proveInfeasible(problem: RoutingProblem, suspicion: Suspicion): InfeasibilityProof | null {
  const { groups = groupDemands(problem), side, prices } = suspicion;
  const parted = partedDemands(problem, groups);
  if (parted !== null) return { kind: 'CUT', ...parted };
  const cut = side === null ? null : measureCut(problem, side);
  if (cut !== null && isExceeded(cut)) return { kind: 'CUT', ...cut };
  const priced = measurePrices(problem, prices);
  if (priced !== null && isExceeded(priced)) return { kind: 'PRICES', ...priced };
  const narrow = tooNarrow(problem, groups);
  if (narrow !== null) return { kind: 'ONE_PATH', ...narrow };
  const slow = tooSlow(problem);
  return slow === null ? null : { kind: 'LATENCY', ...slow };
}

/** The quickest way of the demand that it takes longest beyond its bound; null where each has one within it. */
function tooSlow({ graph, capacity, latencyMs, demands }: RoutingProblem): LatencyProof | null {
  const bounded = [...demands.keys()].filter((at) => demands[at]!.maxLatencyMs !== undefined && demands[at]!.mbps > 0);
  const quickest = (source: number, mbps: number) =>
    shortestTree(
      graph,
      source,
      byArc(
        graph,
        latencyMs.map((ms, link) => (capacity[link]! > 0 && capacity[link]! >= mbps ? ms : Number.POSITIVE_INFINITY)),
      ),
    );
  let worst: LatencyProof | null = null;
  for (const [source, own] of Map.groupBy(bounded, (at) => demands[at]!.source)) {
    const whole = quickest(source, 0);
    for (const at of own) {
      const { target, mbps, maxLatencyMs } = demands[at]!;
      const most = maxLatencyMs!;
      const narrowest = (arcs: readonly number[]) =>
        arcs.reduce((least, arc) => Math.min(least, capacity[graph.link[arc]!]!), Number.POSITIVE_INFINITY);
      const any = pathTo(graph, whole, target);
      if (any === null || any.length === 0) continue;
      const path = narrowest(any) >= mbps ? any : pathTo(graph, quickest(source, mbps), target);
      if (path === null) continue;
      const took = path.reduce((sum, arc) => sum + latencyMs[graph.link[arc]!]!, 0);
      if (took <= most * (1 + tolerance) + tolerance) continue;
      if (worst !== null && took / most <= worst.latencyMs / worst.maxLatencyMs) continue;
      worst = {
        nodes: nodesOf(graph, source, path),
        links: path.map((arc) => graph.link[arc]!),
        ...{ latencyMs: took, maxLatencyMs: most, capacityMbps: narrowest(path), demandedMbps: mbps, demands: [at] },
      };
    }
  }
  return worst;
}

/** The cut without capacity that parts demands which no open link joins. */
function partedDemands(problem: RoutingProblem, groups: readonly DemandGroup[]): CutProof | null {
  const { graph, capacity, demands } = problem;
  const joined = new Set(groups.flatMap(({ members }) => members));
  const parted = demands.find(({ mbps }, at) => mbps > 0 && !joined.has(at));
  if (parted === undefined) return null;
  const width = widestPaths(graph, parted.source, capacity);
  return width[parted.target]! > 0
    ? null
    : directed(
        problem,
        Uint8Array.from(width, (value) => Number(value > 0)),
      );
}

/** The cut that holds back the demand which exceeds its widest way the most; null where none exceeds it. */
function tooNarrow(problem: RoutingProblem, groups: readonly DemandGroup[]): CutProof | null {
  const { graph, capacity, demands } = problem;
  const excess = ({ greatestMbps, widthMbps }: DemandGroup) => greatestMbps / widthMbps;
  const worst = groups.reduce<DemandGroup | null>(
    (most, group) => (excess(group) > (most === null ? 1 + tolerance : excess(most)) ? group : most),
    null,
  );
  if (worst === null) return null;
  const { source, target, greatestMbps: mbps, members } = worst;
  const wide = capacity.map((limit) => (limit >= mbps ? limit : 0));
  const side = Uint8Array.from(widestPaths(graph, source, wide), (value) => Number(value > 0));
  if (side[target] === 1) return null;
  const { nodes, links } = directed(problem, side);
  const capacityMbps = links.reduce((most, link) => Math.max(most, capacity[link]!), 0);
  const at = members.find((member) => demands[member]!.mbps === mbps)!;
  return { nodes, links, capacityMbps, demandedMbps: mbps, demands: [at] };
}

/** Sums by prices of links, the greatest of which is 1; links without capacity are closed. Null without a price. */
export function measurePrices({ graph, capacity, demands }: RoutingProblem, given: Float64Array) {
  const open = [...capacity.keys()].filter((link) => capacity[link]! > 0);
  const greatest = open.reduce((most, link) => Math.max(most, given[link]!), 0);
  if (!(greatest > 0) || !Number.isFinite(greatest)) return null;
  // What is next to nothing proves nothing, and would only lengthen the list.
  const prices = given.map((price) => (price / greatest > 1e-9 ? price / greatest : 0));
  const length = byArc(
    graph,
    capacity.map((limit, link) => (limit > 0 ? prices[link]! : Number.POSITIVE_INFINITY)),
  );
  let demandedMbps = 0;
  const charged: number[] = [];
  for (const [source, own] of Map.groupBy(demands.keys(), (at) => demands[at]!.source)) {
    const { distance } = shortestTree(graph, source, length);
    for (const at of own) {
      const { target, mbps } = demands[at]!;
      if (!(distance[target]! > 0) || !Number.isFinite(distance[target]!)) continue;
      demandedMbps += mbps * distance[target]!;
      charged.push(at);
    }
  }
  const links = open.filter((link) => prices[link]! > 0);
  return {
    links,
    prices: links.map((link) => prices[link]!),
    capacityMbps: links.reduce((sum, link) => sum + capacity[link]! * prices[link]!, 0),
    demandedMbps,
    demands: charged.sort((a, b) => a - b),
  };
}

/** What leads and is demanded from a side to the other. */
function directed(problem: RoutingProblem, side: Uint8Array): CutProof {
  const { graph } = problem;
  const leaves = (source: number, target: number) => side[source] === 1 && side[target] === 0;
  const links = new Set<number>();
  for (let arc = 0; arc < graph.arcCount; arc += 1)
    if (leaves(graph.from[arc]!, graph.to[arc]!)) links.add(graph.link[arc]!);
  return sumCut(problem, side, { links, crosses: leaves });
}

interface Crossing {
  readonly links: ReadonlySet<number>;
  readonly crosses: (source: number, target: number) => boolean;
}

function sumCut({ capacity, demands }: RoutingProblem, side: Uint8Array, { links, crosses }: Crossing): CutProof {
  const found = [...demands.keys()].filter((at) => crosses(demands[at]!.source, demands[at]!.target));
  return {
    nodes: [...side.keys()].filter((node) => side[node] === 1),
    links: [...links].sort((a, b) => a - b),
    capacityMbps: [...links].reduce((sum, link) => sum + capacity[link]!, 0),
    demandedMbps: found.reduce((sum, at) => sum + demands[at]!.mbps, 0),
    demands: found,
  };
}

/**
 * What has to cross from a side to the other, and what can. Where links lead one way only, demands of that direction alone
 * count; else both directions share the links.
 */
export function measureCut(problem: RoutingProblem, side: Uint8Array): CutProof {
  const { graph } = problem;
  const out = new Set<number>();
  const back = new Set<number>();
  for (let arc = 0; arc < graph.arcCount; arc += 1) {
    const link = graph.link[arc]!;
    if (side[graph.from[arc]!] === 1 && side[graph.to[arc]!] === 0) out.add(link);
    if (side[graph.from[arc]!] === 0 && side[graph.to[arc]!] === 1) back.add(link);
  }
  const leaves = (source: number, target: number) => side[source] === 1 && side[target] === 0;
  const enters = (source: number, target: number) => side[source] === 0 && side[target] === 1;
  const proofs = [
    sumCut(problem, side, { links: out, crosses: leaves }),
    sumCut(problem, side, { links: back, crosses: enters }),
    sumCut(problem, side, {
      links: new Set([...out, ...back]),
      crosses: (source, target) => leaves(source, target) || enters(source, target),
    }),
  ];
  const ratio = ({ capacityMbps, demandedMbps }: CutProof) =>
    capacityMbps > 0 ? demandedMbps / capacityMbps : demandedMbps > 0 ? Number.POSITIVE_INFINITY : 0;
  return proofs.reduce((most, proof) => (ratio(proof) > ratio(most) ? proof : most));
}
