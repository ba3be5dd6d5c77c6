/** Sub-buckets of every power of two: a bucket is at most 1/128 of its value wide, its midpoint at most 0.4 % off. */
const subBits = 7;
const subCount = 1 << subBits;
/** 2^45 ns: 9.8 hours. */
const maxExponent = 44;
const bucketCount = (maxExponent - subBits + 2) * subCount;

export interface LatencySummary {
  readonly count: number;
  readonly minMs: number;
  readonly meanMs: number;
  readonly p50Ms: number;
  readonly p95Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
}

export interface HistogramData {
  readonly buckets: readonly (readonly [index: number, count: number])[];
  readonly count: number;
  readonly sumMs: number;
  readonly minMs: number;
  readonly maxMs: number;
}

/** Latencies in ms, kept as counts. Mean, minimum and maximum are exact, quantiles within 1 %. */
export interface Histogram {
  readonly count: number;
  /** @param times how often it is recorded @default 1 */
  record(ms: number, times?: number): void;
  /** The smallest value that at least `q` of all values do not exceed; 0 when empty. */
  quantile(q: number): number;
  merge(other: HistogramData): void;
  summary(): LatencySummary;
  toData(): HistogramData;
}

function bucketOf(ns: number): number {
  if (ns < subCount) return ns;
  const high = Math.floor(ns / 0x8000_0000);
  const exponent = high === 0 ? 31 - Math.clz32(ns) : 62 - Math.clz32(high);
  if (exponent > maxExponent) return bucketCount - 1;
  return (exponent - subBits + 1) * subCount + Math.floor(ns / 2 ** (exponent - subBits)) - subCount;
}

/** Middle of the bucket, in ns. */
function middleOf(index: number): number {
  if (index < subCount) return index;
  const exponent = Math.floor(index / subCount) + subBits - 1;
  const width = 2 ** (exponent - subBits);
  return (subCount + (index % subCount)) * width + (width - 1) / 2;
}

/** Log-linear buckets as in HdrHistogram (Gil Tene, 2012). */
export function createHistogram(): Histogram {
  const counts = new Float64Array(bucketCount);
  let count = 0;
  let sumMs = 0;
  let minMs = Number.POSITIVE_INFINITY;
  let maxMs = 0;
  const histogram: Histogram = {
    get count() {
      return count;
    },
    record(ms, times = 1) {
      const value = ms > 0 ? ms : 0;
      counts[bucketOf(Math.round(value * 1e6))]! += times;
      count += times;
      sumMs += value * times;
      if (value < minMs) minMs = value;
      if (value > maxMs) maxMs = value;
    },
    quantile(q) {
      if (count === 0) return 0;
      const rank = Math.max(1, Math.ceil(q * count));
      let seen = 0;
      for (let index = 0; index < bucketCount; index += 1) {
        seen += counts[index]!;
        if (seen >= rank) return Math.min(maxMs, Math.max(minMs, middleOf(index) / 1e6));
      }
      return maxMs;
    },
    merge(other) {
      for (const [index, times] of other.buckets) counts[index]! += times;
      count += other.count;
      sumMs += other.sumMs;
      if (other.count === 0) return;
      minMs = Math.min(minMs, other.minMs);
      maxMs = Math.max(maxMs, other.maxMs);
    },
    summary: () => ({
      count,
      minMs: count === 0 ? 0 : minMs,
      meanMs: count === 0 ? 0 : sumMs / count,
      p50Ms: histogram.quantile(0.5),
      p95Ms: histogram.quantile(0.95),
      p99Ms: histogram.quantile(0.99),
      maxMs,
    }),
    toData() {
      const buckets: [number, number][] = [];
      for (let index = 0; index < bucketCount; index += 1)
        if (counts[index]! > 0) buckets.push([index, counts[index]!]);
      return { buckets, count, sumMs, minMs, maxMs };
    },
  };
  return histogram;
}
