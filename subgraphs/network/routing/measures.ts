import { byArc } from '../graph/digraph.ts';
import { shortestTree } from '../graph/shortestPaths.ts';
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

/** What all demands would cost on the fewest links at the slope of an empty one: the scale of Fortz and Thorup. */
function leastHopMbps({ graph, demands }: RoutingProblem): number {
  const hop = byArc(graph, new Float64Array(graph.linkCount).fill(1));
  let sum = 0;
  for (const [source, own] of Map.groupBy(demands, (demand) => demand.source)) {
    const { distance } = shortestTree(graph, source, hop);
    for (const { target, mbps } of own) if (Number.isFinite(distance[target]!)) sum += distance[target]! * mbps;
  }
  return sum;
}
