import type { Digraph } from '../graph/digraph.ts';
import { congestionCost } from './congestionCost.ts';
import { latencyOf, loadsOf, type Route, type RoutingMeasures, type RoutingProblem, utilization } from './problem.ts';

/**
 * Measures routes; two sets of them compare where the problem, hence the matrix of demands, is the same. The scale of
 * congestion takes a search from every source: whoever does not read it gives 0, and has 0.
 */
export function measureRoutes(
  problem: RoutingProblem,
  routes: readonly Route[],
  uncapacitated = leastHopMbps(problem),
): RoutingMeasures {
  const { graph, capacity, costPerGb, demands } = problem;
  const loads = loadsOf(problem, routes);
  let [maxUtilization, utilizations, usable, congestion] = [0, 0, 0, 0];
  for (const [link, load] of loads.entries()) {
    const used = utilization(load, capacity[link]!);
    maxUtilization = Math.max(maxUtilization, used);
    congestion += congestionCost(load, capacity[link]!);
    if (capacity[link]! <= 0) continue;
    usable += 1;
    utilizations += used;
  }
  const latencies: number[] = [];
  let [weighted, routedMbps, unroutedMbps, transportCost] = [0, 0, 0, 0];
  for (const [at, route] of routes.entries()) {
    const { mbps } = demands[at]!;
    if (route === null) {
      unroutedMbps += mbps;
      continue;
    }
    const latency = latencyOf(problem, route);
    latencies.push(latency);
    weighted += latency * mbps;
    routedMbps += mbps;
    transportCost += mbps * route.reduce((sum, arc) => sum + costPerGb[graph.link[arc]!]!, 0);
  }
  latencies.sort((a, b) => a - b);
  return {
    maxUtilization,
    meanUtilization: usable === 0 ? 0 : utilizations / usable,
    meanLatencyMs: routedMbps === 0 ? 0 : weighted / routedMbps,
    p95LatencyMs: latencies.length === 0 ? 0 : latencies[Math.ceil(0.95 * latencies.length) - 1]!,
    ...{ routedMbps, unroutedMbps, transportCost },
    unroutedDemands: routes.filter((route) => route === null).length,
    congestionCost: uncapacitated === 0 ? 0 : congestion / uncapacitated,
  };
}

/** Differences of rounding. */
const same = 1e-9;

/** What must not get worse. */
export type GuardedMeasures = Pick<RoutingMeasures, 'maxUtilization' | 'unroutedMbps' | 'congestionCost'>;

/**
 * Whether routes are no worse than others of the same problem: no more is unrouted and, where as much is, the greatest
 * utilisation is no greater and, where it is as great, neither is the Fortz-Thorup cost. What is served beside adds load: then no
 * link may get past its capacity, or past the fullest there was.
 */
export function isNoWorse(after: GuardedMeasures, before: GuardedMeasures): boolean {
  const isAtMost = (value: number, most: number) => value <= most * (1 + same) + 1e-12;
  if (after.unroutedMbps < before.unroutedMbps * (1 - same))
    return isAtMost(after.maxUtilization, Math.max(1, before.maxUtilization));
  return (
    isAtMost(after.unroutedMbps, before.unroutedMbps) &&
    isAtMost(after.maxUtilization, before.maxUtilization) &&
    // Relief of the fullest link is had by longer ways, which cost more even where every link is nearly empty.
    (after.maxUtilization < before.maxUtilization * (1 - same) || isAtMost(after.congestionCost, before.congestionCost))
  );
}

/** What all demands would cost on the fewest links at the slope of an empty one: the scale of Fortz and Thorup. */
export function leastHopMbps({ graph, demands }: RoutingProblem): number {
  let sum = 0;
  for (const [source, own] of Map.groupBy(demands, (demand) => demand.source)) {
    const hops = hopsFrom(graph, source);
    for (const { target, mbps } of own) if (hops[target]! >= 0) sum += hops[target]! * mbps;
  }
  return sum;
}

/** By node, the links to it at least; -1 where none lead there. Breadth first. */
function hopsFrom({ nodeCount, first, to }: Digraph, source: number): Int32Array {
  const hops = new Int32Array(nodeCount).fill(-1);
  const reached = new Int32Array(nodeCount);
  hops[source] = 0;
  reached[0] = source;
  for (let at = 0, length = 1; at < length; at += 1) {
    const node = reached[at]!;
    for (let arc = first[node]!; arc < first[node + 1]!; arc += 1) {
      const next = to[arc]!;
      if (hops[next] !== -1) continue;
      hops[next] = hops[node]! + 1;
      reached[length] = next;
      length += 1;
    }
  }
  return hops;
}
