import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createDigraph } from '../../../subgraphs/network/graph/digraph.ts';
import { createRandom } from '../../../subgraphs/network/graph/random.ts';
import { shortestTree } from '../../../subgraphs/network/graph/shortestPaths.ts';
import { groupDemands } from '../../../subgraphs/network/routing/demandGroups.ts';
import { measureCut, measurePrices, proveInfeasible } from '../../../subgraphs/network/routing/infeasibility.ts';
import { latencyRoutes } from '../../../subgraphs/network/routing/initialRoutes.ts';
import { boundUtilization } from '../../../subgraphs/network/routing/lowerBound.ts';
import { type OptimizeOptions, optimizeRoutes } from '../../../subgraphs/network/routing/optimize.ts';
import type { Demand, RoutingProblem } from '../../../subgraphs/network/routing/problem.ts';
import { findWorstCut } from '../../../subgraphs/network/routing/worstCut.ts';
import { allPaths, smallGraphs } from '../graph/graphs.ts';

const goals = { latency: 0.2, throughput: 1, balance: 1, cost: 0 };
const options: OptimizeOptions = { goals, seed: 1, timeBudgetMs: 20_000, maxMoves: Infinity, isHard: false };

type Pair = readonly [number, number];

function problemOf(
  nodes: number,
  links: readonly Pair[],
  demands: readonly Demand[],
  capacity: readonly number[] = links.map(() => 1),
): RoutingProblem {
  const graph = createDigraph(
    nodes,
    links.map(([source, target]) => ({ source, target, isTwoWay: true })),
  );
  return {
    ...{ graph, demands, capacity: Float64Array.from(capacity) },
    latencyMs: new Float64Array(links.length).fill(1),
    costPerGb: new Float64Array(links.length),
  };
}

const demand = (source: number, target: number, mbps = 1): Demand => ({ source, target, mbps });

/** Every cut there is: the most that has to cross one, by what can. */
function worstByTrial(problem: RoutingProblem): number {
  let worst = 0;
  for (let mask = 1; mask < 2 ** (problem.graph.nodeCount - 1); mask += 1) {
    const side = Uint8Array.from({ length: problem.graph.nodeCount }, (_, node) => (mask >> node) & 1);
    const { capacityMbps, demandedMbps } = measureCut(problem, side);
    // Of demands that nothing joins no link bears anything.
    if (capacityMbps > 0) worst = Math.max(worst, demandedMbps / capacityMbps);
  }
  return worst;
}

/** Links drawn one after the other, the first of them a tree; demands between nodes drawn at random. */
function drawnProblem(nodes: number, seed: number): RoutingProblem {
  const random = createRandom(seed);
  const draw = (most: number) => Math.floor(random() * most);
  const links: Pair[] = [];
  for (let node = 1; node < nodes; node += 1) links.push([draw(node), node]);
  while (links.length < nodes * 2) {
    const [one, other] = [draw(nodes), draw(nodes)];
    if (one !== other) links.push([one, other]);
  }
  const demands = Array.from({ length: nodes * 2 }, () => {
    const source = draw(nodes);
    return demand(source, (source + 1 + draw(nodes - 1)) % nodes, 1 + draw(5));
  });
  return problemOf(
    nodes,
    links,
    demands,
    links.map(() => 2 + draw(9)),
  );
}

/**
 * Okamura and Seymour (1981): two nodes joined to each of three others by links of 1; demands of 1 between the two, and between each
 * pair of the three. No cut is exceeded; but each demand takes two links at least, 8 of 6.
 */
const okamuraSeymour = problemOf(
  5,
  [0, 1].flatMap((hub) => [2, 3, 4].map((leaf): Pair => [hub, leaf])),
  [demand(0, 1), demand(2, 3), demand(3, 4), demand(2, 4)],
);

