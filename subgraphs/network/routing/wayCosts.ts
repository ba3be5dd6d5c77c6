import { byArc } from '../graph/digraph.ts';
import type { Reservations } from '../reservations.ts';
import type { RoutingAlgorithm, TrafficClass } from '../rows.ts';
import type { Topology } from '../topology.ts';
import { congestionSlope } from './congestionCost.ts';

export interface CostRequest {
  readonly bandwidthKbps: number;
  readonly trafficClass: TrafficClass;
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
  const costs = known.get(topology) ?? new Map<RoutingAlgorithm, Float64Array>();
  known.set(topology, costs);
  const found = costs.get(algorithm) ?? byArc(topology.graph, ofLinks(topology, algorithm));
  costs.set(algorithm, found);
  return found;
}

function ofLinks(topology: Topology, algorithm: Exclude<RoutingAlgorithm, 'LOAD_BALANCED'>): Float64Array {
  const { latencyMs, costPerGb, lossRate, reliability, weight } = topology;
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
  }
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
