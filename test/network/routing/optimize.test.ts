import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createDigraph } from '../../../subgraphs/network/graph/digraph.ts';
import { createRandom } from '../../../subgraphs/network/graph/random.ts';
import { readSndlib } from '../../../subgraphs/network/readers/sndlib.ts';
import { congestionCost } from '../../../subgraphs/network/routing/congestionCost.ts';
import { measureCut } from '../../../subgraphs/network/routing/infeasibility.ts';
import { latencyRoutes } from '../../../subgraphs/network/routing/initialRoutes.ts';
import { boundUtilization } from '../../../subgraphs/network/routing/lowerBound.ts';
import { measureRoutes } from '../../../subgraphs/network/routing/measures.ts';
import { type OptimizeOptions, optimizeRoutes } from '../../../subgraphs/network/routing/optimize.ts';
import { loadsOf, type Route, type RoutingProblem } from '../../../subgraphs/network/routing/problem.ts';
import { networkFiles, readNetworkFile } from '../../support/networkData.ts';
import { allPaths, smallGraphs } from '../graph/graphs.ts';
import { expectNoWorse } from './noWorse.ts';

const goals = { latency: 0.2, throughput: 1, balance: 1, cost: 0 };
const options: OptimizeOptions = { goals, seed: 1, timeBudgetMs: 20_000, maxMoves: Infinity, isHard: false };

/** Problems small enough to try every routing. */
const problems = smallGraphs({ most: 5 }).chain(({ graph, weight }) =>
  fc
    .array(
      fc.record({
        source: fc.nat(graph.nodeCount - 1),
        shift: fc.integer({ min: 1, max: graph.nodeCount - 1 }),
        mbps: fc.integer({ min: 1, max: 9 }),
      }),
      { minLength: 1, maxLength: 3 },
    )
    .map(
      (drawn): RoutingProblem => ({
        graph,
        capacity: Float64Array.from(weight, (value) => value * 2),
        latencyMs: Float64Array.from(weight, (value) => 7 - value),
        costPerGb: new Float64Array(graph.linkCount),
        demands: drawn.map(({ source, shift, mbps }) => ({
          source,
          target: (source + shift) % graph.nodeCount,
          mbps,
        })),
      }),
    ),
);

/** Least maximum utilisation over all ways to put every demand on one path of open links. */
function leastByTrial(problem: RoutingProblem): number {
  const { graph, capacity, demands } = problem;
  let routings: Route[][] = [[]];
  for (const { source, target } of demands) {
    const paths = allPaths(graph, source, target).filter((path) =>
      path.every((arc) => capacity[graph.link[arc]!]! > 0),
    );
    // A demand without a way bounds nothing.
    routings = routings.flatMap((routing) => (paths.length === 0 ? [null] : paths).map((path) => [...routing, path]));
  }
  return Math.min(...routings.map((routing) => measureRoutes(problem, routing).maxUtilization));
}

function expectValid(problem: RoutingProblem, routes: readonly Route[]) {
  for (const [at, route] of routes.entries()) {
    if (route === null) continue;
    const { source, target } = problem.demands[at]!;
    expect(problem.graph.from[route[0]!]).toBe(source);
    expect(problem.graph.to[route.at(-1)!]).toBe(target);
    for (const [place, arc] of route.entries())
      if (place > 0) expect(problem.graph.from[arc]).toBe(problem.graph.to[route[place - 1]!]);
    expect(new Set(route.map((arc) => problem.graph.to[arc])).size).toBe(route.length);
  }
}