/** Demands of small whole numbers on small graphs of either kind of links, some of them closed. */
const problems = smallGraphs({ most: 6 }).chain(({ graph, weight }) =>
  fc
    .array(fc.tuple(fc.nat(graph.nodeCount - 1), fc.integer({ min: 1, max: graph.nodeCount - 1 }), fc.nat(6)), {
      ...{ minLength: 1, maxLength: 6 },
    })
    .map(
      (drawn): RoutingProblem => ({
        ...{ graph, capacity: Float64Array.from(weight, (value) => value * 2) },
        ...{ latencyMs: new Float64Array(graph.linkCount).fill(1), costPerGb: new Float64Array(graph.linkCount) },
        demands: drawn.map(([source, shift, more]) => demand(source, (source + shift) % graph.nodeCount, 1 + more)),
      }),
    ),
);

const isSplitInfeasible = async (problem: RoutingProblem): Promise<boolean> => {
  const parted = problem.demands.some(({ source, target }) => openPaths(problem, source, target).length === 0);
  const start = problem.demands.map(() => null);
  return parted || (await boundUtilization(problem, { isOver: () => false, start })).maxUtilization > 1 + 1e-6;
};

function openPaths({ graph, capacity }: RoutingProblem, source: number, target: number): number[][] {
  return allPaths(graph, source, target).filter((path) => path.every((arc) => capacity[graph.link[arc]!]! > 0));
}

