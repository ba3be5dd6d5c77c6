import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Candidate, chooseMoves, type Room } from '../../../subgraphs/network/routing/chooseMoves.ts';
import { createGreatest } from '../../../subgraphs/network/routing/greatest.ts';
import { isNoWorse, measureRoutes } from '../../../subgraphs/network/routing/measures.ts';
import { createScore } from '../../../subgraphs/network/routing/optimize.ts';
import { loadsOf, type Route, type RoutingProblem } from '../../../subgraphs/network/routing/problem.ts';
import { allPaths, smallGraphs } from '../graph/graphs.ts';
import { expectNoWorse } from './noWorse.ts';

interface Drawn {
  readonly problem: RoutingProblem;
  readonly before: readonly Route[];
  readonly candidates: readonly Candidate[];
  /** By link, what it takes at most; never less than it has. */
  readonly limit: readonly number[];
}

const drawn = smallGraphs({ most: 5 }).chain(({ graph, weight }) =>
  fc
    .record({
      asked: fc.array(
        fc.record({
          source: fc.nat(graph.nodeCount - 1),
          shift: fc.integer({ min: 1, max: graph.nodeCount - 1 }),
          mbps: fc.integer({ min: 1, max: 4 }),
          ways: fc.tuple(fc.nat(7), fc.nat(7)),
        }),
        { minLength: 1, maxLength: 6 },
      ),
      room: fc.array(fc.nat(5), { minLength: graph.linkCount, maxLength: graph.linkCount }),
    })
    .map(({ asked, room }): Drawn => {
      const demands = asked.map(({ source, shift, mbps }) => ({
        ...{ source, target: (source + shift) % graph.nodeCount, mbps },
      }));
      const ways = demands.map(({ source, target }) => allPaths(graph, source, target));
      const before = asked.map((one, at) => ways[at]![one.ways[0] % Math.max(1, ways[at]!.length)] ?? null);
      const candidates = asked.flatMap((one, demand): Candidate[] => {
        const route = ways[demand]![one.ways[1] % Math.max(1, ways[demand]!.length)];
        return route === undefined || route.join() === before[demand]?.join() ? [] : [{ demand, route }];
      });
      const problem: RoutingProblem = {
        ...{ graph, demands, capacity: Float64Array.from(weight, (value) => 4 + value) },
        latencyMs: Float64Array.from(weight, (value) => 7 - value),
        costPerGb: Float64Array.from(weight),
      };
      const load = loadsOf(problem, before);
      return { problem, before, candidates, limit: room.map((more, link) => load[link]! + more) };
    }),
);

const goalsOf = fc.record({ latency: fc.nat(2), balance: fc.nat(2), throughput: fc.constant(1), cost: fc.nat(2) });

function openRoom({ problem: { graph, demands }, limit }: Drawn, load: Float64Array): Room {
  const linksOf = (route: Route) => (route ?? []).map((arc) => graph.link[arc]!);
  const swap = (demand: number, from: Route, to: Route) => {
    for (const link of linksOf(from)) load[link]! -= demands[demand]!.mbps;
    for (const link of linksOf(to)) load[link]! += demands[demand]!.mbps;
  };
  return {
    move(demand, from, to) {
      swap(demand, from, to);
      if (linksOf(to).every((link) => load[link]! <= limit[link]!)) return true;
      swap(demand, to, from);
      return false;
    },
    undo: swap,
  };
}

describe('moves that are chosen', () => {
  test('property: no more than allowed, within the room, better than before or none, and measured as they are', () => {
    const seen = { all: 0, some: 0, none: 0, alone: 0 };
    fc.assert(
      fc.property(drawn, goalsOf, fc.nat(6), (one, goals, most) => {
        const { problem, before, candidates, limit } = one;
        const choice = chooseMoves(problem, before, {
          ...{ candidates, goals, most, openRoom: () => openRoom(one, loadsOf(problem, before)) },
        });
        expect(choice.made.length).toBeLessThanOrEqual(most);
        expect(choice.made.every((made) => candidates.includes(made))).toBe(true);
        const routes = [...before];
        for (const { demand, route } of choice.made) routes[demand] = route;
        expect(choice.routes).toEqual(routes);
        for (const [link, load] of loadsOf(problem, routes).entries()) expect(load).toBeLessThanOrEqual(limit[link]!);
        const [was, is] = [measureRoutes(problem, before, 1), measureRoutes(problem, routes, 1)];
        expect([choice.before, choice.after]).toEqual([was, is]);
        const scoreOf = createScore(goals, was);
        if (choice.made.length > 0) expect(scoreOf(is)).toBeLessThan(scoreOf(was));
        expectNoWorse(is, was);
        // Where one move alone has room and is better, something is made.
        const isAnyGood = candidates.some((candidate) => {
          const alone = before.map((route, at) => (at === candidate.demand ? candidate.route : route));
          const fits = loadsOf(problem, alone).every((load, link) => load <= limit[link]!);
          const measured = measureRoutes(problem, alone, 1);
          return fits && isNoWorse(measured, was) && scoreOf(measured) < scoreOf(was) - 1e-6;
        });
        if (isAnyGood && most > 0) expect(choice.made.length).toBeGreaterThan(0);
        const isAll = choice.made.length === candidates.length;
        seen[choice.made.length === 0 ? 'none' : isAll ? 'all' : 'some'] += 1;
        seen.alone += Number(isAnyGood);
      }),
      { numRuns: 1_000, seed: 7 },
    );
    expect(Object.entries(seen).filter(([, runs]) => runs === 0)).toEqual([]);
  });
});

test('property: the greatest of values is kept as they change', () => {
  fc.assert(
    fc.property(
      fc.array(fc.nat(9), { maxLength: 9 }),
      fc.array(fc.tuple(fc.nat(8), fc.nat(9)), { maxLength: 30 }),
      (values, changes) => {
        const greatest = createGreatest(values);
        expect(greatest.value()).toBe(Math.max(0, ...values));
        const now = [...values];
        for (const [at, value] of changes.filter(([place]) => place < values.length)) {
          now[at] = value;
          greatest.set(at, value);
          expect(greatest.value()).toBe(Math.max(0, ...now));
        }
      },
    ),
  );
});
