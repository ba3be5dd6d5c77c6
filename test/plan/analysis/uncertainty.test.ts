import fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import { createBetaPert } from '../../../subgraphs/plan/analysis/betaPert.ts';
import {
  betaPertVariance,
  isThreePoint,
  pertMean,
  pertVariance,
  type ThreePoint,
  threePointOf,
} from '../../../subgraphs/plan/analysis/estimate.ts';
import { simulateFinish } from '../../../subgraphs/plan/analysis/monteCarlo.ts';
import { normalCdf } from '../../../subgraphs/plan/analysis/normal.ts';
import { analyzePert } from '../../../subgraphs/plan/analysis/pert.ts';
import { createRandom } from '../../../subgraphs/plan/analysis/random.ts';
import { computeSchedule, createNetwork } from '../../../subgraphs/plan/network/index.ts';
import { networks, parseNetwork } from '../network/networks.ts';

const points = (optimistic: number, mostLikely: number, pessimistic: number): ThreePoint => ({
  optimistic,
  mostLikely,
  pessimistic,
});

test('the normal distribution function has its tabulated values', () => {
  const known = [
    [0, 0.5],
    [1, 0.841344746068543],
    [1.96, 0.97500210485178],
    [-3, 0.00134989803163],
    [8, 1 - 6.220960574271785e-16],
    [-8, 6.220960574271785e-16],
    [40, 1],
  ] as const;
  for (const [x, probability] of known) expect(normalCdf(x)).toBeCloseTo(probability, 13);
  expect(normalCdf(-8) / 6.220960574271785e-16).toBeCloseTo(1, 6);
});

test('xoshiro128** gives one sequence a seed, uniform in (0, 1)', () => {
  const draw = (seed: number, count: number) => {
    const random = createRandom(seed);
    return Array.from({ length: count }, () => random.next());
  };
  expect(draw(7, 5)).toEqual(draw(7, 5));
  expect(draw(7, 5)).not.toEqual(draw(8, 5));
  const many = draw(1, 100_000);
  expect(many.every((value) => value > 0 && value < 1)).toBe(true);
  const bins = new Float64Array(20);
  for (const value of many) bins[Math.floor(value * 20)]! += 1;
  const chiSquare = bins.reduce((sum, seen) => sum + (seen - 5_000) ** 2 / 5_000, 0);
  expect(chiSquare).toBeLessThan(43.8); // 99.9 % of 19 degrees of freedom
});

describe('Beta-PERT', () => {
  it.each([
    points(2, 5, 14),
    points(0, 9, 10),
    points(3, 3, 9),
    points(3, 9, 9),
    points(1, 1.0001, 2),
    points(4, 5, 6),
  ])('samples of %o have its mean and variance and stay within', (estimate) => {
    const count = 40_000;
    const sample = createBetaPert(estimate, createRandom(11));
    const drawn = Array.from({ length: count }, sample);
    const mean = drawn.reduce((sum, value) => sum + value, 0) / count;
    const variance = drawn.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (count - 1);
    const expected = betaPertVariance(estimate);
    expect(drawn.every((value) => value >= estimate.optimistic && value <= estimate.pessimistic)).toBe(true);
    expect(Math.abs(mean - pertMean(estimate))).toBeLessThan(4 * Math.sqrt(expected / count));
    expect(variance / expected).toBeCloseTo(1, 1);
  });

  it('fits the distribution function in the symmetric case: I_x(3, 3) = x^3 (10 - 15x + 6x^2)', () => {
    const count = 40_000;
    const sample = createBetaPert(points(0, 0.5, 1), createRandom(5));
    const drawn = Float64Array.from({ length: count }, sample).sort();
    const distance = drawn.reduce((worst, x, place) => {
      const share = x ** 3 * (10 - 15 * x + 6 * x * x);
      return Math.max(worst, Math.abs(share - place / count), Math.abs(share - (place + 1) / count));
    }, 0);
    expect(distance).toBeLessThan(1.95 / Math.sqrt(count)); // Kolmogorov-Smirnov at 99.9 %
  });

  it('is a constant without a range', () => {
    expect(createBetaPert(points(4, 4, 4), createRandom(1))()).toBe(4);
  });
});

