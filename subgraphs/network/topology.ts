import { createDigraph, type Digraph } from './graph/digraph.ts';
import type { NetworkLinkRow, NetworkNodeRow, PathMetrics } from './rows.ts';

/** A stored network as algorithms take it: nodes and links by their places in the lists. Arrays are by link unless said. */
export interface Topology {
  readonly graph: Digraph;
  readonly nodeIds: readonly string[];
  readonly linkIds: readonly string[];
  readonly nodeIndex: ReadonlyMap<string, number>;
  readonly linkIndex: ReadonlyMap<string, number>;
  /** By node, 1 where it passes traffic on. */
  readonly isNodeUp: Uint8Array;
  /** 1 where the link is active and both of its ends are up. */
  readonly isLinkUp: Uint8Array;
  readonly latencyMs: Float64Array;
  readonly jitterMs: Float64Array;
  readonly lossRate: Float64Array;
  readonly reliability: Float64Array;
  readonly costPerGb: Float64Array;
  readonly energyPerGb: Float64Array;
  /** 1 where its ends lie in different security zones; those that name none lie in one of their own. */
  readonly changesZone: Uint8Array;
  /** How much the link is preferred, 0 to 1. */
  readonly weight: Float64Array;
  readonly capacityKbps: Float64Array;
  /** By node; Infinity for no bound. */
  readonly maxConnections: Float64Array;
}

type TopologyNode = Pick<NetworkNodeRow, 'id' | 'status' | 'resources'> & Partial<Pick<NetworkNodeRow, 'location'>>;
type TopologyLink = Pick<
  NetworkLinkRow,
  | 'id'
  | 'sourceId'
  | 'targetId'
  | 'direction'
  | 'status'
  | 'latencyMs'
  | 'jitterMs'
  | 'lossRate'
  | 'reliability'
  | 'costPerGb'
  | 'capacityKbps'
> & { readonly weight?: number; readonly energyPerGb?: number };

/** A node that is worse than usual still passes traffic on. */
export function isUp(status: string): boolean {
  return status === 'active' || status === 'degraded';
}

export function createTopology(nodes: readonly TopologyNode[], links: readonly TopologyLink[]): Topology {
  const nodeIndex = new Map(nodes.map(({ id }, at) => [id, at]));
  const ends = links.map((link) => ({
    source: nodeIndex.get(link.sourceId)!,
    target: nodeIndex.get(link.targetId)!,
    isTwoWay: link.direction === 'bidirectional',
  }));
  const isNodeUp = Uint8Array.from(nodes, ({ status }) => Number(isUp(status)));
  const zoneOf = (at: number) => nodes[at]!.location?.securityZone ?? null;
  const of = (value: (link: TopologyLink) => number) => Float64Array.from(links, value);
  return {
    graph: createDigraph(nodes.length, ends),
    nodeIds: nodes.map(({ id }) => id),
    linkIds: links.map(({ id }) => id),
    nodeIndex,
    linkIndex: new Map(links.map(({ id }, at) => [id, at])),
    isNodeUp,
    isLinkUp: Uint8Array.from(links, ({ status }, at) =>
      Number(status === 'active' && isNodeUp[ends[at]!.source] === 1 && isNodeUp[ends[at]!.target] === 1),
    ),
    latencyMs: of((link) => link.latencyMs),
    jitterMs: of((link) => link.jitterMs),
    lossRate: of((link) => link.lossRate),
    reliability: of((link) => link.reliability),
    costPerGb: of((link) => link.costPerGb),
    energyPerGb: of((link) => link.energyPerGb ?? 0),
    changesZone: Uint8Array.from(ends, ({ source, target }) => Number(zoneOf(source) !== zoneOf(target))),
    weight: of((link) => link.weight ?? 1),
    capacityKbps: of((link) => link.capacityKbps),
    maxConnections: Float64Array.from(nodes, ({ resources }) => resources?.maxConnections ?? Number.POSITIVE_INFINITY),
  };
}

/** The topology as if some of its nodes were down: for those who are to keep away from them. */
export function avoiding(topology: Topology, nodeIds: ReadonlySet<string>): Topology {
  if (nodeIds.size === 0) return topology;
  const isNodeUp = topology.isNodeUp.slice();
  for (const id of nodeIds) {
    const at = topology.nodeIndex.get(id);
    if (at !== undefined) isNodeUp[at] = 0;
  }
  const { graph } = topology;
  const isLinkUp = topology.isLinkUp.slice();
  for (let arc = 0; arc < graph.arcCount; arc += 1)
    if (isNodeUp[graph.from[arc]!] === 0 || isNodeUp[graph.to[arc]!] === 0) isLinkUp[graph.link[arc]!] = 0;
  return { ...topology, isNodeUp, isLinkUp };
}

/** What a way adds up to: latency and jitter as sums (of jitter an upper bound), reliability and what is not lost as products. */
export function metricsOf(topology: Topology, arcs: readonly number[]): PathMetrics {
  const { graph, latencyMs, jitterMs, lossRate, reliability, costPerGb, energyPerGb } = topology;
  let [latency, jitter, kept, reliable, cost, energy] = [0, 0, 1, 1, 0, 0];
  for (const arc of arcs) {
    const link = graph.link[arc]!;
    latency += latencyMs[link]!;
    jitter += jitterMs[link]!;
    kept *= 1 - lossRate[link]!;
    reliable *= reliability[link]!;
    cost += costPerGb[link]!;
    energy += energyPerGb[link]!;
  }
  return {
    latencyMs: latency,
    jitterMs: jitter,
    lossRate: 1 - kept,
    reliability: reliable,
    hops: arcs.length,
    costPerGb: cost,
    energyPerGb: energy,
  };
}

export function linkIdsOf({ graph, linkIds }: Topology, arcs: readonly number[]): readonly string[] {
  return arcs.map((arc) => linkIds[graph.link[arc]!]!);
}

export function nodeIdsOf({ graph, nodeIds }: Topology, arcs: readonly number[]): readonly string[] {
  const [first] = arcs;
  return first === undefined ? [] : [nodeIds[graph.from[first]!]!, ...arcs.map((arc) => nodeIds[graph.to[arc]!]!)];
}

/** Arcs of a stored way; null where a link is gone or no longer leads that way. */
export function arcsOf(
  { graph, linkIndex, nodeIndex }: Topology,
  linkIds: readonly string[],
  [sourceId]: readonly string[],
): readonly number[] | null {
  const arcs: number[] = [];
  let node = sourceId === undefined ? undefined : nodeIndex.get(sourceId);
  for (const linkId of linkIds) {
    const link = linkIndex.get(linkId);
    if (link === undefined || node === undefined) return null;
    let found = -1;
    for (let arc = graph.first[node]!; arc < graph.first[node + 1]!; arc += 1)
      if (graph.link[arc] === link) found = arc;
    if (found === -1) return null;
    arcs.push(found);
    node = graph.to[found]!;
  }
  return arcs;
}
