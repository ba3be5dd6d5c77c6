import fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import {
  computeLevels,
  computeSchedule,
  createNetwork,
  findDanglingSteps,
  findRedundantDependencies,
  findTransitiveEdges,
  findWidestAntichain,
  profileParallelism,
  requireTopology,
} from '../../../subgraphs/plan/network/index.ts';
import { type NetworkInput, naiveReach, naiveSchedule, networks, parseNetwork } from './networks.ts';

const build = ({ steps, dependencies }: NetworkInput) => createNetwork(steps, dependencies);
const without = ({ steps, dependencies }: NetworkInput, edges: readonly number[]): NetworkInput => ({
  steps,
  dependencies: dependencies.filter((_, edge) => !edges.includes(edge)),
});

describe('transitive reduction', () => {
  it('keeps what every step reaches and leaves no edge that could still go', () => {
    fc.assert(
      fc.property(networks({ maxSteps: 12 }), (input) => {
        const network = build(input);
        const reduced = without(input, findTransitiveEdges(network, requireTopology(network)));
        expect(naiveReach(reduced)).toEqual(naiveReach(input));
        for (const edge of reduced.dependencies.keys())
          expect(naiveReach(without(reduced, [edge]))).not.toEqual(naiveReach(input));
      }),
    );
  });

  it('works across the blocks of its bit matrix', () => {
    const count = 9_000;
    const steps = Array.from({ length: count }, (_, n) => ({ id: `s${n}`, duration: 1 }));
    const edge = (source: number, target: number) => ({
      id: `${source}>${target}`,
      source: `s${source}`,
      target: `s${target}`,
      type: 'finish_to_start' as const,
      lag: 0,
    });
    const dependencies = [
      ...Array.from({ length: count - 1 }, (_, n) => edge(n, n + 1)),
      edge(0, count - 1),
      edge(10, 4_200),
      edge(4_000, 4_400),
      edge(8_000, 8_999),
    ];
    const network = createNetwork(steps, dependencies);
    expect(findTransitiveEdges(network, requireTopology(network))).toEqual([8_999, 9_000, 9_001, 9_002]);
    expect(findRedundantDependencies(network)).toEqual([8_999, 9_000, 9_001, 9_002]);
  });
});

describe('redundant dependencies', () => {
  it('move nothing when they go, whatever the durations', () => {
    const durations = fc.array(fc.nat({ max: 9 }), { minLength: 9, maxLength: 9 });
    fc.assert(
      fc.property(networks({ minLag: -1, maxLag: 1 }), durations, (input, others) => {
        const redundant = findRedundantDependencies(build(input));
        for (const steps of [input.steps, input.steps.map((step, at) => ({ ...step, duration: others[at]! }))]) {
          const varied = { ...input, steps };
          for (const stretch of [false, true])
            expect(naiveSchedule(without(varied, redundant), stretch)).toEqual(naiveSchedule(varied, stretch));
        }
      }),
      { numRuns: 500 },
    );
  });

  it('are those of the transitive reduction when all are finish to start without lag', () => {
    fc.assert(
      fc.property(networks({ types: ['finish_to_start'], minLag: 0, maxLag: 0 }), (input) => {
        const network = build(input);
        expect(findRedundantDependencies(network)).toEqual(findTransitiveEdges(network, requireTopology(network)));
      }),
    );
  });

  test('a transitive edge that carries a lag is none', () => {
    const input = parseNetwork('a:1 b:1<a c:1<b');
    const lagged = { id: 'x', source: 'a', target: 'c', type: 'finish_to_start', lag: 5 } as const;
    const network = createNetwork(input.steps, [...input.dependencies, lagged]);
    expect(findTransitiveEdges(network, requireTopology(network))).toEqual([2]);
    expect(findRedundantDependencies(network)).toEqual([]);
  });
});

describe('width', () => {
  it('is that of the largest set of steps none of which reaches another', () => {
    fc.assert(
      fc.property(networks({ maxSteps: 10 }), (input) => {
        const reach = naiveReach(input);
        const independent = (ids: readonly string[]) =>
          ids.every((id) => ids.every((other) => !reach.get(id)!.has(other)));
        const ids = input.steps.map(({ id }) => id);
        let largest = 0;
        for (let mask = 1; mask < 1 << ids.length; mask += 1) {
          const chosen = ids.filter((_, at) => mask & (1 << at));
          if (chosen.length > largest && independent(chosen)) largest = chosen.length;
        }
        const network = build(input);
        const antichain = findWidestAntichain(network).map((node) => network.ids[node]!);
        expect(independent(antichain)).toBe(true);
        expect(antichain).toHaveLength(largest);
        const { sizes } = computeLevels(network, requireTopology(network));
        expect(Math.max(...sizes)).toBeLessThanOrEqual(largest);
        const odd = (id: string) => ids.indexOf(id) % 2 === 1;
        let largestOdd = 0;
        for (let mask = 1; mask < 1 << ids.length; mask += 1) {
          const chosen = ids.filter((_, at) => mask & (1 << at));
          if (chosen.length > largestOdd && chosen.every(odd) && independent(chosen)) largestOdd = chosen.length;
        }
        const among = findWidestAntichain(network, (node) => odd(network.ids[node]!));
        expect(among.map((node) => network.ids[node]!).every(odd)).toBe(true);
        expect(among).toHaveLength(largestOdd);
      }),
    );
  });

  test('two paths through one step count as two', () => {
    const network = build(parseNetwork('a:1 b:1 m:1<a,b c:1<m d:1<m'));
    expect(findWidestAntichain(network)).toHaveLength(2);
  });

  test('what does not count passes on who waits for whom', () => {
    const network = build(parseNetwork('begin:0 x:1 a:1<begin,x b:1<begin'));
    expect(findWidestAntichain(network)).toHaveLength(2);
    const counts = (node: number) => ['x', 'a'].includes(network.ids[node]!);
    expect(findWidestAntichain(network, counts)).toHaveLength(1);
  });

  test('levels, profile, peak and mean of a diamond', () => {
    const network = build(parseNetwork('a:2 b:4<a c:1<a d:3<b,c'));
    const { levelSizes, width, peak, mean, profile } = profileParallelism(network, computeSchedule(network));
    expect({ levels: [...levelSizes], width, peak, mean }).toEqual({
      levels: [1, 2, 1],
      width: 2,
      peak: 2,
      mean: 10 / 9,
    });
    expect([...profile.times]).toEqual([0, 2, 3, 9]);
    expect([...profile.values]).toEqual([1, 2, 1, 0]);
  });
});

test('loose ends are told apart', () => {
  const input = parseNetwork('a:1 b:1<a c:1<b alone:1 late:1');
  const network = createNetwork(input.steps, [
    ...input.dependencies,
    { id: 'x', source: 'late', target: 'c', type: 'start_to_start', lag: 0 },
    { id: 'y', source: 'a', target: 'late', type: 'finish_to_finish', lag: 0 },
  ]);
  expect(findDanglingSteps(network)).toEqual({
    isolated: ['alone'],
    withoutPredecessor: ['a'],
    withoutSuccessor: ['c'],
    looseStart: ['late'],
    looseFinish: ['late'],
  });
});
