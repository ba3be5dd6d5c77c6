import { shuffled } from '../graph/random.ts';
import { congestionCost } from './congestionCost.ts';
import { cheapestRoute } from './initialRoutes.ts';
import { loadsOf, type Route, type RoutingProblem, utilization } from './problem.ts';

/** What a load costs on a link, convex in the load. */
export type LinkCost = (load: number, capacity: number, link: number) => number;

export interface RerouteOptions {
  readonly cost: LinkCost;
  /** Added per Mbps of a demand, by link: what it prefers where loads do not matter. */
  readonly preference: Float64Array;
  readonly random: () => number;
  /** True once the search has to end. */
  readonly isOver: () => boolean;
  /** Demands that may end elsewhere than in `home`. */
  readonly maxMoves: number;
  readonly home: readonly Route[];
  /** A link takes no more than its capacity, unless it is over it already. */
  readonly isHard: boolean;
  /** By link, 1 where a demand that is not on it already is not put; demands without a route may be. @default none */
  readonly avoided?: Uint8Array | undefined;
  /** Seen after each pass over the demands. */
  readonly onPass?: (routes: readonly Route[]) => void;
  /** @default no bound */
  readonly maxPasses?: number;
  /** Demands without such a link stay where they are. @default all links are */
  readonly isHot?: (load: number, link: number) => boolean;
  /** @default none */
  readonly guard?: RerouteGuard | undefined;
}

/** A second cost that the search must not raise above a bound, as long as it serves no more than at first. */
export interface RerouteGuard {
  /** Of a link, convex in the load. */
  readonly cost: (load: number, link: number) => number;
  readonly most: number;
}

/** Costs that differ by less, relatively, are the same: the search must not run in circles on rounding. */
const tolerance = 1e-9;

/**
 * Rip up and reroute: takes one demand after the other off its links and puts it on what is cheapest beside all others,
 * in an order drawn anew for each pass, until a pass changes nothing. The sum of costs never rises.
 * Answers how many times a demand was put elsewhere.
 */
export function reroute(problem: RoutingProblem, routes: Route[], options: RerouteOptions): number {
  const { graph, capacity, demands } = problem;
  const { cost, preference, home } = options;
  const load = loadsOf(problem, routes);
  const added = new Float64Array(graph.linkCount);
  /** Of each link as it is loaded. */
  const costNow = load.map((value, link) => (capacity[link]! > 0 ? cost(value, capacity[link]!, link) : 0));
  let moves = routes.filter((route, at) => !isSameRoute(route, home[at]!)).length;
  let changes = 0;

  /** What a demand would add to the cost of each link. */
  function price(mbps: number, current: Route): void {
    const own = new Set(options.avoided === undefined ? [] : current?.map((arc) => graph.link[arc]!));
    for (let link = 0; link < graph.linkCount; link += 1) {
      const [now, limit] = [load[link]!, capacity[link]!];
      const isAvoided = options.avoided?.[link] === 1 && current !== null && !own.has(link);
      const isClosed = isAvoided || limit <= 0 || (options.isHard && now + mbps > limit * (1 + tolerance));
      added[link] = isClosed
        ? Number.POSITIVE_INFINITY
        : cost(now + mbps, limit, link) - costNow[link]! + mbps * preference[link]!;
    }
  }
  const put = (route: Route, mbps: number) => {
    for (const arc of route ?? []) {
      const link = graph.link[arc]!;
      load[link]! += mbps;
      if (capacity[link]! > 0) costNow[link] = cost(load[link]!, capacity[link]!, link);
    }
  };
  const { guard } = options;
  let guarded = guard === undefined ? 0 : load.reduce((sum, value, link) => sum + guard.cost(value, link), 0);
  let most = guard?.most ?? Number.POSITIVE_INFINITY;
  /** What a demand that is off its links adds to the guarded cost on a route. */
  const guardedOf = (route: Route, mbps: number): number => {
    if (guard === undefined || route === null) return 0;
    return route.reduce((sum, arc) => {
      const link = graph.link[arc]!;
      return sum + guard.cost(load[link]! + mbps, link) - guard.cost(load[link]!, link);
    }, 0);
  };
  const isHotArc = (arc: number) => options.isHot!(load[graph.link[arc]!]!, graph.link[arc]!);
  const priceOf = (route: readonly number[]) => route.reduce((sum, arc) => sum + added[graph.link[arc]!]!, 0);

  for (let pass = 0; pass < (options.maxPasses ?? Number.POSITIVE_INFINITY); pass += 1) {
    let changed = false;
    for (const at of shuffled(demands.length, options.random)) {
      if (options.isOver()) return changes;
      const { mbps } = demands[at]!;
      const current = routes[at]!;
      const isHome = isSameRoute(current, home[at]!);
      if (isHome && moves >= options.maxMoves) continue;
      if (options.isHot && current !== null && !current.some((arc) => isHotArc(arc))) continue;
      put(current, -mbps);
      price(mbps, current);
      const found = cheapestRoute(problem, at, added);
      const isBetter =
        found !== null && (current === null || priceOf(found) < priceOf(current) * (1 - tolerance) - tolerance);
      if (isBetter && current === null) most = Number.POSITIVE_INFINITY;
      const change = isBetter ? guardedOf(found, mbps) - guardedOf(current, mbps) : 0;
      if (isBetter && guarded + change <= most) {
        guarded += change;
        routes[at] = found;
        moves += Number(!isSameRoute(found, home[at]!)) - Number(!isHome);
        changes += 1;
        changed = true;
      }
      put(routes[at]!, mbps);
    }
    options.onPass?.(routes);
    if (!changed) break;
  }
  return changes;
}

export function isSameRoute(one: Route, other: Route): boolean {
  if (one === null || other === null) return one === other;
  return one.length === other.length && one.every((arc, at) => arc === other[at]);
}

export const fortzThorup: LinkCost = (load, capacity) => congestionCost(load, capacity);

/**
 * The cost that tells the fullest link from the others: it grows by e where utilisation grows by `1 / sharpness` of the
 * greatest one. The sharper, the closer its least sum is to the least maximum (soft maximum).
 */
export function sharpCost(greatest: number, sharpness: number): LinkCost {
  return (load, capacity) => Math.exp(Math.min(600, sharpness * (utilization(load, capacity) / greatest - 1)));
}
