/** A sample as it is stored: of a histogram the sum, the count and the counts by bucket (not cumulated), the last one open. */
export interface MetricSample {
  readonly atMs: number;
  readonly value: number;
  readonly count: number | null;
  readonly buckets: readonly number[] | null;
}

/** A series and its samples, oldest first. */
export interface SampledSeries {
  readonly labels: Readonly<Record<string, string>>;
  readonly instance: string;
  /** Whether its samples are increments, and no running totals that begin anew with the process. */
  readonly isDelta: boolean;
  readonly kind: 'COUNTER' | 'GAUGE' | 'HISTOGRAM';
  /** The first sample there ever was, ms, of totals that its process counts from nothing. @default nobody knows */
  readonly beganAtMs?: number | null;
  /** Upper edges of the buckets but the last. */
  readonly bounds: readonly number[];
  readonly samples: readonly MetricSample[];
}

export const metricFunctions = [
  'LAST',
  'AVG',
  'MIN',
  'MAX',
  'SLOPE',
  'INCREASE',
  'RATE',
  'MEAN',
  'P50',
  'P90',
  'P95',
  'P99',
  'AGE',
] as const;
export type MetricFunction = (typeof metricFunctions)[number];

export interface ComputeOptions {
  readonly fn: MetricFunction;
  readonly fromMs: number;
  readonly stepMs: number;
  readonly steps: number;
}

interface Grown {
  value: number;
  count: number;
  buckets: number[];
}

const quantiles: Partial<Record<MetricFunction, number>> = { P50: 0.5, P90: 0.9, P95: 0.95, P99: 0.99 };
const hourMs = 3_600_000;

/**
 * Values of a group of series by step; null where there is none. Increases and histograms of the group add up, gauges are
 * averaged (MIN, MAX: the least and the greatest). Totals that fall have begun anew, so what they show then is the increase.
 */
export function computeSteps(group: readonly SampledSeries[], options: ComputeOptions): readonly (number | null)[] {
  const { fn, steps } = options;
  if (fn === 'AGE') return ageSteps(group, options);
  if (fn === 'LAST' || fn === 'AVG' || fn === 'MIN' || fn === 'MAX' || fn === 'SLOPE') {
    const all = group.map((series) => gaugeSteps(series, options));
    return Array.from({ length: steps }, (_, step) => {
      const values = all.map((one) => one[step]!).filter((value) => value !== null);
      if (values.length === 0) return null;
      if (fn === 'MIN') return Math.min(...values);
      if (fn === 'MAX' || fn === 'SLOPE') return Math.max(...values);
      return values.reduce((sum, value) => sum + value, 0) / values.length;
    });
  }
  const bounds = group[0]?.bounds ?? [];
  return growthOf(group, options).map((grown) => (grown === null ? null : figureOf(grown, bounds, options)));
}

/** Several figures of what a group of totals grew by over one step, summed up once; all null where there is nothing. */
export function computeFigures<Fn extends MetricFunction>(
  group: readonly SampledSeries[],
  { fromMs, stepMs }: Pick<ComputeOptions, 'fromMs' | 'stepMs'>,
  functions: readonly Fn[],
): Readonly<Record<Fn, number | null>> {
  const [grown = null] = growthOf(group, { fromMs, stepMs, steps: 1 });
  const bounds = group[0]?.bounds ?? [];
  const figures = functions.map((fn) => [fn, grown === null ? null : figureOf(grown, bounds, { fn, stepMs })]);
  return Object.fromEntries(figures) as Record<Fn, number | null>;
}

/** Quantiles of what a group of histograms grew by over one step, in the order asked; null where there is nothing. */
export function computeQuantiles(
  group: readonly SampledSeries[],
  { fromMs, stepMs }: Pick<ComputeOptions, 'fromMs' | 'stepMs'>,
  asked: readonly number[],
): readonly (number | null)[] {
  const [grown = null] = growthOf(group, { fromMs, stepMs, steps: 1 });
  const bounds = group[0]?.bounds ?? [];
  return asked.map((quantile) => (grown === null ? null : quantileOf(grown.buckets, bounds, quantile)));
}

function growthOf(
  group: readonly SampledSeries[],
  range: Pick<ComputeOptions, 'fromMs' | 'stepMs' | 'steps'>,
): readonly (Grown | null)[] {
  const grown: (Grown | null)[] = new Array(range.steps).fill(null);
  for (const series of group) addIncreases(grown, series, range);
  return grown;
}

function gaugeSteps({ samples }: SampledSeries, { fn, fromMs, stepMs, steps }: ComputeOptions): (number | null)[] {
  const byStep: MetricSample[][] = Array.from({ length: steps }, () => []);
  for (const sample of samples) byStep[Math.floor((sample.atMs - fromMs) / stepMs)]?.push(sample);
  return byStep.map((all) => {
    if (all.length === 0) return null;
    const values = all.map(({ value }) => value);
    if (fn === 'LAST') return values.at(-1)!;
    if (fn === 'MIN') return Math.min(...values);
    if (fn === 'MAX') return Math.max(...values);
    if (fn === 'SLOPE') return slopeOf(all);
    return values.reduce((sum, value) => sum + value, 0) / values.length;
  });
}

