import { median, quantile } from './quantile.ts';

export interface Baseline {
  readonly count: number;
  readonly mean: number;
  readonly standardDeviation: number;
  readonly median: number;
  /** Median absolute deviation from the median. */
  readonly mad: number;
  readonly p95: number;
}

export interface Deviation {
  /** Robust where there is a spread to measure by: 0.6745 (x - median) / MAD (Iglewicz and Hoaglin 1993). */
  readonly score: number;
  readonly method: 'MAD' | 'Z_SCORE';
  readonly anomalous: boolean;
}

/** Figures of earlier durations; null of none. */
export function baselineOf(values: readonly number[]): Baseline | null {
  if (values.length === 0) return null;
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / Math.max(1, values.length - 1);
  const middle = median(values);
  return {
    count: values.length,
    mean,
    standardDeviation: Math.sqrt(variance),
    median: middle,
    mad: median(values.map((value) => Math.abs(value - middle))),
    p95: quantile(values, 0.95),
  };
}

/** How far a value lies from its baseline; null where the baseline has no spread or too few values to tell. */
export function deviationOf(value: number, baseline: Baseline, minCount = 10): Deviation | null {
  if (baseline.count < minCount) return null;
  if (baseline.mad > 0) {
    const score = (0.6745 * (value - baseline.median)) / baseline.mad;
    return { score, method: 'MAD', anomalous: Math.abs(score) > 3.5 };
  }
  if (baseline.standardDeviation === 0) return null;
  const score = (value - baseline.mean) / baseline.standardDeviation;
  return { score, method: 'Z_SCORE', anomalous: Math.abs(score) > 3 };
}
