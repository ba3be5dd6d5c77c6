import type { Digraph } from '../graph/digraph.ts';

export interface Demand {
  readonly source: number;
  readonly target: number;
  readonly mbps: number;
  /** @default no bound */
  readonly maxLatencyMs?: number;
}

/** Where demands may go. Arrays are by link; the capacity of a link that leads both ways is shared by its directions. */
export interface RoutingProblem {
  readonly graph: Digraph;
  /** Mbps that these demands may use; 0 closes a link. */
  readonly capacity: Float64Array;
  readonly latencyMs: Float64Array;
  readonly costPerGb: Float64Array;
  readonly demands: readonly Demand[];
}

/** Arcs from the demand's source to its target; null for a demand without a way. */
export type Route = readonly number[] | null;

export interface RoutingMeasures {
  /** Greatest load by capacity of a link. */
  readonly maxUtilization: number;
  /** Mean over links with capacity. */
  readonly meanUtilization: number;
  /** Weighted by the Mbps of routed demands. */
  readonly meanLatencyMs: number;
  /** Of routed demands, each counted once: nearest rank. */
  readonly p95LatencyMs: number;
  readonly routedMbps: number;
  readonly unroutedMbps: number;
  readonly unroutedDemands: number;
  /** Sum of the Fortz-Thorup costs of links, by the cost of all demands on their shortest way over free links. */
  readonly congestionCost: number;
  /** Sum of cost per GB times Mbps. */
  readonly transportCost: number;
}

/** Mbps by link. */
export function loadsOf({ graph, demands }: RoutingProblem, routes: readonly Route[]): Float64Array {
  const load = new Float64Array(graph.linkCount);
  for (const [at, route] of routes.entries())
    if (route !== null) for (const arc of route) load[graph.link[arc]!]! += demands[at]!.mbps;
  return load;
}

export function utilization(load: number, capacity: number): number {
  if (load <= 0) return 0;
  return capacity > 0 ? load / capacity : Number.POSITIVE_INFINITY;
}

export function latencyOf({ graph, latencyMs }: RoutingProblem, route: readonly number[]): number {
  return route.reduce((sum, arc) => sum + latencyMs[graph.link[arc]!]!, 0);
}
