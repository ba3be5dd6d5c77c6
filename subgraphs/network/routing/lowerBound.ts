import highsModule, { type Highs } from 'highs';
import { byArc } from '../graph/digraph.ts';
import { cheapestWays, type DemandGroup, groupDemands } from './demandGroups.ts';
import { loadsOf, type Route, type RoutingProblem, utilization } from './problem.ts';

export interface UtilizationBound {
  /** No routing, even one that splits demands at will, has a smaller maximum utilisation. */
  readonly maxUtilization: number;
  /** The bound is what a split routing reaches, within a ten-thousandth. */
  readonly isTight: boolean;
  /**
   * Price of each link, by link, that proves it: what demands pay at least on their cheapest ways is more than all capacity
   * costs, times the bound.
   */
  readonly prices: Float64Array;
  /** Of the split routing, each demand's greatest part; null where none was found. */
  readonly routes: readonly Route[];
  readonly columns: number;
  /** Whether the prices are those of the program, not what loads suggest. */
  readonly isOfProgram: boolean;
  /** Maximum utilisation of the best split routing that was found; Infinity where there is none. */
  readonly reached: number;
}

export interface BoundOptions {
  /** @default those of the problem */
  readonly groups?: readonly DemandGroup[];
  readonly isOver: () => boolean;
  /** Time the solver may still take, ms. @default no bound */
  readonly leftMs?: () => number;
  /** Ways to begin with, by demand. */
  readonly start: readonly Route[];
}

/** Bound and split routing may differ so far, relatively. */
const gap = 1e-4;
const infinite = Number.POSITIVE_INFINITY;
let highs: Promise<Highs> | undefined;
// The package's types describe its CommonJS build; of the ES module, which is loaded here, the loader itself is the default.
const loadHighs = highsModule as unknown as typeof highsModule.default;

/**
 * Least maximum utilisation when demands may be split: a linear program over ways, solved by column generation (Ford and
 * Fulkerson 1958) with HiGHS. Each round buys the cheapest way of every demand at the prices of links; what they cost is
 * a bound whenever the search ends (Lagrangian duality). Demands with the same ends count as one; those that cannot be
 * routed at all are left out, and bounds of latency are not asked for, which can only lower the bound.
 */
export async function boundUtilization(problem: RoutingProblem, options: BoundOptions): Promise<UtilizationBound> {
  const { graph, capacity } = problem;
  const open = [...capacity.keys()].filter((link) => capacity[link]! > 0);
  const row = new Int32Array(graph.linkCount).fill(-1);
  for (const [at, link] of open.entries()) row[link] = at;
  const { groups = groupDemands(problem) } = options;
  const none = noBound(problem);
  if (groups.length === 0) return { ...none, isTight: true, reached: 0 };
  const first = boundOfLoads(problem, groups, options) ?? none;
  if (options.isOver()) return first;
  // The solver is compiled once in a thread, which keeps nothing else.
  highs ??= loadHighs();
  const solver = await highs;
  const { infinity } = solver;
  const scale = groups.reduce((sum, { mbps }) => sum + mbps, 0) / groups.length;

  return solver.withModel((model) => {
    model.options.set({ output_flag: false, solver: 'simplex', presolve: 'off' });
    // Rows: what is over capacity times the maximum, by link; then each group in full. Column 0 is the maximum.
    const noEntries = { indices: [], values: [] };
    for (const _ of open) model.addRow(-infinity, 0, noEntries);
    for (const { mbps } of groups) model.addRow(mbps / scale, mbps / scale, noEntries);
    model.addCol(1, 0, infinity, {
      indices: open.map((_, at) => at),
      values: open.map((link) => -capacity[link]! / scale),
    });
    const columns: Column[] = [];
    const known = new Set<string>();
    const add = (group: number, arcs: readonly number[]): boolean => {
      const key = `${group}:${arcs.join()}`;
      if (known.has(key)) return false;
      known.add(key);
      model.addCol(0, 0, infinity, {
        indices: [...arcs.map((arc) => row[graph.link[arc]!]!), open.length + group],
        values: new Array<number>(arcs.length + 1).fill(1),
      });
      columns.push({ group, arcs });
      return true;
    };
    for (const [at, { members }] of groups.entries())
      for (const member of members) {
        const route = options.start[member];
        if (route?.every((arc) => row[graph.link[arc]!] !== -1)) add(at, route);
      }
    // Whoever begins nowhere begins on the fewest links.
    const hop = byArc(
      graph,
      capacity.map((limit) => (limit > 0 ? 1 : infinity)),
    );
    for (const [at, path] of cheapestWays(problem, groups, hop).paths.entries()) add(at, path);

    let best = first;
    let values: ArrayLike<number> = [];
    let reached = infinite;
    for (;;) {
      if (options.leftMs) {
        model.zeroAllClocks();
        model.options.set({ time_limit: Math.max(0.01, options.leftMs() / 1_000) });
      }
      // Out of time it has no prices that prove anything.
      if (model.run().modelStatus !== solver.constants.modelStatus.optimal)
        return { ...best, isTight: false, columns: columns.length, reached };
      const solution = model.getSolution();
      values = solution.colValue;
      const prices = new Float64Array(graph.linkCount);
      for (const [at, link] of open.entries()) prices[link] = Math.max(0, -solution.rowDual[at]!);
      const total = open.reduce((sum, link) => sum + prices[link]! * capacity[link]!, 0);
      const priced = byArc(
        graph,
        capacity.map((limit, link) => (limit > 0 ? prices[link]! : infinity)),
      );
      const { paths, paid } = cheapestWays(problem, groups, priced);
      const bound = total > 0 ? paid / total : 0;
      if (bound > best.maxUtilization) best = { ...best, maxUtilization: bound, prices, isOfProgram: true };
      reached = Math.min(reached, splitUtilization(problem, groups, columns, values));
      const isTight = best.maxUtilization >= reached * (1 - gap);
      let isNew = false;
      if (!isTight && !options.isOver()) for (const [at, path] of paths.entries()) isNew = add(at, path) || isNew;
      if (isNew) continue;
      return {
        ...best,
        isTight,
        routes: greatestParts(problem, groups, columns, values),
        columns: columns.length,
        reached,
      };
    }
  });
}

