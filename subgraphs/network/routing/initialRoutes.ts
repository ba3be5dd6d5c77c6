import { constrainedPath } from '../graph/constrainedPath.ts';
import { byArc } from '../graph/digraph.ts';
import { pathTo, shortestTree } from '../graph/shortestPaths.ts';
import { latencyOf, type Route, type RoutingProblem } from './problem.ts';

/** Every demand on its way of least latency, whatever is loaded: what a network does that nobody has optimised. */
export function latencyRoutes(problem: RoutingProblem): Route[] {
  const { graph, latencyMs, capacity, demands } = problem;
  const length = byArc(
    graph,
    latencyMs.map((latency, link) => (capacity[link]! > 0 ? latency : Number.POSITIVE_INFINITY)),
  );
  const routes = new Array<Route>(demands.length).fill(null);
  for (const [source, places] of Map.groupBy(demands.keys(), (at) => demands[at]!.source)) {
    const tree = shortestTree(graph, source, length);
    for (const at of places) {
      const path = pathTo(graph, tree, demands[at]!.target);
      routes[at] = path !== null && latencyOf(problem, path) <= (demands[at]!.maxLatencyMs ?? Infinity) ? path : null;
    }
  }
  return routes;
}

/** The cheapest way of a demand by the cost of links, within its bound of latency where it has one. */
export function cheapestRoute(problem: RoutingProblem, demand: number, costOfLink: Float64Array): Route {
  const { graph, demands, latencyMs } = problem;
  const { source, target, maxLatencyMs } = demands[demand]!;
  const cost = byArc(graph, costOfLink);
  const path = pathTo(graph, shortestTree(graph, source, cost, { target }), target);
  if (path === null || maxLatencyMs === undefined || latencyOf(problem, path) <= maxLatencyMs) return path;
  const found = constrainedPath(
    graph,
    { source, target },
    {
      cost,
      resources: [{ use: byArc(graph, latencyMs), most: maxLatencyMs }],
      maxLabels: 5_000,
    },
  );
  return found.kind === 'found' ? found.arcs : null;
}
