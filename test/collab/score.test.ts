import fc from 'fast-check';
import { expect, test } from 'vitest';
import { confidenceOf, posteriorMean, topsis } from '../../subgraphs/collab/recommend/score.ts';

const criteria = [
  { name: 'gain', weight: 0.7, direction: 'maximise' },
  { name: 'cost', weight: 0.3, direction: 'minimise' },
] as const;

test('TOPSIS: who is better in everything is closer to the ideal; units do not matter', () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.integer({ min: 1, max: 50 }), fc.integer({ min: 1, max: 50 })), {
        minLength: 2,
        maxLength: 6,
      }),
      fc.integer({ min: 2, max: 100 }),
      (rows, unit) => {
        const scores = topsis(rows, criteria);
        for (const [one, a] of rows.entries())
          for (const [other, b] of rows.entries())
            if (a[0] >= b[0] && a[1] <= b[1]) expect(scores[one]!).toBeGreaterThanOrEqual(scores[other]! - 1e-9);
        const other = topsis(
          rows.map(([gain, cost]) => [gain * unit, cost]),
          criteria,
        );
        for (const [at, score] of scores.entries()) {
          expect(other[at]!).toBeCloseTo(score, 9);
          expect(score).toBeGreaterThanOrEqual(0);
          expect(score).toBeLessThanOrEqual(1);
        }
      },
    ),
  );
});

test('confidence: experience moves it, disagreement of simulations lowers it', () => {
  expect(posteriorMean({ succeeded: 0, failed: 0 })).toBeCloseTo(0.9, 12);
  expect(posteriorMean({ succeeded: 10, failed: 0 })).toBeCloseTo(0.95, 12);
  expect(posteriorMean({ succeeded: 0, failed: 10 })).toBeCloseTo(0.45, 12);
  const even = confidenceOf({ succeeded: 0, failed: 0 }, [4, 4, 4]);
  expect(even).toBeCloseTo(0.9, 12);
  expect(confidenceOf({ succeeded: 0, failed: 0 }, [1, 4, 7])).toBeLessThan(even);
  expect(confidenceOf({ succeeded: 0, failed: 0 }, [-1, 1])).toBe(0);
});
