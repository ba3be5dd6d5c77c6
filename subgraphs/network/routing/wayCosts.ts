import { byArc } from '../graph/digraph.ts';
import type { Reservations } from '../reservations.ts';
import type { RoutingAlgorithm, RoutingWeights, TrafficClass } from '../rows.ts';
import type { Topology } from '../topology.ts';
import { congestionSlope } from './congestionCost.ts';

export interface CostRequest {
  readonly bandwidthKbps: number;
  readonly trafficClass: TrafficClass;
  readonly requirements?: { readonly routingWeights?: RoutingWeights | null | undefined };
}

/** Of ways that are alike otherwise the one of less latency is taken. */
const latencyShare = 1e-6;

/** By topology, which never changes, what does not depend on what is reserved. */
const known = new WeakMap<Topology, Map<RoutingAlgorithm, Float64Array>>();

/** What a way is sought to have the least of, by arc, never negative; every limit is kept beside it. */
export function wayCosts(
  topology: Topology,
  algorithm: RoutingAlgorithm,
  reservations: Reservations,
  request: CostRequest,
): Float64Array {
  if (algorithm === 'LOAD_BALANCED') return byArc(topology.graph, loaded(topology, reservations, request));
  if (algorithm === 'CUSTOM') return byArc(topology.graph, weighed(topology, request.requirements?.routingWeights));
  const costs = known.get(topology) ?? new Map<RoutingAlgorithm, Float64Array>();
  known.set(topology, costs);
  const found = costs.get(algorithm) ?? byArc(topology.graph, ofLinks(topology, algorithm));
  costs.set(algorithm, found);
  return found;
}

function ofLinks(topology: Topology, algorithm: Exclude<RoutingAlgorithm, 'LOAD_BALANCED' | 'CUSTOM'>): Float64Array {
  const { latencyMs, costPerGb, energyPerGb, changesZone, lossRate, reliability, weight } = topology;
  switch (algorithm) {
    case 'SHORTEST_PATH':
      return latencyMs;
    case 'COST_AWARE':
      return costPerGb.map((cost, link) => cost + latencyShare * latencyMs[link]!);
    case 'QUALITY_AWARE':
      // What is neither lost nor broken off multiplies, so its logarithms add up.
      return latencyMs.map(
        (latency, link) =>
          -Math.log(Math.max(1e-12, (1 - lossRate[link]!) * reliability[link]!)) + latencyShare * latency,
      );
    case 'PRIORITY_BASED':
      return weight.map((preference, link) => 1 - preference + latencyShare * latencyMs[link]!);
    case 'ENERGY_AWARE':
      return energyPerGb.map((energy, link) => energy + latencyShare * latencyMs[link]!);
    case 'SECURITY_AWARE':
      return latencyMs.map((latency, link) => changesZone[link]! + latencyShare * latency);
  }
}

/** The sum of a link's figures, each times what it counts for. */
function weighed(topology: Topology, weights: RoutingWeights | null | undefined): Float64Array {
  const { latencyMs, jitterMs, lossRate, reliability, costPerGb, energyPerGb, changesZone, weight } = topology;
  // Shares multiply along a way, so their logarithms add up; of small ones these are percents.
  const percents = (kept: number) => -100 * Math.log(Math.max(1e-12, kept));
  return latencyMs.map(
    (latency, link) =>
      latencyShare * latency +
      (weights?.latency ?? 0) * latency +
      (weights?.jitter ?? 0) * jitterMs[link]! +
      (weights?.loss ?? 0) * percents(1 - lossRate[link]!) +
      (weights?.failure ?? 0) * percents(reliability[link]!) +
      (weights?.cost ?? 0) * costPerGb[link]! +
      (weights?.energy ?? 0) * energyPerGb[link]! +
      (weights?.zoneChange ?? 0) * changesZone[link]! +
      (weights?.preference ?? 0) * (1 - weight[link]!),
  );
}

/** Latency by the slope of the congestion cost that a link would have with the request on it (Fortz and Thorup 2000). */
function loaded({ latencyMs, capacityKbps }: Topology, reservations: Reservations, request: CostRequest): Float64Array {
  return latencyMs.map((latency, link) => {
    const { real_time, interactive, bulk, management } = reservations.of(link);
    const load = real_time + interactive + bulk + management + request.bandwidthKbps;
    // A link without latency costs something too, or a detour over such links would be free.
    return Math.max(latency, latencyShare) * congestionSlope(load, capacityKbps[link]!);
  });
}
