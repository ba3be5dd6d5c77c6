import { pathTo, shortestTree } from '../graph/shortestPaths.ts';
import { widestPaths } from '../graph/widestPaths.ts';
import type { RoutingProblem } from './problem.ts';

/** Demands with the same ends. */
export interface DemandGroup {
  readonly source: number;
  readonly target: number;
  readonly mbps: number;
  /** Of its greatest demand. */
  readonly greatestMbps: number;
  /** Of the widest way between the ends, that of its narrowest link. */
  readonly widthMbps: number;
  readonly members: readonly number[];
}

/** Demands by their ends, without those that no open link leads to. */
export function groupDemands({ graph, capacity, demands }: RoutingProblem): readonly DemandGroup[] {
  return [...Map.groupBy(demands.keys(), (at) => demands[at]!.source)].flatMap(([source, own]) => {
    const width = widestPaths(graph, source, capacity);
    return [...Map.groupBy(own, (at) => demands[at]!.target)].flatMap(([target, members]) => {
      const mbps = members.reduce((sum, at) => sum + demands[at]!.mbps, 0);
      const greatestMbps = members.reduce((most, at) => Math.max(most, demands[at]!.mbps), 0);
      return source === target || mbps <= 0 || width[target] === 0
        ? []
        : [{ source, target, mbps, greatestMbps, widthMbps: width[target]!, members }];
    });
  });
}

/** Cheapest way of each group by the prices of arcs, and what all of them pay together. */
export function cheapestWays({ graph }: RoutingProblem, groups: readonly DemandGroup[], price: Float64Array) {
  const paths = new Array<readonly number[]>(groups.length);
  let paid = 0;
  for (const [source, places] of Map.groupBy(groups.keys(), (at) => groups[at]!.source)) {
    const tree = shortestTree(graph, source, price);
    for (const at of places) {
      const { target, mbps } = groups[at]!;
      paths[at] = pathTo(graph, tree, target)!;
      paid += mbps * tree.distance[target]!;
    }
  }
  return { paths, paid };
}