describe('demands that do not fit', () => {
  test('where no cut is exceeded the prices of links prove it', async () => {
    expect(worstByTrial(okamuraSeymour)).toBe(1);
    const { proof, feasibility, lowerBound } = await optimizeRoutes(
      okamuraSeymour,
      latencyRoutes(okamuraSeymour),
      options,
    );
    expect(lowerBound).toBeCloseTo(4 / 3, 6);
    expect(feasibility).toBe('INFEASIBLE');
    expect(proof).toMatchObject({ kind: 'PRICES', links: [0, 1, 2, 3, 4, 5], demands: [0, 1, 2, 3] });
    expect(proof!.demandedMbps / proof!.capacityMbps).toBeCloseTo(4 / 3, 6);
  });

  test('of two cuts that are exceeded in small and large networks the worse is told', async () => {
    // Rings of ten joined by two links of 3; demands of 4 and 5 between them, beside ones inside that fit.
    const ring = (from: number) => Array.from({ length: 10 }, (_, at): Pair => [from + at, from + ((at + 1) % 10)]);
    const links: Pair[] = [...ring(0), ...ring(10), [0, 10], [5, 15]];
    const demands = [demand(2, 12, 4), demand(17, 7, 5), demand(1, 4, 2)];
    const capacity = links.map((_, at) => (at < 20 ? 20 : 3));
    const { proof } = await optimizeRoutes(
      problemOf(20, links, demands, capacity),
      demands.map(() => null),
      options,
    );
    expect(proof).toMatchObject({
      ...{ kind: 'CUT', links: [20, 21], capacityMbps: 6, demandedMbps: 9, demands: [0, 1] },
    });
  });

  test('a demand that fits on no path, though parts of it would', async () => {
    const links: Pair[] = [
      [0, 1],
      [1, 3],
      [0, 2],
      [2, 3],
    ];
    const problem = problemOf(4, links, [demand(0, 3, 3)], [2, 4, 2, 4]);
    const { proof, feasibility, lowerBound, boundKind } = await optimizeRoutes(
      problem,
      latencyRoutes(problem),
      options,
    );
    expect([feasibility, boundKind, lowerBound]).toEqual(['INFEASIBLE', 'ONE_PATH', 1.5]);
    expect(proof).toMatchObject({ kind: 'ONE_PATH', nodes: [0], links: [0, 2], capacityMbps: 2, demandedMbps: 3 });
  });

  test('ends that nothing open joins are parted by a cut without capacity', async () => {
    const problem = problemOf(
      4,
      [
        [0, 1],
        [1, 2],
        [2, 3],
      ],
      [demand(0, 1), demand(3, 0, 2)],
      [5, 0, 5],
    );
    const { proof, feasibility } = await optimizeRoutes(problem, latencyRoutes(problem), options);
    expect(feasibility).toBe('INFEASIBLE');
    expect(proof).toEqual({
      ...{ kind: 'CUT', nodes: [2, 3], links: [1], capacityMbps: 0, demandedMbps: 2, demands: [1] },
    });
  });

  test('what was not decided is told so, and what fits only if it is split too', async () => {
    // Three demands of 2 over two paths of 3: 6 fit split, on one path each two of them are 4.
    const links: Pair[] = [
      [0, 1],
      [1, 3],
      [0, 2],
      [2, 3],
    ];
    const three = problemOf(4, links, [demand(0, 3, 2), demand(0, 3, 2), demand(0, 3, 2)], [3, 3, 3, 3]);
    const split = await optimizeRoutes(three, latencyRoutes(three), options);
    expect([split.feasibility, split.proof, split.after.maxUtilization]).toEqual(['SPLIT_ONLY', null, 4 / 3]);
    const late = await optimizeRoutes(three, latencyRoutes(three), { ...options, timeBudgetMs: 0 });
    expect([late.feasibility, late.proof]).toEqual(['UNKNOWN', null]);
    const bounded = { ...three, demands: three.demands.map((one) => ({ ...one, maxLatencyMs: 2 })) };
    expect((await optimizeRoutes(bounded, latencyRoutes(bounded), options)).feasibility).toBe('UNKNOWN');
  });

  test('a demand whose quickest way takes too long even on the empty network is proved by that way', async () => {
    // Quick but narrow over 1, slow and wide over 2.
    const links: Pair[] = [
      [0, 1],
      [1, 3],
      [0, 2],
      [2, 3],
    ];
    const given = (mbps: number, maxLatencyMs: number): RoutingProblem => ({
      ...problemOf(4, links, [demand(0, 1, 1), { ...demand(0, 3, mbps), maxLatencyMs }], [2, 2, 9, 9]),
      latencyMs: Float64Array.from([1, 1, 5, 5]),
    });
    const decided = async (problem: RoutingProblem) => {
      const { feasibility, proof } = await optimizeRoutes(problem, latencyRoutes(problem), options);
      return { feasibility, proof };
    };
    expect(await decided(given(1, 2))).toMatchObject({ feasibility: 'FEASIBLE', proof: null });
    expect(await decided(given(1, 1.5))).toEqual({
      feasibility: 'INFEASIBLE',
      proof: {
        ...{ kind: 'LATENCY', nodes: [0, 1, 3], links: [0, 1], latencyMs: 2, maxLatencyMs: 1.5 },
        ...{ capacityMbps: 2, demandedMbps: 1, demands: [1] },
      },
    });
    // The quick way does not carry it at all.
    expect((await decided(given(3, 9))).proof).toMatchObject({
      kind: 'LATENCY',
      links: [2, 3],
      latencyMs: 10,
      capacityMbps: 9,
    });
    expect(await decided(given(3, 10))).toMatchObject({ feasibility: 'FEASIBLE', proof: null });
  });

  test('property: by latency a proof exactly where no path that carries a demand is quick enough', () => {
    let proved = 0;
    fc.assert(
      fc.property(
        problems,
        fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 12, maxLength: 12 }),
        (problem, most) => {
          const bounded: RoutingProblem = {
            ...problem,
            demands: problem.demands.map((one, at) => ({ ...one, maxLatencyMs: most[at % 12]! / 2 })),
          };
          const groups = groupDemands(bounded);
          const proof = proveInfeasible(bounded, {
            groups,
            side: null,
            prices: new Float64Array(bounded.graph.linkCount),
          });
          const isLate = bounded.demands.some(({ source, target, mbps, maxLatencyMs }) => {
            const carrying = { ...bounded, capacity: bounded.capacity.map((limit) => (limit >= mbps ? limit : 0)) };
            const paths = source === target || mbps <= 0 ? [] : openPaths(carrying, source, target);
            return paths.length > 0 && paths.every((path) => path.length > maxLatencyMs!);
          });
          if (proof === null || proof.kind === 'LATENCY') expect(proof !== null).toBe(isLate);
          if (proof?.kind !== 'LATENCY') return;
          proved += 1;
          // The way is one, it is open, and it takes what it says.
          expect(proof.latencyMs).toBe(proof.links.length);
          expect(proof.latencyMs).toBeGreaterThan(proof.maxLatencyMs);
          const { source, target } = bounded.demands[proof.demands[0]!]!;
          expect([proof.nodes[0], proof.nodes.at(-1)]).toEqual([source, target]);
        },
      ),
      { numRuns: 300, seed: 5 },
    );
    expect(proved).toBeGreaterThan(10);
  });

  /** Whatever proves something is told and true, a cut wherever one is exceeded, and nothing where all fits. */
  const seen = { CUT: 0, PRICES: 0, ONE_PATH: 0, LATENCY: 0, none: 0 };
  const expectDecided = async (problem: RoutingProblem) => {
    const { proof, feasibility } = await optimizeRoutes(problem, latencyRoutes(problem), options);
    seen[proof?.kind ?? 'none'] += 1;
    const isParted = problem.demands.some(({ source, target }) => openPaths(problem, source, target).length === 0);
    const isCutExceeded = isParted || worstByTrial(problem) > 1 + 1e-9;
    expect(proof?.kind === 'CUT').toBe(isCutExceeded);
    expect(proof === null || proof.kind === 'ONE_PATH').toBe(!(await isSplitInfeasible(problem)));
    expect(feasibility === 'INFEASIBLE').toBe(proof !== null);
    if (proof === null) return;
    expect(proof.demandedMbps).toBeGreaterThan(proof.capacityMbps);
    expectProved(problem, proof);
  };

  test('property: a proof wherever the program says so, a cut wherever one is exceeded, and none elsewhere', async () => {
    await fc.assert(fc.asyncProperty(problems, expectDecided), { numRuns: 300, seed: 11 });
    expect(seen.CUT * seen.ONE_PATH * seen.none).toBeGreaterThan(0);
  });

  test('property: so it is where many demands exceed no cut and still do not fit', async () => {
    // The network of Okamura and Seymour with drawn capacities and demands.
    const links = [0, 1].flatMap((hub) => [2, 3, 4].map((leaf): Pair => [hub, leaf]));
    const amounts = (count: number, min: number) =>
      fc.array(fc.integer({ min, max: 6 }), { minLength: count, maxLength: count });
    seen.PRICES = 0;
    await fc.assert(
      fc.asyncProperty(amounts(6, 4), amounts(4, 3), (capacity, mbps) =>
        expectDecided(
          problemOf(
            ...([5, links] as const),
            okamuraSeymour.demands.map((one, at) => ({ ...one, mbps: mbps[at]! })),
            capacity,
          ),
        ),
      ),
      { numRuns: 150, seed: 3 },
    );
    expect(seen.PRICES).toBeGreaterThan(10);
  });

  test('what the program says is never believed: wrong prices and cuts prove nothing', async () => {
    await fc.assert(
      fc.asyncProperty(problems, fc.infiniteStream(fc.nat(20)), fc.nat(63), async (problem, drawn, mask) => {
        const prices = Float64Array.from({ length: problem.graph.linkCount }, () => drawn.next().value!);
        const side = Uint8Array.from({ length: problem.graph.nodeCount }, (_, node) => (mask >> node) & 1);
        const proof = proveInfeasible(problem, { side, prices });
        if (proof !== null && proof.kind !== 'ONE_PATH') expect(await isSplitInfeasible(problem)).toBe(true);
      }),
      { numRuns: 300 },
    );
    const bad = Float64Array.from([Number.NaN, Number.POSITIVE_INFINITY, 0, 0, 0, 0]);
    expect(proveInfeasible(okamuraSeymour, { side: null, prices: bad })).toBe(null);
    expect(measurePrices(okamuraSeymour, new Float64Array(6))).toBe(null);
  });
});

