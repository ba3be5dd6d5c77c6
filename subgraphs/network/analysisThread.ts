import { centrality } from './graph/centrality.ts';
import { clusteringCoefficient, coreNumbers } from './graph/cohesion.ts';
import { strongComponents, weakComponents } from './graph/components.ts';
import { byArc, createDigraph, type Digraph, type LinkEnds } from './graph/digraph.ts';
import { globalMinCut } from './graph/globalMinCut.ts';
import { type SingleFailures, singleFailures } from './graph/singleFailures.ts';
import { type Recommended, recommend } from './recommendations.ts';

/** A network with what is up of it, by place. */
export interface AnalyzeTask {
  readonly nodeCount: number;
  readonly links: readonly LinkEnds[];
  readonly latencyMs: Float64Array;
  readonly capacityMbps: Float64Array;
  readonly reservedMbps: Float64Array;
  /** Nodes that are counted and not up. */
  readonly nodesDown: number;
  readonly hotSpotUtilization: number;
  readonly exact: boolean;
  readonly seed: number;
}

export interface AnalyzeCut {
  readonly links: readonly number[];
  readonly nodes: readonly number[];
  readonly weight: number;
}

export interface AnalyzeOutcome {
  readonly components: number;
  readonly strongComponents: number;
  readonly diameterHops: number;
  readonly diameterMs: number;
  readonly averageHops: number;
  readonly averageLatencyMs: number;
  readonly clustering: number;
  readonly maxCore: number;
  readonly approximate: boolean;
  readonly bridges: readonly { readonly link: number; readonly pairsLost: number }[];
  readonly cutNodes: readonly { readonly node: number; readonly pairsLost: number; readonly parts: number }[];
  readonly central: readonly { readonly node: number; readonly betweenness: number; readonly closeness: number }[];
  readonly minimumCut: AnalyzeCut | null;
  readonly minimumCapacityCut: AnalyzeCut | null;
  readonly failures: readonly { readonly kind: 'NODE' | 'LINK'; readonly place: number; readonly pairsLost: number }[];
  readonly survivableShare: number;
  readonly utilization: {
    readonly max: number;
    readonly mean: number;
    readonly p95: number;
    readonly reservedMbps: number;
    readonly capacityMbps: number;
  };
  readonly hotSpots: readonly { readonly link: number; readonly utilization: number }[];
  readonly healthScore: number;
  readonly recommendations: readonly Recommended[];
}

/** Searches times links up to which betweenness is exact without being asked for. */
const exactWork = 3_000_000;
const samplePivots = 256;
/** Nodes up to which least cuts are sought. */
const cutNodes = 3_000;
const listed = 50;

