import type { Sql } from '#shared/sql.ts';
import { computeFigures, computeQuantiles, computeSteps, type MetricFunction } from '../monitoring/compute.ts';
import type { Range } from '../monitoring/range.ts';
import { findSeries } from '../monitoring/reading.ts';
import { readSamples } from '../monitoring/samples.ts';

/** Histogram of the time that operations took at the gateway, ms, by root field; what came of the response cache is not in it. */
export const operationMetric = 'mplp_operation_ms';

export interface OperationFigures {
  readonly operation: string;
  readonly count: number;
  readonly meanMs: number;
  readonly p50Ms: number;
  readonly p90Ms: number;
  readonly p95Ms: number;
  readonly p99Ms: number;
  readonly percentiles: readonly { readonly percentile: number; readonly ms: number }[];
}

const whole = ({ fromMs, stepMs, steps }: Range): Range => ({ fromMs, stepMs: stepMs * steps, steps: 1 });

const asked = ['INCREASE', 'MEAN', 'P50', 'P90', 'P95', 'P99'] as const;

export interface OperationSearch {
  /** @default all */
  readonly operation?: string | null;
  /** 0 to 100, beside those that are always told. @default none */
  readonly percentiles?: readonly number[];
}

/** What was measured of each operation within each of the ranges, or of one operation. */
export async function findOperations(
  sql: Sql,
  tenantId: string,
  ranges: readonly Range[],
  { operation = null, percentiles = [] }: OperationSearch = {},
): Promise<readonly (readonly OperationFigures[])[]> {
  const labels: Record<string, string> = operation === null ? {} : { operation };
  const found = await findSeries(sql, tenantId, [{ name: operationMetric, labels }]);
  const byOperation = [...Map.groupBy(found, (row) => row.labels['operation'] ?? '')].toSorted(([one], [two]) =>
    one < two ? -1 : 1,
  );
  const answers: (readonly OperationFigures[])[] = [];
  // One after the other, here and below: who asks for everything leaves the other cores to who asks for one thing.
  for (const range of ranges) {
    const one = whole(range);
    const samples = found.length === 0 ? null : await readSamples(sql, tenantId, found, 'INCREASE', one);
    answers.push(
      byOperation.flatMap(([name, rows]) => {
        const series = rows.map((row) => ({ ...row, samples: samples?.get(row.id) ?? [] }));
        const {
          INCREASE: count,
          MEAN: mean,
          P50: p50,
          P90: p90,
          P95: p95,
          P99: p99,
        } = computeFigures(series, one, asked);
        if (count === null || count <= 0) return [];
        return {
          operation: name,
          count,
          meanMs: mean ?? 0,
          p50Ms: p50 ?? 0,
          p90Ms: p90 ?? 0,
          p95Ms: p95 ?? 0,
          p99Ms: p99 ?? 0,
          percentiles: computeQuantiles(
            series,
            one,
            percentiles.map((percentile) => percentile / 100),
          ).map((ms, at) => ({ percentile: percentiles[at]!, ms: ms ?? 0 })),
        };
      }),
    );
  }
  return answers;
}

export interface FigureQuery {
  readonly metric: string;
  readonly fn: MetricFunction;
  readonly labels?: Readonly<Record<string, string>>;
}

export interface Figures {
  /** Over the whole range; null where nothing was measured. @throws {Error} where it was not asked for */
  of(query: FigureQuery): number | null;
}

/** Figures over the whole range, all together. */
export async function findFigures(
  sql: Sql,
  tenantId: string,
  range: Range,
  queries: readonly FigureQuery[],
): Promise<Figures> {
  const one = whole(range);
  const selections = queries.map(({ metric, labels = {} }) => ({ name: metric, labels }));
  const found = await findSeries(sql, tenantId, selections);
  const samples = new Map<MetricFunction, Awaited<ReturnType<typeof readSamples>>>();
  for (const [fn, series] of Map.groupBy(found, ({ selection }) => queries[selection]!.fn))
    samples.set(fn, await readSamples(sql, tenantId, series, fn, one));
  const values = new Map(
    queries.map((query, place) => {
      const { fn } = query;
      const series = found
        .filter(({ selection }) => selection === place)
        .map((row) => ({ ...row, samples: samples.get(fn)?.get(row.id) ?? [] }));
      return [query, computeSteps(series, { ...one, fn })[0] ?? null];
    }),
  );
  return {
    of(query) {
      const value = values.get(query);
      if (value === undefined) throw new Error(`expected one of the figures asked for, got ${query.metric}`);
      return value;
    },
  };
}
