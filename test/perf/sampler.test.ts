import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createRandom } from '../../perf/load/random.ts';
import { createWeightedSampler, createZipf, type Sampler } from '../../perf/load/sampler.ts';

function draw(sampler: Sampler, seed: number, draws: number): Float64Array {
  const random = createRandom(seed);
  const counts = new Float64Array(sampler.size);
  for (let i = 0; i < draws; i += 1) counts[sampler.sample(random)]! += 1;
  return counts;
}

/** Pearson's statistic of counts against weights. */
function chiSquare(counts: Float64Array, weights: readonly number[]): number {
  const draws = counts.reduce((sum, count) => sum + count, 0);
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  return weights.reduce((sum, weight, index) => {
    const expected = (draws * weight) / total;
    return sum + (counts[index]! - expected) ** 2 / expected;
  }, 0);
}

test('Zipf s = 1 draws ranks in proportion to 1 / rank', () => {
  const weights = Array.from({ length: 50 }, (_, rank) => 1 / (rank + 1));
  // 49 degrees of freedom: mean 49, standard deviation 9.9; a uniform or shifted sampler is in the thousands.
  for (const seed of [1, 2, 3]) expect(chiSquare(draw(createZipf(50), seed, 200_000), weights)).toBeLessThan(100);
});

test('the same test refuses a sampler of another exponent', () => {
  const weights = Array.from({ length: 50 }, (_, rank) => 1 / (rank + 1));
  expect(chiSquare(draw(createZipf(50, 0.9), 1, 200_000), weights)).toBeGreaterThan(1_000);
});

test('over 100,000 the hottest item and the tail get their share', () => {
  const counts = draw(createZipf(100_000), 7, 500_000);
  const harmonic = Array.from({ length: 100_000 }, (_, rank) => 1 / (rank + 1)).reduce((sum, value) => sum + value, 0);
  expect(counts[0]! / 500_000).toBeCloseTo(1 / harmonic, 2);
  const tail = counts.subarray(10_000).reduce((sum, count) => sum + count, 0);
  expect(tail / 500_000).toBeCloseTo(Math.log(10) / harmonic, 2);
});

test('weight nothing is never drawn, and only indexes that exist are', () => {
  const weight = fc.oneof(fc.constant(0), fc.double({ min: 0.01, max: 100, noNaN: true }));
  fc.assert(
    fc.property(fc.array(weight, { minLength: 1, maxLength: 20 }), fc.integer(), (weights, seed) => {
      fc.pre(weights.some((value) => value > 0));
      const counts = draw(createWeightedSampler(weights), seed, 200);
      for (const [index, value] of weights.entries()) if (value === 0) expect(counts[index]).toBe(0);
      expect(counts.reduce((sum, count) => sum + count, 0)).toBe(200);
    }),
  );
});

test('weights that cannot be drawn from are refused', () => {
  expect(() => createWeightedSampler([0, 0])).toThrow('positive sum');
  expect(() => createWeightedSampler([1, -1])).toThrow('expected weights >= 0, got -1 at 1');
});

test('the same seed gives the same sequence, another seed another', () => {
  const take = (seed: number): string[] => {
    const random = createRandom(seed);
    return Array.from({ length: 5 }, () => random.uuid());
  };
  expect(take(1)).toEqual(take(1));
  expect(take(1)).not.toEqual(take(2));
  for (const id of take(1)) expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
});
