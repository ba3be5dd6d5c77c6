import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  computeSteps,
  quantileOf,
  type SampledSeries,
  shareWithin,
} from '../../../subgraphs/platform/monitoring/compute.ts';

const bounds = [1, 2, 5, 10];

function seriesOf(
  kind: SampledSeries['kind'],
  samples: readonly (readonly [number, number])[],
  more: Partial<SampledSeries> = {},
): SampledSeries {
  return {
    labels: {},
    instance: '',
    isDelta: false,
    kind,
    bounds,
    samples: samples.map(([atMs, value]) => ({ atMs, value, count: null, buckets: null })),
    ...more,
  };
}

const range = { fromMs: 0, stepMs: 10, steps: 3 };

describe('steps of a metric', () => {
  it('are of running totals what they grew by, also where they began anew', () => {
    const one = seriesOf('COUNTER', [
      [-5, 100],
      [5, 110],
      [15, 130],
      [16, 4],
      [25, 5],
    ]);
    expect(computeSteps([one], { ...range, fn: 'INCREASE' })).toEqual([10, 24, 1]);
    // A series that was not there before the range shows no increase with its first total.
    const other = seriesOf('COUNTER', [
      [12, 1_000],
      [22, 1_001],
    ]);
    expect(computeSteps([one, other], { ...range, fn: 'INCREASE' })).toEqual([10, 24, 2]);
    expect(computeSteps([one], { ...range, fn: 'RATE' })).toEqual([1_000, 2_400, 100]);
    expect(computeSteps([{ ...one, isDelta: true }], { ...range, fn: 'INCREASE' })).toEqual([110, 134, 5]);
  });

  it('are of totals that a process counts from nothing all of what they grew by, from the first sample on', () => {
    const totals = [
      [12, 3],
      [22, 5],
    ] as const;
    expect(computeSteps([seriesOf('COUNTER', totals)], { ...range, fn: 'INCREASE' })).toEqual([null, null, 2]);
    expect(computeSteps([seriesOf('COUNTER', totals, { beganAtMs: 12 })], { ...range, fn: 'INCREASE' })).toEqual([
      null,
      3,
      2,
    ]);
    // Begun before what is read: its first total there is not the first one.
    expect(computeSteps([seriesOf('COUNTER', totals, { beganAtMs: 11 })], { ...range, fn: 'INCREASE' })).toEqual([
      null,
      null,
      2,
    ]);
    const histogram = seriesOf('HISTOGRAM', [], {
      samples: [{ atMs: 1, value: 30, count: 10, buckets: [0, 5, 5, 0, 0] }],
      beganAtMs: 1,
    });
    const of = (fn: 'MEAN' | 'P50' | 'INCREASE') => computeSteps([histogram], { ...range, fn })[0];
    expect([of('MEAN'), of('INCREASE'), of('P50')]).toEqual([3, 10, 2]);
  });

  it('are of gauges what they stood at', () => {
    const [one, two] = [
      seriesOf('GAUGE', [
        [1, 3],
        [2, 5],
        [21, 7],
      ]),
      seriesOf('GAUGE', [[3, 10]]),
    ];
    const of = (fn: 'LAST' | 'AVG' | 'MIN' | 'MAX') => computeSteps([one, two], { ...range, fn });
    expect([of('LAST'), of('AVG'), of('MIN'), of('MAX')]).toEqual([
      [7.5, null, 7],
      [7, null, 7],
      [3, null, 7],
      [10, null, 7],
    ]);
    const rising = seriesOf(
      'GAUGE',
      Array.from({ length: 10 }, (_, n) => [n * 60_000, 100 + 2 * n] as const),
    );
    expect(computeSteps([rising], { fromMs: 0, stepMs: 3_600_000, steps: 1, fn: 'SLOPE' })[0]).toBeCloseTo(120);
  });

  it('are of histograms means and quantiles of what came in the step', () => {
    const histogram = seriesOf('HISTOGRAM', [], {
      samples: [
        { atMs: -1, value: 1_000, count: 100, buckets: [100, 0, 0, 0, 0] },
        { atMs: 1, value: 1_030, count: 110, buckets: [100, 5, 5, 0, 0] },
      ],
    });
    const of = (fn: 'MEAN' | 'P50' | 'P90' | 'INCREASE') => computeSteps([histogram], { ...range, fn })[0];
    expect([of('MEAN'), of('INCREASE'), of('P50')]).toEqual([3, 10, 2]);
    expect(of('P90')).toBeCloseTo(4.4);
  });

  it('quantiles lie in the bucket that holds them', () => {
    fc.assert(
      fc.property(
        fc.array(fc.double({ min: 0.01, max: 9.99, noNaN: true }), { minLength: 1, maxLength: 100 }),
        fc.double({ min: 0.01, max: 1, noNaN: true }),
        (values, q) => {
          const counts = [0, 0, 0, 0, 0];
          const bucketOf = (value: number) => bounds.findIndex((bound) => value <= bound);
          for (const value of values) counts[bucketOf(value)]! += 1;
          const exact = values.toSorted((one, two) => one - two)[Math.max(0, Math.ceil(q * values.length - 1e-9) - 1)]!;
          const at = bucketOf(exact);
          const found = quantileOf(counts, bounds, q)!;
          expect(found).toBeGreaterThanOrEqual(at === 0 ? 0 : bounds[at - 1]! - 1e-9);
          expect(found).toBeLessThanOrEqual(bounds[at]! + 1e-9);
        },
      ),
    );
    expect([quantileOf([], [], 0.5), quantileOf([0, 0, 0, 0, 3], bounds, 0.5)]).toEqual([null, 10]);
    expect([shareWithin([1, 1, 1, 1, 0], bounds, 5), shareWithin([1, 1, 1, 1, 0], bounds, 3)]).toEqual([0.75, null]);
  });
});
