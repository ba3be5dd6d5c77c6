import { boundsTo, type ConstrainedPath, constrainedPath, type Resource } from './graph/constrainedPath.ts';
import { byArc } from './graph/digraph.ts';
import { disjointPair } from './graph/disjointPaths.ts';
import { maxFlow } from './graph/maxFlow.ts';
import { shortestTree } from './graph/shortestPaths.ts';
import type { Reservations } from './reservations.ts';
import { wayCosts } from './routing/wayCosts.ts';
import type { PathMetrics, RequirementsValue, TrafficClass } from './rows.ts';
import { metricsOf, type Topology } from './topology.ts';

export interface WayRequest {
  /** Places of nodes. */
  readonly source: number;
  readonly target: number;
  readonly requirements: RequirementsValue;
  readonly bandwidthKbps: number;
  readonly trafficClass: TrafficClass;
}

export interface Way {
  readonly arcs: readonly number[];
  readonly metrics: PathMetrics;
  /** A second way that shares no link; with failover support it keeps all limits and has the bandwidth. */
  readonly backup: readonly number[] | null;
}

export type Admission =
  | { readonly kind: 'way'; readonly way: Way }
  | { readonly kind: 'no path' }
  /** Links that part the ends for this much bandwidth, with what the class has left on them. */
  | {
      readonly kind: 'bandwidth';
      readonly cut: { readonly links: readonly number[]; readonly nodes: readonly number[]; readonly kbps: number };
    }
  /** The least of each figure that any way with the bandwidth has. */
  | { readonly kind: 'quality'; readonly best: Partial<PathMetrics>; readonly reason: string };

/**
 * The way of least latency, or the least of what its routing names, that keeps all limits over links that are up and have the
 * bandwidth left for the class. Latency and jitter add up; loss and reliability multiply, so their logarithms do.
 */
export function findWay(topology: Topology, reservations: Reservations, request: WayRequest): Admission {
  const { graph, isLinkUp } = topology;
  const { source, target, requirements } = request;
  const down = closedArcs(topology, (link) => isLinkUp[link] === 0);
  const cost = wayCosts(topology, requirements.routing ?? 'SHORTEST_PATH', reservations, request);
  const resources = resourcesOf(topology, requirements);
  if (!isReached(topology, request, down)) return { kind: 'no path' };
  const tight = closedArcs(
    topology,
    (link) => isLinkUp[link] === 0 || reservations.residual(link, request.trafficClass) < request.bandwidthKbps,
  );
  if (!isReached(topology, request, tight))
    return { kind: 'bandwidth', cut: leastCut(topology, reservations, request) };

  // What is left at least over all links that are up bounds every search: each of them closes some more.
  const bounds = boundsTo(graph, target, { cost, resources, closedArcs: down });
  const search = (closed: Uint8Array, closedNodes?: Uint8Array): ConstrainedPath =>
    constrainedPath(
      graph,
      { source, target },
      { cost, resources, bounds, closedArcs: closed, ...(closedNodes && { closedNodes }) },
    );
  const first = search(tight);
  if (first.kind !== 'found')
    return {
      kind: 'quality',
      best: bestOf(topology, request, tight),
      reason: first.kind === 'none' ? 'no way keeps all limits' : 'the search was too long to find one',
    };
  const wayOf = (arcs: readonly number[], backup: readonly number[] | null): Admission => ({
    kind: 'way',
    way: { arcs, metrics: metricsOf(topology, arcs), backup },
  });
  if (!requirements.failoverSupport) return wayOf(first.arcs, secondWay(topology, first.arcs, down, search));
  const backup = secondWay(topology, first.arcs, tight, search);
  if (backup !== null) return wayOf(first.arcs, backup);
  // The best way may stand in the way of every second one: then both are chosen together.
  const length = cost.map((least, arc) => (tight[arc] === 1 ? Infinity : least));
  const pair = disjointPair(graph, { source, target }, length, 'links');
  if (pair?.paths.every((path) => isWithin(topology, path, requirements))) return wayOf(pair.paths[0], pair.paths[1]);
  return {
    kind: 'quality',
    best: metricsOf(topology, first.arcs),
    reason: 'no second way that shares no link keeps all limits',
  };
}

/** A way that shares no node between the ends with the first, else no link; null where there is none. */
function secondWay(
  { graph }: Topology,
  first: readonly number[],
  closed: Uint8Array,
  search: (closed: Uint8Array, closedNodes?: Uint8Array) => ConstrainedPath,
): readonly number[] | null {
  const used = new Set(first.map((arc) => graph.link[arc]!));
  const without = closed.slice();
  for (let arc = 0; arc < graph.arcCount; arc += 1) if (used.has(graph.link[arc]!)) without[arc] = 1;
  const between = new Uint8Array(graph.nodeCount);
  for (const arc of first.slice(0, -1)) between[graph.to[arc]!] = 1;
  for (const nodes of [between, undefined]) {
    const found = search(without, nodes);
    if (found.kind === 'found') return found.arcs;
  }
  return null;
}