/** Seconds since the last sample, of each step that has one: of the series that is the furthest behind. */
function ageSteps(group: readonly SampledSeries[], { fromMs, stepMs, steps }: ComputeOptions): (number | null)[] {
  const nowMs = Date.now();
  const ages: (number | null)[] = new Array(steps).fill(null);
  for (const { samples } of group) {
    const lastAt = new Map(samples.map(({ atMs }) => [Math.floor((atMs - fromMs) / stepMs), atMs]));
    for (const [step, atMs] of lastAt) {
      if (step < 0 || step >= steps) continue;
      const age = (Math.min(fromMs + (step + 1) * stepMs, nowMs) - atMs) / 1_000;
      ages[step] = Math.max(ages[step] ?? 0, age);
    }
  }
  return ages;
}

/** Least squares, per hour; null of fewer than three samples. */
function slopeOf(samples: readonly MetricSample[]): number | null {
  if (samples.length < 3) return null;
  const meanAt = samples.reduce((sum, { atMs }) => sum + atMs, 0) / samples.length;
  const mean = samples.reduce((sum, { value }) => sum + value, 0) / samples.length;
  let products = 0;
  let squares = 0;
  for (const { atMs, value } of samples) {
    products += (atMs - meanAt) * (value - mean);
    squares += (atMs - meanAt) ** 2;
  }
  return squares === 0 ? null : (products / squares) * hourMs;
}

function addIncreases(
  grown: (Grown | null)[],
  series: SampledSeries,
  { fromMs, stepMs }: Pick<ComputeOptions, 'fromMs' | 'stepMs'>,
): void {
  let before: MetricSample | null = null;
  for (const sample of series.samples) {
    const step = Math.floor((sample.atMs - fromMs) / stepMs);
    const isNew = series.isDelta || before === null || beganAnew(before, sample, series.kind);
    // The first total of a series that ran before says nothing of when it grew. Rolled up, it stands at the beginning of its step.
    const isFirst = before === null && sample.atMs <= (series.beganAtMs ?? Number.NEGATIVE_INFINITY);
    const counts = series.isDelta || before !== null || isFirst;
    if (counts && step >= 0 && step < grown.length) {
      grown[step] ??= { value: 0, count: 0, buckets: [] };
      const into = grown[step];
      into.value += sample.value - (isNew ? 0 : before!.value);
      into.count += (sample.count ?? 0) - (isNew ? 0 : (before!.count ?? 0));
      sample.buckets?.forEach((count, at) => {
        into.buckets[at] = (into.buckets[at] ?? 0) + count - (isNew ? 0 : (before!.buckets?.[at] ?? 0));
      });
    }
    before = sample;
  }
}

function beganAnew(before: MetricSample, sample: MetricSample, kind: SampledSeries['kind']): boolean {
  return kind === 'HISTOGRAM' ? (sample.count ?? 0) < (before.count ?? 0) : sample.value < before.value;
}

function figureOf(
  { value, count, buckets }: Grown,
  bounds: readonly number[],
  { fn, stepMs }: Pick<ComputeOptions, 'fn' | 'stepMs'>,
): number | null {
  if (fn === 'INCREASE') return buckets.length > 0 ? count : value;
  if (fn === 'RATE') return (buckets.length > 0 ? count : value) / (stepMs / 1_000);
  if (fn === 'MEAN') return count > 0 ? value / count : null;
  return quantileOf(buckets, bounds, quantiles[fn]!);
}

/** Quantile by linear interpolation within its bucket, as Prometheus has it; of the open bucket its lower edge. */
export function quantileOf(buckets: readonly number[], bounds: readonly number[], quantile: number): number | null {
  const total = buckets.reduce((sum, count) => sum + count, 0);
  if (total <= 0) return null;
  const rank = quantile * total;
  let seen = 0;
  for (const [at, count] of buckets.entries()) {
    if (seen + count >= rank && count > 0) {
      const lower = at === 0 ? 0 : bounds[at - 1]!;
      const upper = bounds[at];
      return upper === undefined ? lower : lower + (upper - lower) * ((rank - seen) / count);
    }
    seen += count;
  }
  return bounds.at(-1) ?? null;
}

/** Share of observations at or below an edge of the buckets, 0 to 1; null without observations or where it is no edge. */
export function shareWithin(buckets: readonly number[], bounds: readonly number[], edge: number): number | null {
  const at = bounds.indexOf(edge);
  const total = buckets.reduce((sum, count) => sum + count, 0);
  if (at < 0 || total <= 0) return null;
  return buckets.slice(0, at + 1).reduce((sum, count) => sum + count, 0) / total;
}
