import { baselineOf, type Deviation, deviationOf } from './baseline.ts';
import { quantile } from './quantile.ts';
import { type AnalysedSpan, durationOf } from './span.ts';

/** Runs of the same root operation before, newest first. */
export interface SimilarRuns {
  /** Of their roots, ms. */
  readonly durations: readonly number[];
  /** Durations of spans in the newest of them, ms, by `operationKey`. */
  readonly operations: ReadonlyMap<string, readonly number[]>;
}

export interface UnusualSpan {
  readonly span: AnalysedSpan;
  readonly durationMs: number;
  readonly baselineP50Ms: number;
  readonly deviation: Deviation;
}

export interface Comparison {
  readonly runs: number;
  /** Share of the runs that took no longer, 0 to 100; of those as long one half counts. */
  readonly percentile: number;
  readonly p50Ms: number;
  readonly p95Ms: number;
  /** Null with fewer than ten runs, or where all took as long. */
  readonly deviation: Deviation | null;
  /** Those farthest from what is usual first. */
  readonly unusual: readonly UnusualSpan[];
}

const maxUnusual = 20;

export const operationKey = ({ service, operation }: Pick<AnalysedSpan, 'service' | 'operation'>): string =>
  JSON.stringify([service, operation]);

/** A run beside earlier ones of the same kind; null of none. */
export function compareRuns(
  durationMs: number,
  spans: readonly AnalysedSpan[],
  { durations, operations }: SimilarRuns,
): Comparison | null {
  const baseline = baselineOf(durations);
  if (baseline === null) return null;
  const shorter = durations.filter((other) => other < durationMs).length;
  const equal = durations.filter((other) => other === durationMs).length;
  const baselines = new Map([...operations].map(([key, values]) => [key, baselineOf(values)]));
  const unusual = spans.flatMap((span): UnusualSpan[] => {
    const usual = baselines.get(operationKey(span)) ?? null;
    const deviation = usual && deviationOf(durationOf(span), usual);
    if (!deviation?.anomalous) return [];
    return [{ span, durationMs: durationOf(span), baselineP50Ms: usual!.median, deviation }];
  });
  return {
    runs: durations.length,
    percentile: (100 * (shorter + equal / 2)) / durations.length,
    p50Ms: quantile(durations, 0.5),
    p95Ms: baseline.p95,
    deviation: deviationOf(durationMs, baseline),
    unusual: unusual.sort((a, b) => offBy(b) - offBy(a)).slice(0, maxUnusual),
  };
}

const offBy = ({ durationMs, baselineP50Ms }: UnusualSpan): number => Math.abs(durationMs - baselineP50Ms);