function closedArcs({ graph }: Topology, isClosed: (link: number) => boolean): Uint8Array {
  const ofLinks = new Uint8Array(graph.linkCount);
  for (let link = 0; link < graph.linkCount; link += 1) ofLinks[link] = Number(isClosed(link));
  const closed = new Uint8Array(graph.arcCount);
  for (let arc = 0; arc < graph.arcCount; arc += 1) closed[arc] = ofLinks[graph.link[arc]!]!;
  return closed;
}

/** Whether anything leads there: breadth first. */
function isReached({ graph }: Topology, { source, target }: WayRequest, closed: Uint8Array): boolean {
  const seen = new Uint8Array(graph.nodeCount);
  const queue = new Int32Array(graph.nodeCount);
  seen[source] = 1;
  queue[0] = source;
  for (let [at, length] = [0, 1]; at < length; at += 1) {
    const node = queue[at]!;
    if (node === target) return true;
    for (let arc = graph.first[node]!; arc < graph.first[node + 1]!; arc += 1) {
      const head = graph.to[arc]!;
      if (closed[arc] === 1 || seen[head] === 1) continue;
      seen[head] = 1;
      queue[length] = head;
      length += 1;
    }
  }
  return false;
}

function leastCut(topology: Topology, reservations: Reservations, request: WayRequest) {
  const { graph, isLinkUp } = topology;
  // Whole requests that fit: less than one fits nowhere across the cut.
  const room = Float64Array.from({ length: graph.linkCount }, (_, link) =>
    isLinkUp[link] === 1 ? Math.max(0, reservations.residual(link, request.trafficClass)) : 0,
  );
  const whole = room.map((kbps) => (kbps >= request.bandwidthKbps ? 1 : 0));
  const { cut, sourceSide } = maxFlow(graph, request, whole);
  return {
    links: cut.filter((link) => isLinkUp[link] === 1),
    nodes: [...sourceSide.keys()].filter((node) => sourceSide[node] === 1),
    kbps: cut.reduce((most, link) => Math.max(most, room[link]!), 0),
  };
}

/** What adds up along a way, by arc; losses and reliabilities as -ln. */
interface Figures {
  readonly latency: Float64Array;
  readonly jitter: Float64Array;
  readonly loss: Float64Array;
  readonly unreliability: Float64Array;
}

/** Of a topology, which never changes: ways over one follow each other. */
const knownFigures = new WeakMap<Topology, Figures>();

function figuresOf(topology: Topology): Figures {
  const known = knownFigures.get(topology);
  if (known !== undefined) return known;
  const { graph, latencyMs, jitterMs, lossRate, reliability } = topology;
  const figures = {
    latency: byArc(graph, latencyMs),
    jitter: byArc(graph, jitterMs),
    loss: byArc(graph, logarithms(lossRate.map((loss) => 1 - loss))),
    unreliability: byArc(graph, logarithms(reliability)),
  };
  knownFigures.set(topology, figures);
  return figures;
}

const logarithms = (values: Float64Array): Float64Array => values.map((value) => Math.max(0, -Math.log(value)));

/** Bounds as sums along a way. */
function resourcesOf(topology: Topology, requirements: RequirementsValue): readonly Resource[] {
  const { latency, jitter, loss, unreliability } = figuresOf(topology);
  const { latencyMaxMs, jitterMaxMs, packetLossMax, reliability } = requirements;
  return [
    ...(latencyMaxMs == null ? [] : [{ use: latency, most: latencyMaxMs }]),
    ...(jitterMaxMs == null ? [] : [{ use: jitter, most: jitterMaxMs }]),
    ...(packetLossMax == null ? [] : [{ use: loss, most: -Math.log(1 - packetLossMax) }]),
    ...(reliability == null ? [] : [{ use: unreliability, most: -Math.log(reliability) }]),
  ];
}

/** Whether a way keeps all limits. */
export function isWithin(topology: Topology, arcs: readonly number[], requirements: RequirementsValue): boolean {
  return resourcesOf(topology, requirements).every(
    ({ use, most }) => arcs.reduce((sum, arc) => sum + use[arc]!, 0) <= most * (1 + 1e-12) + 1e-12,
  );
}

function bestOf(topology: Topology, { source, target, requirements }: WayRequest, closed: Uint8Array) {
  const { graph, latencyMs, jitterMs, lossRate, reliability } = topology;
  const least = (values: Float64Array) =>
    shortestTree(graph, source, byArc(graph, values), { target, closedArcs: closed }).distance[target]!;
  const product = (values: Float64Array) => Math.exp(-least(values.map((value) => Math.max(0, -Math.log(value)))));
  return {
    latencyMs: least(latencyMs),
    ...(requirements.jitterMaxMs == null ? {} : { jitterMs: least(jitterMs) }),
    ...(requirements.packetLossMax == null ? {} : { lossRate: 1 - product(lossRate.map((loss) => 1 - loss)) }),
    ...(requirements.reliability == null ? {} : { reliability: product(reliability) }),
  };
}