/** Structure, weak points and load of what is up. */
export function analyze(task: AnalyzeTask): AnalyzeOutcome {
  const { nodeCount, links, capacityMbps, reservedMbps } = task;
  const graph = createDigraph(nodeCount, links);
  const weak = weakComponents(graph);
  const strong = strongComponents(graph);
  const isExact = task.exact || nodeCount * graph.arcCount <= exactWork;
  // Without a length nothing would tell a way round from the way itself.
  const length = byArc(
    graph,
    task.latencyMs.map((latency) => Math.max(latency, 1e-6)),
  );
  const central = centrality(graph, length, isExact ? {} : { pivots: samplePivots, seed: task.seed });
  const single = singleFailures(graph);
  const cutOf = (weights: ArrayLike<number>): AnalyzeCut | null => {
    const found = nodeCount <= cutNodes ? globalMinCut(graph, weights) : null;
    if (found === null) return null;
    const nodes = [...found.side.keys()].filter((node) => found.side[node] === 1);
    return { links: found.links, nodes, weight: found.weight };
  };
  const failures = [
    ...[...single.pairsLostByLink.keys()].map((place) => ({
      ...{ kind: 'LINK' as const, place, pairsLost: single.pairsLostByLink[place]! },
    })),
    ...[...single.pairsLostByNode.keys()].map((place) => ({
      ...{ kind: 'NODE' as const, place, pairsLost: single.pairsLostByNode[place]! },
    })),
  ];
  const harmful = failures
    .filter(({ pairsLost }) => pairsLost > 0)
    .sort((a, b) => b.pairsLost - a.pairsLost || a.place - b.place);
  const used = Float64Array.from(capacityMbps, (capacity, link) => (capacity > 0 ? reservedMbps[link]! / capacity : 0));
  const sorted = used.toSorted();
  const sum = (values: ArrayLike<number>) => Array.from(values).reduce((total, value) => total + value, 0);
  const survivableShare = failures.length === 0 ? 1 : 1 - harmful.length / failures.length;
  const max = sorted.at(-1) ?? 0;
  const ordered = nodeCount * (nodeCount - 1);
  const reached = sum(weak.sizes.map((size) => size * (size - 1)));
  const healthScore =
    40 * (ordered === 0 ? 1 : reached / ordered) +
    30 * survivableShare +
    20 * Math.max(0, 1 - max / task.hotSpotUtilization) +
    10 * (nodeCount === 0 ? 0 : nodeCount / (nodeCount + task.nodesDown));
  const pairsOfOthers = Math.max(1, (nodeCount - 1) * (nodeCount - 2));
  return {
    components: weak.count,
    strongComponents: strong.count,
    diameterHops: central.diameterHops,
    diameterMs: central.diameter,
    averageHops: central.averageHops,
    averageLatencyMs: central.averagePath,
    clustering: clusteringCoefficient(graph),
    maxCore: coreNumbers(graph).reduce((most, core) => Math.max(most, core), 0),
    approximate: central.approximate,
    bridges: harmful.filter(({ kind }) => kind === 'LINK').map(({ place, pairsLost }) => ({ link: place, pairsLost })),
    cutNodes: harmful
      .filter(({ kind }) => kind === 'NODE')
      .map(({ place, pairsLost }) => ({ node: place, pairsLost, parts: single.partsWithoutNode[place]! })),
    central: [...central.betweenness.keys()]
      .sort((a, b) => central.betweenness[b]! - central.betweenness[a]! || a - b)
      .slice(0, 20)
      .map((node) => ({
        node,
        betweenness: central.betweenness[node]! / pairsOfOthers,
        closeness: central.closeness[node]!,
      })),
    minimumCut: bridgeCut(graph, single) ?? cutOf(new Float64Array(graph.linkCount).fill(1)),
    minimumCapacityCut: cutOf(capacityMbps),
    failures: harmful.slice(0, listed),
    survivableShare,
    utilization: {
      max,
      mean: used.length === 0 ? 0 : sum(used) / used.length,
      p95: sorted[Math.max(0, Math.ceil(0.95 * sorted.length) - 1)] ?? 0,
      reservedMbps: sum(reservedMbps),
      capacityMbps: sum(capacityMbps),
    },
    hotSpots: [...used.keys()]
      .filter((link) => used[link]! >= task.hotSpotUtilization)
      .sort((a, b) => used[b]! - used[a]! || a - b)
      .slice(0, listed)
      .map((link) => ({ link, utilization: used[link]! })),
    healthScore,
    recommendations: recommend({
      graph,
      links,
      single,
      used,
      capacityMbps,
      reservedMbps,
      hotSpotUtilization: task.hotSpotUtilization,
    }),
  };
}

/** A graph in one part falls apart with any of its bridges: no cut has fewer links. The worst of them stands for all. */
function bridgeCut(graph: Digraph, { bridges, pairsLostByLink }: SingleFailures): AnalyzeCut | null {
  const worst = pairsLostByLink.reduce((best, lost, link) => (lost > (pairsLostByLink[best] ?? 0) ? link : best), -1);
  if (worst === -1 || bridges[worst] !== 1 || graph.nodeCount > cutNodes || weakComponents(graph).count > 1)
    return null;
  const links = new Uint8Array(graph.linkCount);
  links[worst] = 1;
  const { of, sizes } = weakComponents(graph, { links });
  const smaller = sizes[0]! <= sizes[1]! ? 0 : 1;
  return { links: [worst], nodes: [...of.keys()].filter((node) => of[node] === smaller), weight: 1 };
}