/** Recomputes a proof from what is told of it alone. */
function expectProved(problem: RoutingProblem, proof: NonNullable<ReturnType<typeof proveInfeasible>>): void {
  const { graph, capacity, demands } = problem;
  const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);
  if (proof.kind === 'PRICES') {
    const price = new Float64Array(graph.linkCount);
    for (const [at, link] of proof.links.entries()) price[link] = proof.prices[at]!;
    const length = Float64Array.from(graph.link, (link) => (capacity[link]! > 0 ? price[link]! : Infinity));
    const paid = demands.map(
      ({ source, target, mbps }) => mbps * shortestTree(graph, source, length).distance[target]!,
    );
    expect(sum(proof.links.map((link) => capacity[link]! * price[link]!))).toBeCloseTo(proof.capacityMbps, 6);
    expect(sum(paid)).toBeCloseTo(proof.demandedMbps, 6);
    return;
  }
  const side = new Set(proof.nodes);
  for (const at of proof.demands) {
    const { source, target } = demands[at]!;
    expect(side.has(source)).not.toBe(side.has(target));
    // No path gets past the links that are named.
    for (const path of allPaths(graph, source, target))
      expect(path.some((arc) => proof.links.includes(graph.link[arc]!))).toBe(true);
  }
  const of = proof.links.map((link) => capacity[link]!);
  expect(proof.kind === 'CUT' ? sum(of) : Math.max(0, ...of)).toBe(proof.capacityMbps);
  expect(sum(proof.demands.map((at) => demands[at]!.mbps))).toBe(proof.demandedMbps);
}