test('a single estimate is spread by the declared factors, and disordered points are refused', () => {
  expect(threePointOf({ duration: 10 })).toEqual(points(8, 10, 15));
  expect(threePointOf({ duration: 10, estimate: points(1, 2, 3) })).toEqual(points(1, 2, 3));
  expect(isThreePoint(points(1, 2, 3))).toBe(true);
  expect(isThreePoint(points(2, 1, 3))).toBe(false);
  expect(isThreePoint(points(1, 2, Infinity))).toBe(false);
});

describe('PERT', () => {
  it('adds means and variances along the longest path', () => {
    const { steps, dependencies } = parseNetwork('a:4 b:3 c:6<a d:2<b,c');
    const network = createNetwork(steps, dependencies);
    const estimates = [points(2, 4, 6), points(1, 3, 5), points(3, 6, 15), points(1, 2, 3)];
    const { finish, finishVariance, path, onTimeProbability } = analyzePert(network, estimates, { deadline: 15 });
    expect(finish).toBe(4 + 7 + 2);
    expect(finishVariance).toBeCloseTo(16 / 36 + 144 / 36 + 4 / 36, 12);
    expect(path).toEqual(['a', 'c', 'd']);
    expect(onTimeProbability).toBeCloseTo(normalCdf(2 / Math.sqrt(164 / 36)), 12);
  });

  it('takes of two paths as long the more uncertain', () => {
    const { steps, dependencies } = parseNetwork('a:0 b:0<a c:0<a d:0<b,c');
    const network = createNetwork(steps, dependencies);
    const zero = points(0, 0, 0);
    const { path, finishVariance } = analyzePert(network, [zero, points(0, 6, 12), points(5, 6, 7), zero]);
    expect(path).toEqual(['a', 'b', 'd']);
    expect(finishVariance).toBe(pertVariance(points(0, 6, 12)));
  });

  it('counts no variance of a step whose path enters and leaves at the same end', () => {
    const { steps } = parseNetwork('a:2 b:2');
    const network = createNetwork(steps, [{ id: 'x', source: 'a', target: 'b', type: 'start_to_start', lag: 50 }]);
    expect(analyzePert(network, [points(1, 2, 3), points(1, 2, 3)]).finishVariance).toBe(pertVariance(points(1, 2, 3)));
  });

  it('counts a step entered at its finish when the path leaves at its start, and not when it leaves at its finish', () => {
    const { steps } = parseNetwork('a:10 b:4 c:2');
    const into = { id: 'x', source: 'a', target: 'b', type: 'finish_to_finish', lag: 0 } as const;
    const outOf = (type: 'start_to_start' | 'finish_to_start', lag: number) =>
      analyzePert(createNetwork(steps, [into, { id: 'y', source: 'b', target: 'c', type, lag }]), [
        points(7, 10, 13),
        points(1, 4, 7),
        points(1, 2, 3),
      ]);
    expect(outOf('start_to_start', 6)).toMatchObject({ finish: 14, path: ['a', 'b', 'c'] });
    expect(outOf('start_to_start', 6).finishVariance).toBeCloseTo(1 + 1 + 1 / 9, 12);
    expect(outOf('finish_to_start', 0)).toMatchObject({ finish: 12, path: ['a', 'b', 'c'] });
    expect(outOf('finish_to_start', 0).finishVariance).toBeCloseTo(1 + 1 / 9, 12);
  });

  it('finishes when the critical path method does, over the expected durations', () => {
    fc.assert(
      fc.property(networks({ imposed: true }), (input) => {
        const network = createNetwork(input.steps, input.dependencies);
        const exact = input.steps.map(({ duration }) => points(duration, duration, duration));
        const { finish, finishVariance } = analyzePert(network, exact);
        expect(finish).toBeCloseTo(computeSchedule(network).finish, 9);
        expect(finishVariance).toBe(0);
      }),
    );
  });
});

