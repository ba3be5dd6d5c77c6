import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { log10OfUpperTail, phi } from '../../subgraphs/network/detection/phi.ts';
import { findAnomalies } from '../../subgraphs/network/forecast/anomalies.ts';
import { forecast } from '../../subgraphs/network/forecast/holtWinters.ts';
import { createRandom } from '../../subgraphs/network/graph/random.ts';

describe('forecast', () => {
  test('a line goes on as a line, without doubt', () => {
    fc.assert(
      fc.property(fc.integer({ min: -9, max: 9 }), fc.integer({ min: -5, max: 5 }), (start, slope) => {
        const values = Array.from({ length: 20 }, (_, at) => start + slope * at);
        const found = forecast(values, 5, 1)!;
        for (const [at, point] of found.points.entries()) {
          expect(point.value).toBeCloseTo(start + slope * (20 + at), 6);
          expect(point.upper - point.lower).toBeCloseTo(0, 6);
        }
      }),
    );
  });

  test('a season of eight comes back, and the interval holds about as many as it says', () => {
    const random = createRandom(5);
    const normal = () => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
    const truth = (at: number) => 50 + 0.1 * at + 10 * Math.sin((2 * Math.PI * at) / 8);
    let inside = 0;
    for (let run = 0; run < 100; run += 1) {
      const values = Array.from({ length: 80 }, (_, at) => truth(at) + normal());
      const found = forecast(values, 8, 8)!;
      expect(found.season).toBe(8);
      for (const [at, point] of found.points.entries()) {
        const value = truth(80 + at) + normal();
        inside += Number(value >= point.lower && value <= point.upper);
      }
    }
    expect(inside / 800).toBeGreaterThan(0.85);
    expect(inside / 800).toBeLessThanOrEqual(0.995);
  });

  test('too few values tell nothing; too few for a season are smoothed without', () => {
    expect(forecast([1, 2, 3], 1, 1)).toBe(null);
    expect(forecast([1, 2, 3, 4, 5], 1, 4)!.season).toBe(1);
  });
});

test('outliers and shifts that last are found, ordinary noise is not', () => {
  const random = createRandom(3);
  const calm = Array.from({ length: 100 }, () => 10 + random());
  expect(findAnomalies(calm)).toEqual([]);
  expect(findAnomalies([...calm, 30]).at(-1)).toMatchObject({ index: 100, method: 'ROBUST_Z' });
  const shifted = [...calm, ...Array.from({ length: 20 }, () => 10.9 + random() / 2)];
  expect(findAnomalies(shifted).some(({ index, method }) => index >= 100 && method === 'EWMA')).toBe(true);
  expect(findAnomalies([5, 5, 5, 5, 5, 5, 5, 5, 6])).toMatchObject([{ index: 8 }]);
});

describe('phi accrual', () => {
  test('the tail of the normal distribution is met from one end to the other', () => {
    // Tables: 1 - Phi(z).
    const table = [
      [-3, 0.99865],
      [0, 0.5],
      [1, 0.158655],
      [2, 0.0227501],
      [3, 0.0013499],
      [4, 3.16712e-5],
      [5, 2.86652e-7],
      [8, 6.22096e-16],
    ] as const;
    for (const [z, tail] of table) expect(Math.abs(log10OfUpperTail(z) - Math.log10(tail))).toBeLessThan(0.02);
    expect(log10OfUpperTail(60)).toBeLessThan(-700);
    let last = 0;
    for (let z = -6; z < 20; z += 0.05) {
      expect(log10OfUpperTail(z)).toBeLessThanOrEqual(last + 1e-4);
      last = log10OfUpperTail(z);
    }
  });

  test('it grows with silence, slower where intervals vary', () => {
    const steady = { intervalsMs: Array.from({ length: 50 }, () => 1_000), expectedMs: 1_000 };
    const loose = {
      intervalsMs: Array.from({ length: 50 }, (_, at) => (at % 2 === 0 ? 500 : 1_500)),
      expectedMs: 1_000,
    };
    expect(phi(1_000, steady)).toBeCloseTo(0.3, 1);
    expect(phi(1_600, steady)).toBeGreaterThan(8);
    expect(phi(1_600, loose)).toBeLessThan(2);
    expect(phi(5_000, loose)).toBeGreaterThan(8);
    expect(phi(2_500, { intervalsMs: [], expectedMs: 1_000 })).toBeGreaterThan(8);
  });
});