describe('the search for the worst cut', () => {
  const search = async (problem: RoutingProblem) => {
    const { prices } = await boundUtilization(problem, { isOver: () => false, start: latencyRoutes(problem) });
    const of = { groups: groupDemands(problem), prices, isOver: () => false, exhaustiveUpTo: 0 };
    return findWorstCut(problem, of);
  };

  test('property: what it names is there, and in small networks it is the worst', async () => {
    await fc.assert(
      fc.asyncProperty(problems, async (drawn) => {
        // Ends that nothing joins bear no link's load: they are told otherwise.
        const joined = drawn.demands.filter(({ source, target }) => openPaths(drawn, source, target).length > 0);
        const problem = { ...drawn, demands: joined };
        const groups = groupDemands(problem);
        const prices = new Float64Array(problem.graph.linkCount);
        const found = findWorstCut(problem, { groups, prices, isOver: () => false });
        expect(found?.ratio ?? 0).toBeCloseTo(worstByTrial(problem), 9);
        const late = findWorstCut(problem, { groups, prices, isOver: () => true, exhaustiveUpTo: 0 });
        for (const cut of [found, late]) {
          if (cut === null) continue;
          const { capacityMbps, demandedMbps } = measureCut(problem, cut.side);
          expect(demandedMbps / capacityMbps).toBeCloseTo(cut.ratio, 9);
        }
      }),
      { numRuns: 200 },
    );
  });

  test('networks too large to try every cut: of 40 drawn ones it finds the worst of each', async () => {
    const missed: number[] = [];
    for (let seed = 1; seed <= 40; seed += 1) {
      const problem = drawnProblem(13, seed);
      const worst = worstByTrial(problem);
      const found = await search(problem);
      expect(found!.ratio).toBeLessThanOrEqual(worst * (1 + 1e-9));
      if (found!.ratio < worst * (1 - 1e-9)) missed.push(seed);
    }
    expect(missed).toEqual([]);
  });
});
