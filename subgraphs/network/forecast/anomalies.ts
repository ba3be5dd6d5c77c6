export interface Anomaly {
  readonly index: number;
  readonly value: number;
  /** What was to be expected. */
  readonly expected: number;
  /** Distance from it in robust deviations, or in those of the moving average. */
  readonly score: number;
  readonly method: 'ROBUST_Z' | 'EWMA';
}

/** Median absolute deviation of a normal distribution, in standard deviations (Iglewicz and Hoaglin 1993). */
const madToDeviation = 1.4826;

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/**
 * Values that stand out: further from the median than `threshold` robust deviations, or outside the control limits of an
 * exponentially weighted moving average (Roberts 1959; weight 0.2, three of its deviations), which finds small shifts that
 * last. At most one entry a value; fewer than eight values say nothing.
 */
export function findAnomalies(values: readonly number[], threshold = 3.5): readonly Anomaly[] {
  if (values.length < 8) return [];
  const centre = median(values);
  const deviation = madToDeviation * median(values.map((value) => Math.abs(value - centre)));
  const weight = 0.2;
  let average = centre;
  return values.flatMap((value, index): Anomaly[] => {
    average = weight * value + (1 - weight) * average;
    if (deviation === 0)
      return value === centre ? [] : [{ index, value, expected: centre, score: Number.MAX_VALUE, method: 'ROBUST_Z' }];
    const score = Math.abs(value - centre) / deviation;
    if (score > threshold) return [{ index, value, expected: centre, score, method: 'ROBUST_Z' }];
    const spread = deviation * Math.sqrt((weight / (2 - weight)) * (1 - (1 - weight) ** (2 * (index + 1))));
    const drift = Math.abs(average - centre) / spread;
    return drift > 3 ? [{ index, value, expected: centre, score: drift, method: 'EWMA' }] : [];
  });
}