describe('Monte Carlo', () => {
  const chain = parseNetwork('a:4 b:7<a c:2<b');
  const network = createNetwork(chain.steps, chain.dependencies);
  const estimates = [points(2, 4, 6), points(3, 6, 15), points(1, 2, 3)];
  const mean = estimates.reduce((sum, estimate) => sum + pertMean(estimate), 0);
  const variance = estimates.reduce((sum, estimate) => sum + betaPertVariance(estimate), 0);

  it('agrees with the analytic mean and deviation of a chain', () => {
    const result = simulateFinish(network, estimates, { samples: 20_000, seed: 3, deadline: mean });
    expect(Math.abs(result.mean - mean)).toBeLessThan(3 * result.standardError);
    expect(result.standardDeviation / Math.sqrt(variance)).toBeCloseTo(1, 1);
    expect(result.standardError).toBeCloseTo(Math.sqrt(variance / 20_000), 3);
    expect([...result.criticality]).toEqual([1, 1, 1]);
    const share = (index: number) => Math.sqrt(betaPertVariance(estimates[index]!) / variance);
    for (const [index, value] of result.cruciality.entries()) expect(Math.abs(value - share(index))).toBeLessThan(0.03);
    for (const [index, value] of result.sensitivity.entries())
      expect(Math.abs(value - share(index))).toBeLessThan(0.03);
    expect(result.onTime!.probability).toBeGreaterThan(0.45);
    expect(result.onTime!.standardError).toBeCloseTo(0.5 / Math.sqrt(20_000), 4);
  });

  it('is the same for a seed, and a shorter run is the beginning of a longer one', () => {
    expect(simulateFinish(network, estimates, { samples: 50, seed: 9 })).toEqual(
      simulateFinish(network, estimates, { samples: 50, seed: 9 }),
    );
    let asked = 0;
    const stopped = simulateFinish(network, estimates, { samples: 500, seed: 9, shouldStop: () => ++asked === 50 });
    expect(stopped.stoppedEarly).toBe(true);
    expect({ ...stopped, stoppedEarly: false }).toEqual(simulateFinish(network, estimates, { samples: 50, seed: 9 }));
  });

  it('sees the merge of two like paths finish later than PERT does, each critical half of the time', () => {
    const { steps, dependencies } = parseNetwork('b:6 c:6 d:0<b,c');
    const parallel = createNetwork(steps, dependencies);
    const like = [points(2, 6, 10), points(2, 6, 10), points(0, 0, 0)];
    const result = simulateFinish(parallel, like, { samples: 10_000, seed: 4 });
    expect(result.mean).toBeGreaterThan(analyzePert(parallel, like).finish + 5 * result.standardError);
    expect(result.criticality[0]! + result.criticality[1]!).toBeCloseTo(1, 9);
    expect(Math.abs(result.criticality[0]! - 0.5)).toBeLessThan(0.02);
    expect(result.criticality[2]).toBe(1);
    const finishes = result.percentiles.map(({ finish }) => finish);
    expect(finishes).toEqual(finishes.toSorted((left, right) => left - right));
    for (const { low, finish, high } of result.percentiles) expect(low <= finish && finish <= high).toBe(true);
  });

  it('computes for fixed durations what the critical path method does', () => {
    fc.assert(
      fc.property(networks({ imposed: true }), ({ steps, dependencies }) => {
        const fixed = createNetwork(steps, dependencies);
        const exact = steps.map(({ duration }) => points(duration, duration, duration));
        const result = simulateFinish(fixed, exact, { samples: 3, deadline: 10 });
        const { finish, critical } = computeSchedule(fixed);
        expect([result.mean, result.standardDeviation]).toEqual([finish, 0]);
        expect([...result.criticality]).toEqual([...critical]);
        expect(result.onTime!.probability).toBe(finish <= 10 ? 1 : 0);
      }),
    );
  });
});