/** What is known before anything was computed. */
export function noBound({ graph, demands }: RoutingProblem): UtilizationBound {
  return {
    ...{ maxUtilization: 0, isTight: false, isOfProgram: false, columns: 0, reached: infinite },
    prices: new Float64Array(graph.linkCount),
    routes: demands.map(() => null),
  };
}

/** A way of a group in the program. */
interface Column {
  readonly group: number;
  readonly arcs: readonly number[];
}

/**
 * How much dearer than others the fullest links are in the prices that loads suggest, in turn as long as that gives more: the
 * nearer the loads are to the best ones the sharper, and 0 bounds the mean.
 */
const loadSharpness = [0, 2, 5, 10, 20, 60] as const;

/**
 * A bound without a linear program: whatever links cost, what demands pay at least bounds the maximum utilisation from
 * below. Prices that rise steeply with the load of the routes given come near the best ones where these do.
 */
function boundOfLoads(
  problem: RoutingProblem,
  groups: readonly DemandGroup[],
  { start, isOver }: BoundOptions,
): UtilizationBound | null {
  const { graph, capacity } = problem;
  const loads = loadsOf(problem, start);
  const used = loads.map((load, link) => (capacity[link]! > 0 ? load / capacity[link]! : 0));
  const greatest = used.reduce((most, value) => Math.max(most, value), 0);
  if (greatest === 0) return null;
  let best: UtilizationBound | null = null;
  for (const sharpness of loadSharpness) {
    const prices = used.map((value, link) =>
      capacity[link]! > 0 ? Math.exp(sharpness * (value / greatest - 1)) / capacity[link]! : 0,
    );
    const total = prices.reduce((sum, price, link) => sum + price * capacity[link]!, 0);
    const priced = byArc(
      graph,
      capacity.map((limit, link) => (limit > 0 ? prices[link]! : Number.POSITIVE_INFINITY)),
    );
    const bound = cheapestWays(problem, groups, priced).paid / total;
    if (bound <= (best?.maxUtilization ?? 0)) break;
    best = { ...noBound(problem), maxUtilization: bound, prices };
    if (isOver()) break;
  }
  return best;
}

/** Maximum utilisation of a split routing, measured: the solver's own figure is true within its tolerance. */
function splitUtilization(
  { graph, capacity }: RoutingProblem,
  groups: readonly DemandGroup[],
  columns: readonly Column[],
  values: ArrayLike<number>,
): number {
  const parts = new Float64Array(groups.length);
  for (const [at, { group }] of columns.entries()) parts[group]! += Math.max(0, values[at + 1]!);
  const load = new Float64Array(graph.linkCount);
  for (const [at, { group, arcs }] of columns.entries()) {
    const part = Math.max(0, values[at + 1]!);
    if (part > 0) for (const arc of arcs) load[graph.link[arc]!]! += (groups[group]!.mbps * part) / parts[group]!;
  }
  // A group without a part is not routed at all.
  if (parts.some((sum) => sum === 0)) return infinite;
  return load.reduce((most, value, link) => Math.max(most, utilization(value, capacity[link]!)), 0);
}

function greatestParts(
  { demands }: RoutingProblem,
  groups: readonly DemandGroup[],
  columns: readonly Column[],
  values: ArrayLike<number>,
): readonly Route[] {
  const routes = new Array<Route>(demands.length).fill(null);
  const share = new Float64Array(groups.length).fill(-1);
  for (const [at, { group, arcs }] of columns.entries()) {
    if (values[at + 1]! <= share[group]!) continue;
    share[group] = values[at + 1]!;
    for (const member of groups[group]!.members) routes[member] = arcs;
  }
  return routes;
}
