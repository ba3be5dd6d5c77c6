import { byArc } from '../graph/digraph.ts';
import { shortestTree } from '../graph/shortestPaths.ts';
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
 * The most overloaded cut among those of single nodes and those that the prices of links show: nodes nearer to a source
 * than a bound, for every source and bound (the sweep of Leighton and Rao 1999). Null where none of them is overloaded;
 * then the prices themselves are the proof.
 */
export function findViolatedCut(problem: RoutingProblem, prices: Float64Array): CutProof | null {
  const { graph, capacity } = problem;
  const length = byArc(
    graph,
    capacity.map((limit, link) => (limit > 0 ? prices[link]! : Number.POSITIVE_INFINITY)),
  );
  let worst: CutProof | null = null;
  let worstRatio = 1 + 1e-9;
  const tryCut = (side: Uint8Array) => {
    const cut = measureCut(problem, side);
    const ratio = cut.capacityMbps > 0 ? cut.demandedMbps / cut.capacityMbps : cut.demandedMbps > 0 ? Infinity : 0;
    if (ratio <= worstRatio) return;
    worstRatio = ratio;
    worst = cut;
  };
  for (const source of new Set(problem.demands.flatMap((demand) => [demand.source, demand.target]))) {
    const side = new Uint8Array(graph.nodeCount);
    side[source] = 1;
    tryCut(side);
    const { distance } = shortestTree(graph, source, length);
    const order = [...distance.keys()].sort((a, b) => distance[a]! - distance[b]! || a - b);
    for (const [at, node] of order.entries()) {
      side[node] = 1;
      const next = order[at + 1];
      // Whole rings of equal distance only: within one the prices tell nothing apart.
      if (next !== undefined && distance[next]! > distance[node]! + 1e-12) tryCut(side);
    }
  }
  return worst;
}

/**
 * What has to cross from a side to the other, and what can. Where links lead one way only, demands of that direction alone
 * count; else both directions share the links.
 */
export function measureCut({ graph, capacity, demands }: RoutingProblem, side: Uint8Array): CutProof {
  const out = new Set<number>();
  const back = new Set<number>();
  for (let arc = 0; arc < graph.arcCount; arc += 1) {
    const link = graph.link[arc]!;
    if (side[graph.from[arc]!] === 1 && side[graph.to[arc]!] === 0) out.add(link);
    if (side[graph.from[arc]!] === 0 && side[graph.to[arc]!] === 1) back.add(link);
  }
  const of = (links: ReadonlySet<number>, crossing: (source: number, target: number) => boolean): CutProof => {
    const found = [...demands.keys()].filter((at) => crossing(demands[at]!.source, demands[at]!.target));
    return {
      nodes: [...side.keys()].filter((node) => side[node] === 1),
      links: [...links].sort((a, b) => a - b),
      capacityMbps: [...links].reduce((sum, link) => sum + capacity[link]!, 0),
      demandedMbps: found.reduce((sum, at) => sum + demands[at]!.mbps, 0),
      demands: found,
    };
  };
  const leaves = (source: number, target: number) => side[source] === 1 && side[target] === 0;
  const enters = (source: number, target: number) => side[source] === 0 && side[target] === 1;
  const proofs = [
    of(out, leaves),
    of(back, enters),
    of(new Set([...out, ...back]), (source, target) => leaves(source, target) || enters(source, target)),
  ];
  const ratio = ({ capacityMbps, demandedMbps }: CutProof) =>
    capacityMbps > 0 ? demandedMbps / capacityMbps : demandedMbps > 0 ? Number.POSITIVE_INFINITY : 0;
  return proofs.reduce((most, proof) => (ratio(proof) > ratio(most) ? proof : most));
}