describe('route optimisation', () => {
  test('paths are valid, nothing is worse than before, no routing beats the bound', async () => {
    await fc.assert(
      fc.asyncProperty(problems, async (problem) => {
        const before = latencyRoutes(problem);
        const found = await optimizeRoutes(problem, before, options);
        expectValid(problem, found.routes);
        expect(found.before).toEqual(measureRoutes(problem, before));
        expect(found.after).toEqual(measureRoutes(problem, found.routes));
        expect(found.score).toBeLessThanOrEqual(found.scoreBefore);
        expectNoWorse(found.after, found.before);
        const least = leastByTrial(problem);
        expect(found.lowerBound).toBeLessThanOrEqual(least * (1 + 1e-9));
        expect(found.isBoundTight).toBe(true);
        if (found.isOptimal) expect(found.after.maxUtilization).toBeCloseTo(least, 3);
        if (found.proof?.kind === 'CUT') {
          const side = new Uint8Array(problem.graph.nodeCount);
          for (const node of found.proof.nodes) side[node] = 1;
          // Of demands that nothing joins only those that leave the side are told.
          if (found.proof.capacityMbps > 0) expect({ kind: 'CUT', ...measureCut(problem, side) }).toEqual(found.proof);
        }
        if (found.proof !== null) {
          expect(found.proof.demandedMbps).toBeGreaterThan(found.proof.capacityMbps);
          expect(least > 1 || found.after.unroutedMbps > 0).toBe(true);
        }
      }),
      { numRuns: 150 },
    );
  });

  test('whenever time ends the search, no routing beats the bound, and its kind is told', async () => {
    const kinds = new Set<string>();
    await fc.assert(
      fc.asyncProperty(problems, fc.integer({ min: 0, max: 40 }), async (problem, steps) => {
        // A clock that goes on with each look ends it anywhere.
        let looks = 0;
        const clock = { timeBudgetMs: steps, now: () => looks++ };
        const found = await optimizeRoutes(problem, latencyRoutes(problem), { ...options, ...clock });
        const least = leastByTrial(problem);
        expect(found.lowerBound).toBeLessThanOrEqual(least * (1 + 1e-9));
        const split = await boundUtilization(problem, { isOver: () => false, start: latencyRoutes(problem) });
        // What is said of split routings too is no more than they reach.
        if (found.boundKind !== 'ONE_PATH') expect(found.lowerBound).toBeLessThanOrEqual(split.reached * (1 + 1e-9));
        expect(found.gap).toBeCloseTo(
          found.lowerBound > 0 ? Math.max(0, found.after.maxUtilization / found.lowerBound - 1) : 0,
          9,
        );
        kinds.add(found.boundKind);
        if (found.feasibility === 'FEASIBLE') expect(found.after.maxUtilization).toBeLessThanOrEqual(1 + 1e-9);
        if (found.feasibility === 'INFEASIBLE') expect(least > 1 || found.after.unroutedDemands > 0).toBe(true);
      }),
      { numRuns: 300 },
    );
    expect([...kinds].sort()).toEqual(['CUT', 'LINEAR_PROGRAM', 'LINK_PRICES', 'ONE_PATH']);
  });

  test('a thousand nodes: the bound is of what routings reach, not of a program that time ended', async () => {
    // A ring with chords; the greatest demand alone fills a tenth of its links.
    const random = createRandom(5);
    const draw = (most: number) => Math.floor(random() * most);
    const links = Array.from({ length: 4_000 }, (_, at) => ({
      source: at % 1_000,
      target: at < 1_000 ? (at + 1) % 1_000 : (at + 2 + draw(997)) % 1_000,
      isTwoWay: true,
    }));
    const demands = Array.from({ length: 200 }, (_, at) => {
      const source = draw(1_000);
      return { source, target: (source + 1 + draw(999)) % 1_000, mbps: at === 0 ? 1_000 : 100 + draw(400) };
    });
    const problem: RoutingProblem = {
      ...{ graph: createDigraph(1_000, links), demands, capacity: new Float64Array(4_000).fill(10_000) },
      ...{ latencyMs: Float64Array.from(links, () => 1 + draw(20)), costPerGb: new Float64Array(4_000) },
    };
    // Each look at the clock is a step, so that it does not matter how fast the machine is.
    let looks = 0;
    const found = await optimizeRoutes(problem, latencyRoutes(problem), {
      ...{ ...options, timeBudgetMs: 6_000, now: () => looks++ },
    });
    expect([found.boundKind, found.lowerBound]).toEqual(['ONE_PATH', 0.1]);
    expect(found.after.maxUtilization).toBeLessThanOrEqual(0.1 * 1.05);
    expect(found.before.maxUtilization).toBeGreaterThan(0.1 * 1.5);
  });

  test('whatever the goals and the routes before, neither utilisation nor congestion nor what is unrouted gets worse', async () => {
    const seen = { better: 0, same: 0 };
    const weight = fc.integer({ min: 0, max: 2 });
    const anyGoals = fc.record({ latency: weight, throughput: weight, balance: weight, cost: weight });
    const ways = fc.array(fc.nat(6), { minLength: 3, maxLength: 3 });
    await fc.assert(
      fc.asyncProperty(problems, anyGoals, ways, fc.boolean(), async (drawn, wanted, way, isHard) => {
        const costPerGb = drawn.latencyMs.map((latency) => (latency * 3) % 5);
        const problem = { ...drawn, costPerGb };
        const { graph, capacity, demands } = problem;
        const before = demands.map(({ source, target }, at): Route => {
          const paths = allPaths(graph, source, target);
          const open = paths.filter((path) => path.every((arc) => capacity[graph.link[arc]!]! > 0));
          // Sometimes there is no route before, though there is one to be found.
          return open[way[at]! % (open.length + 1)] ?? null;
        });
        const found = await optimizeRoutes(problem, before, { ...options, goals: wanted, isHard });
        expectNoWorse(found.after, measureRoutes(problem, before));
        expect(found.after).toEqual(measureRoutes(problem, found.routes));
        expect(found.score).toBeLessThanOrEqual(found.scoreBefore);
        seen[found.score < found.scoreBefore ? 'better' : 'same'] += 1;
      }),
      { numRuns: 400 },
    );
    expect(seen.better).toBeGreaterThan(40);
  });

  test('a shorter way that fills a link more is not taken for its latency alone', async () => {
    // Two ways between the same ends: the one of less latency has half the capacity.
    const graph = createDigraph(
      2,
      [0, 1].map(() => ({ source: 0, target: 1, isTwoWay: true })),
    );
    const problem: RoutingProblem = {
      ...{ graph, capacity: Float64Array.from([20, 10]), latencyMs: Float64Array.from([5, 1]) },
      ...{ costPerGb: new Float64Array(2), demands: [{ source: 0, target: 1, mbps: 3 }] },
    };
    const byLatency = { latency: 1, throughput: 0, balance: 0, cost: 0 };
    const long: Route = [[...graph.link.keys()].find((arc) => graph.link[arc] === 0 && graph.from[arc] === 0)!];
    const found = await optimizeRoutes(problem, [long], { ...options, goals: byLatency });
    expect([found.moved, found.after.maxUtilization]).toEqual([[], 0.15]);
    // Where there is as much room the shorter one is taken.
    const even = await optimizeRoutes({ ...problem, capacity: Float64Array.from([20, 20]) }, [long], {
      ...{ ...options, goals: byLatency },
    });
    expect([even.moved, even.after.meanLatencyMs]).toEqual([[0], 1]);
  });

  test('no more demands move than allowed, and no link is filled past its capacity where that is hard', async () => {
    await fc.assert(
      fc.asyncProperty(problems, fc.nat(3), async (problem, maxMoves) => {
        const before = problem.demands.map((): Route => null);
        const found = await optimizeRoutes(problem, before, { ...options, maxMoves, isHard: true });
        expect(found.moved.length).toBeLessThanOrEqual(maxMoves);
        for (const [link, load] of loadsOf(problem, found.routes).entries())
          expect(load).toBeLessThanOrEqual(problem.capacity[link]! * (1 + 1e-9));
      }),
      { numRuns: 100 },
    );
  });

  test('bounds of latency are kept, also where the cheapest way breaks them', async () => {
    await fc.assert(
      fc.asyncProperty(problems, fc.integer({ min: 1, max: 10 }), async (drawn, maxLatencyMs) => {
        const problem = { ...drawn, demands: drawn.demands.map((demand) => ({ ...demand, maxLatencyMs })) };
        const found = await optimizeRoutes(problem, latencyRoutes(problem), options);
        for (const route of found.routes)
          if (route !== null)
            expect(
              route.reduce((sum, arc) => sum + problem.latencyMs[problem.graph.link[arc]!]!, 0),
            ).toBeLessThanOrEqual(maxLatencyMs + 1e-9);
      }),
      { numRuns: 100 },
    );
  });

  test('what cannot be served comes with the cut that proves it', async () => {
    // Two halves joined by two links of 10; 25 have to cross.
    const pairs = [
      [0, 1],
      [1, 2],
      [3, 4],
      [4, 5],
      [0, 3],
      [2, 5],
    ] as const;
    const graph = createDigraph(
      6,
      pairs.map(([source, target]) => ({ source, target, isTwoWay: true })),
    );
    const problem: RoutingProblem = {
      graph,
      capacity: Float64Array.from([100, 100, 100, 100, 10, 10]),
      latencyMs: new Float64Array(6).fill(1),
      costPerGb: new Float64Array(6),
      demands: [
        { source: 1, target: 4, mbps: 15 },
        { source: 5, target: 2, mbps: 10 },
        { source: 0, target: 2, mbps: 5 },
      ],
    };
    const { proof, lowerBound, boundKind } = await optimizeRoutes(problem, latencyRoutes(problem), options);
    // Not even the 15 fit on one path; the cut says more of what would help.
    expect([lowerBound, boundKind]).toEqual([1.5, 'ONE_PATH']);
    expect(proof).toMatchObject({
      ...{ kind: 'CUT', links: [4, 5], capacityMbps: 20, demandedMbps: 25, demands: [0, 1] },
    });
  });

  test('the same seed gives the same routes', async () => {
    await fc.assert(
      fc.asyncProperty(problems, fc.nat(100), async (problem, seed) => {
        const [one, other] = await Promise.all(
          [1, 2].map(() => optimizeRoutes(problem, latencyRoutes(problem), { ...options, seed })),
        );
        expect(other).toEqual(one);
      }),
      { numRuns: 30 },
    );
  });

  const hasData = networkFiles('sndlib') !== null;
  test.skipIf(!hasData)('germany50 comes within 1.05 of the bound at the least capacity that suffices', async () => {
    const { nodes, links, demands } = readSndlib(readNetworkFile('sndlib', 'germany50.json'));
    const graph = createDigraph(nodes.length, links);
    const problemOf = (capacity: number): RoutingProblem => ({
      graph,
      capacity: new Float64Array(graph.linkCount).fill(capacity),
      latencyMs: new Float64Array(graph.linkCount).fill(1),
      costPerGb: new Float64Array(graph.linkCount),
      demands,
    });
    const unit = problemOf(1);
    const bound = await boundUtilization(unit, { isOver: () => false, start: latencyRoutes(unit) });
    expect(bound.isTight).toBe(true);
    const problem = problemOf(40 * Math.ceil(bound.maxUtilization / 40));
    const found = await optimizeRoutes(problem, latencyRoutes(problem), options);
    expectValid(problem, found.routes);
    expect(found.lowerBound).toBeLessThanOrEqual(1);
    expect(found.after.maxUtilization).toBeLessThanOrEqual(1.05 * found.lowerBound);
    expect(found.after.unroutedDemands).toBe(0);
  });
});

test('the congestion cost is convex, with the slopes of Fortz and Thorup', () => {
  const slope = (utilization: number) =>
    (congestionCost(utilization + 1e-6, 1) - congestionCost(utilization, 1)) / 1e-6;
  expect([0.1, 0.5, 0.8, 0.95, 1.05, 1.5].map((at) => Math.round(slope(at)))).toEqual([1, 3, 10, 70, 500, 5_000]);
  expect(congestionCost(0, 0)).toBe(0);
  expect(congestionCost(1, 0)).toBe(Number.POSITIVE_INFINITY);
  expect(congestionCost(50, 100)).toBeCloseTo(100 * congestionCost(0.5, 1), 9);
});
