import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createHistogram } from '../../perf/load/histogram.ts';

/** Nanoseconds to hours, as many small as large. */
const latency = fc.double({ min: -6, max: 7, noNaN: true }).map((exponent) => 10 ** exponent);

function exactQuantile(values: readonly number[], q: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.max(1, Math.ceil(q * sorted.length)) - 1]!;
}

function record(values: readonly number[]): ReturnType<typeof createHistogram> {
  const histogram = createHistogram();
  for (const value of values) histogram.record(value);
  return histogram;
}

test('every quantile is within 1 % of the exact one', () => {
  fc.assert(
    fc.property(
      fc.array(latency, { minLength: 1, maxLength: 300 }),
      fc.double({ min: 0.001, max: 1, noNaN: true }),
      (values, q) => {
        const exact = exactQuantile(values, q);
        // A nanosecond is the smallest step it keeps.
        expect(Math.abs(record(values).quantile(q) - exact)).toBeLessThanOrEqual(exact * 0.01 + 1e-6);
      },
    ),
  );
});

test('count, mean, minimum and maximum are exact', () => {
  fc.assert(
    fc.property(fc.array(latency, { minLength: 1, maxLength: 100 }), (values) => {
      const summary = record(values).summary();
      expect(summary.count).toBe(values.length);
      expect(summary.minMs).toBe(Math.min(...values));
      expect(summary.maxMs).toBe(Math.max(...values));
      const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
      expect(Math.abs(summary.meanMs - mean)).toBeLessThanOrEqual(mean * 1e-9);
    }),
  );
});

test('merging the halves gives what recording the whole gives', () => {
  fc.assert(
    fc.property(fc.array(latency, { maxLength: 100 }), fc.array(latency, { maxLength: 100 }), (left, right) => {
      const merged = createHistogram();
      merged.merge(record(left).toData());
      merged.merge(record(right).toData());
      const whole = record([...left, ...right]);
      expect(merged.toData().buckets).toEqual(whole.toData().buckets);
      expect(merged.summary().p99Ms).toBe(whole.summary().p99Ms);
    }),
  );
});

test('an empty histogram has no quantiles to invent', () => {
  expect(createHistogram().summary()).toEqual({
    count: 0,
    minMs: 0,
    meanMs: 0,
    p50Ms: 0,
    p95Ms: 0,
    p99Ms: 0,
    maxMs: 0,
  });
});
