/** Width of a bucket: quantiles are off by 1 % at most (DDSketch, Masson et al. 2019). */
const gamma = 1.02;
const base = Math.log(gamma);
/** Whatever is not over zero. */
const lowest = Number.NEGATIVE_INFINITY;

/** Counts by logarithmic bucket. */
export interface Histogram {
  readonly counts: Map<number, number>;
  count: number;
  sum: number;
  min: number;
  max: number;
}

export function createHistogram(): Histogram {
  return { counts: new Map(), count: 0, sum: 0, min: Number.POSITIVE_INFINITY, max: Number.NEGATIVE_INFINITY };
}

export function addTo(histogram: Histogram, value: number): void {
  const bucket = value > 0 ? Math.ceil(Math.log(value) / base) : lowest;
  histogram.counts.set(bucket, (histogram.counts.get(bucket) ?? 0) + 1);
  histogram.count += 1;
  histogram.sum += value;
  if (value < histogram.min) histogram.min = value;
  if (value > histogram.max) histogram.max = value;
}

/** To within 1 %, among the values there are; of those not over zero the least. */
export function quantileOf({ counts, count, min, max }: Histogram, q: number): number {
  let rank = Math.max(1, Math.ceil(q * count));
  for (const [bucket, n] of [...counts].sort(([a], [b]) => a - b)) {
    rank -= n;
    if (rank > 0) continue;
    const middle = bucket === lowest ? min : (2 * gamma ** bucket) / (gamma + 1);
    return Math.min(max, Math.max(min, middle));
  }
  return max;
}
