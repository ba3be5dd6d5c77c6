import { byArc, createDigraph, type Digraph, type LinkEnds } from '../graph/digraph.ts';
import { maxFlow } from '../graph/maxFlow.ts';
import { shortestTree } from '../graph/shortestPaths.ts';
import { createCutSide } from './cutSide.ts';
import type { DemandGroup } from './demandGroups.ts';
import type { RoutingProblem } from './problem.ts';

export interface WorstCut {
  /** By node, 1 on one side. */
  readonly side: Uint8Array;
  /** What has to cross by what can: no routing has a smaller maximum utilisation. */
  readonly ratio: number;
}

export interface CutSearchOptions {
  readonly groups: readonly DemandGroup[];
  /** By link: what cuts are suspected to pass is dear. */
  readonly prices: Float64Array;
  readonly isOver: () => boolean;
  /** Of so many nodes and fewer all cuts are tried. @default 14 */
  readonly exhaustiveUpTo?: number;
}

/** Least cuts between two ends that are tried, and cuts that are improved node by node. */
const mostFlows = 200;
const mostStarts = 12;

/**
 * The cut whose demands exceed its links the most, of all in small networks. In others it is the best of: single nodes; nodes
 * nearer by the prices to an end of demands than a bound, for every end and bound (the sweep of Leighton and Rao 1999), or from
 * which that end is nearer; least cuts between the ends of the demands that pay the most (Dinic 1970); and what these become
 * when single nodes change sides as long as that makes them worse. It begins with what is cheapest, and single nodes are
 * always tried. Null where nothing has to cross anything.
 */
export function findWorstCut(problem: RoutingProblem, options: CutSearchOptions): WorstCut | null {
  const { groups, isOver, exhaustiveUpTo = 14 } = options;
  const { nodeCount } = problem.graph;
  if (groups.length === 0) return null;
  const cut = createCutSide(problem, groups);
  let worst = null as WorstCut | null;
  const starts: WorstCut[] = [];
  const see = (): void => {
    const ratio = cut.ratio();
    if (ratio <= (worst?.ratio ?? 0)) return;
    worst = { side: cut.nodes.slice(), ratio };
  };
  /** Keeps what a search ended with, to be improved later. */
  const keep = (ratio: number, side: Uint8Array) => {
    const isKept = starts.length < mostStarts || ratio > starts.at(-1)!.ratio;
    if (!isKept || ratio === 0 || starts.some((start) => start.ratio === ratio)) return;
    starts.push({ side: side.slice(), ratio });
    starts.sort((a, b) => b.ratio - a.ratio);
    starts.length = Math.min(starts.length, mostStarts);
  };

  if (nodeCount <= exhaustiveUpTo) {
    // Each differs from the one before by a single node (Gray 1953); the last node stays where it is, as sides are alike.
    for (let at = 1; at < 2 ** (nodeCount - 1); at += 1) {
      cut.toggle(31 - Math.clz32(at & -at));
      see();
    }
    return worst;
  }
  for (let node = 0; node < nodeCount; node += 1) {
    cut.toggle(node);
    see();
    keep(cut.ratio(), cut.nodes);
    cut.toggle(node);
  }
  for (const order of sweeps(problem, options)) {
    if (isOver()) return worst;
    cut.reset();
    let best = null as WorstCut | null;
    for (const node of order) {
      cut.toggle(node);
      see();
      const ratio = cut.ratio();
      if (ratio > (best?.ratio ?? 0)) best = { side: cut.nodes.slice(), ratio };
    }
    if (best !== null) keep(best.ratio, best.side);
  }
  for (const { source, target } of isOver() ? [] : dearest(problem, options)) {
    if (isOver()) return worst;
    cut.reset(maxFlow(problem.graph, { source, target }, problem.capacity).sourceSide);
    see();
    keep(cut.ratio(), cut.nodes);
  }
  for (const { side } of starts) {
    cut.reset(side);
    for (let changed = true; changed; ) {
      changed = false;
      for (let node = 0; node < nodeCount; node += 1) {
        if (isOver()) return worst;
        const was = cut.ratio();
        cut.toggle(node);
        if (cut.ratio() > was * (1 + 1e-12)) changed = true;
        else cut.toggle(node);
      }
      see();
    }
  }
  return worst;
}

/** Nodes that can be reached, or that reach it, by their distance to each end of demands. */
function* sweeps({ graph, capacity }: RoutingProblem, { groups, prices }: CutSearchOptions): Generator<number[]> {
  const lengths = capacity.map((limit, link) => (limit > 0 ? prices[link]! : Number.POSITIVE_INFINITY));
  const isOneWay = graph.reverse.some((arc) => arc === -1);
  const graphs = isOneWay ? [graph, backwards(graph)] : [graph];
  const byGraph = graphs.map((one) => ({ one, length: byArc(one, lengths) }));
  for (const end of new Set(groups.flatMap(({ source, target }) => [source, target])))
    for (const { one, length } of byGraph) {
      const { distance } = shortestTree(one, end, length);
      yield [...distance.keys()]
        .filter((node) => Number.isFinite(distance[node]!))
        .sort((a, b) => distance[a]! - distance[b]! || a - b);
    }
}

function backwards(graph: Digraph): Digraph {
  const links = new Array<LinkEnds>(graph.linkCount);
  for (let arc = 0; arc < graph.arcCount; arc += 1)
    links[graph.link[arc]!] ??= {
      source: graph.to[arc]!,
      target: graph.from[arc]!,
      isTwoWay: graph.reverse[arc] !== -1,
    };
  return createDigraph(graph.nodeCount, links);
}

/** Demands that take the greatest part of the links' prices. */
function dearest({ graph, capacity }: RoutingProblem, { groups, prices }: CutSearchOptions): readonly DemandGroup[] {
  const length = byArc(
    graph,
    capacity.map((limit, link) => (limit > 0 ? prices[link]! : Number.POSITIVE_INFINITY)),
  );
  const paid = new Map<DemandGroup, number>();
  for (const [source, own] of Map.groupBy(groups, (group) => group.source)) {
    const { distance } = shortestTree(graph, source, length);
    for (const group of own) paid.set(group, group.mbps * distance[group.target]!);
  }
  return [...groups].sort((a, b) => paid.get(b)! - paid.get(a)!).slice(0, mostFlows);
}
