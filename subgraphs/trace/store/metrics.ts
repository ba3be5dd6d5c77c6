import type { Sql, SqlTransaction } from '#shared/sql.ts';
import { type Viewer, visibleCondition } from '../access.ts';
import type { TraceRow } from '../rows.ts';

export interface NewMetric {
  readonly name: string;
  readonly type: 'counter' | 'gauge' | 'histogram' | 'timer';
  readonly value: number;
  readonly unit: string | null;
  readonly dimensions: Readonly<Record<string, string>>;
  readonly at: Date;
  readonly windowMs: number | null;
}

export interface StoredMetric extends NewMetric {
  readonly ordinal: string;
}

export const metricColumns =
  'name, type, value, unit, dimensions, window_ms AS "windowMs", metric.at, ordinal::text AS ordinal';

export interface MetricRow {
  readonly traceId: string;
  readonly name: string;
  readonly unit: string | null;
  readonly value: number;
  readonly at: Date;
}

/** Where metrics of one report stand: of its trace no other lies between the ordinals. */
export interface MetricPlace {
  readonly first: string;
  readonly last: string;
  /** Times of the earliest and the latest. */
  readonly from: string;
  readonly to: string;
}

/** The caller has locked the trace. */
export async function insertMetrics(
  tx: SqlTransaction,
  { tenantId, id }: TraceRow,
  metrics: readonly NewMetric[],
): Promise<MetricPlace> {
  const times = metrics.map(({ at }) => at.getTime());
  const [range] = (await tx.unsafe(
    `WITH added AS (INSERT INTO trace.metric (tenant_id, trace_id, at, name, type, value, unit, dimensions, window_ms)
     SELECT $1, $2, at, name, type, value, unit, dimensions, "windowMs"
     FROM json_to_recordset($3::text::json) AS m(at timestamptz, name text, type text, value float8, unit text, dimensions jsonb, "windowMs" float8)
     RETURNING ordinal)
     SELECT min(ordinal)::text AS first, max(ordinal)::text AS last FROM added`,
    [tenantId, id, JSON.stringify(metrics)],
    { prepare: true },
  )) as unknown as { first: string; last: string }[];
  const [from, to] = [Math.min(...times), Math.max(...times)].map((ms) => new Date(ms).toISOString());
  return { ...range!, from: from!, to: to! };
}

export interface MetricRange {
  readonly from: Date;
  readonly to: Date;
  /** Seconds. */
  readonly step: number;
  readonly names: readonly string[] | null;
}

export interface MetricFigures {
  readonly points: readonly {
    readonly metric: string;
    readonly at: string;
    readonly count: number;
    readonly min: number;
    readonly max: number;
    readonly mean: number;
    readonly p95: number;
  }[];
  readonly aggregates: readonly {
    readonly metric: string;
    readonly unit: string | null;
    readonly count: number;
    readonly sum: number;
    readonly min: number;
    readonly max: number;
    readonly mean: number;
    readonly p50: number;
    readonly p95: number;
    readonly p99: number;
    /** Of a line through the values by least squares, per second; null of fewer than two instants. */
    readonly slope: number | null;
    readonly determination: number | null;
  }[];
}

/** Metrics of a trace in steps and as a whole; the durations of its ended spans are one of them. */
export async function findMetricFigures(sql: Sql, trace: TraceRow, range: MetricRange): Promise<MetricFigures> {
  const [row] = (await sql.unsafe(
    `WITH reported AS MATERIALIZED (
       SELECT name, unit, value, at FROM trace.metric WHERE tenant_id = $1 AND trace_id = $2
       UNION ALL SELECT 'span.duration', 'ms', ((end_ns - start_ns) / 1e6)::float8, to_timestamp(start_ns / 1e9) FROM trace.span
         WHERE tenant_id = $1 AND trace_id = $2 AND traced_at = $3::text::timestamptz AND end_ns IS NOT NULL
     ), m AS MATERIALIZED (
       SELECT * FROM reported WHERE at >= $4::text::timestamptz AND at < $5::text::timestamptz AND ($7::text[] IS NULL OR name = ANY($7))
     ), points AS (
       SELECT name, date_bin($6::int * interval '1 second', at, 'epoch') AS step, count(*)::int AS n, min(value), max(value), avg(value),
         percentile_disc(0.95) WITHIN GROUP (ORDER BY value) AS p95 FROM m GROUP BY 1, 2
     ), whole AS (
       SELECT name, max(unit) AS unit, count(*)::int AS n, sum(value), min(value), max(value), avg(value),
         percentile_disc(ARRAY[0.5, 0.95, 0.99]) WITHIN GROUP (ORDER BY value) AS p,
         regr_slope(value, extract(epoch FROM at - $4::text::timestamptz)::float8) AS slope,
         regr_r2(value, extract(epoch FROM at - $4::text::timestamptz)::float8) AS r2 FROM m GROUP BY 1
     )
     SELECT (SELECT coalesce(json_agg(json_build_object('metric', name, 'at', step, 'count', n, 'min', min, 'max', max, 'mean', avg,
         'p95', p95) ORDER BY step, name), '[]') FROM points) AS points,
       (SELECT coalesce(json_agg(json_build_object('metric', name, 'unit', unit, 'count', n, 'sum', sum, 'min', min, 'max', max,
         'mean', avg, 'p50', p[1], 'p95', p[2], 'p99', p[3], 'slope', slope, 'determination', r2) ORDER BY name), '[]')
         FROM whole) AS aggregates`,
    [
      trace.tenantId,
      trace.id,
      trace.createdAt.toISOString(),
      range.from.toISOString(),
      range.to.toISOString(),
      range.step,
      range.names as string[] | null,
    ],
    { prepare: true },
  )) as unknown as MetricFigures[];
  return row!;
}

export interface MetricSearch {
  readonly tenantId: string;
  /** Null sees private contexts too. */
  readonly viewer: Viewer | null;
  readonly traceId: string | null;
  readonly metric: string | null;
  readonly from: Date;
  readonly to: Date;
}

const maxValues = 5_000;
const maxBaseline = 1_000;

/** Newest values of a time, of traces that may be seen. */
export async function findMetrics(sql: Sql, search: MetricSearch): Promise<readonly MetricRow[]> {
  return (await sql.unsafe(
    `SELECT m.trace_id AS "traceId", m.name, m.unit, m.value, m.at FROM trace.metric m
     JOIN trace.trace t ON t.tenant_id = m.tenant_id AND t.id = m.trace_id
     WHERE m.tenant_id = $1 AND ($2::text[] IS NULL OR ${visibleCondition('t', '$2')}) AND ($3::uuid IS NULL OR m.trace_id = $3)
       AND ($4::text IS NULL OR m.name = $4) AND m.at >= $5::text::timestamptz AND m.at < $6::text::timestamptz
     ORDER BY m.at DESC, m.ordinal DESC LIMIT ${maxValues}`,
    [
      search.tenantId,
      search.viewer as string[] | null,
      search.traceId,
      search.metric,
      search.from.toISOString(),
      search.to.toISOString(),
    ],
  )) as unknown as MetricRow[];
}

/** Values of the same metrics in the hours before, newest first, by name and unit as `name/unit`. */
export async function findEarlierMetrics(
  sql: Sql,
  { tenantId, viewer, from }: MetricSearch,
  names: readonly string[],
  hours: number,
): Promise<ReadonlyMap<string, readonly number[]>> {
  const rows = (await sql.unsafe(
    `SELECT n.name || '/' || coalesce(d.unit, '') AS key, array_agg(d.value) AS values
     FROM unnest($3::text[]) AS n(name)
     CROSS JOIN LATERAL (
       SELECT m.value, m.unit FROM trace.metric m JOIN trace.trace t ON t.tenant_id = m.tenant_id AND t.id = m.trace_id
       WHERE m.tenant_id = $1 AND m.name = n.name AND ($2::text[] IS NULL OR ${visibleCondition('t', '$2')})
         AND m.at < $4::text::timestamptz AND m.at >= $4::text::timestamptz - $5::int * interval '1 hour'
       ORDER BY m.at DESC LIMIT ${maxBaseline}) AS d
     GROUP BY 1`,
    [tenantId, viewer as string[] | null, [...names], from.toISOString(), hours],
  )) as unknown as { key: string; values: number[] }[];
  return new Map(rows.map(({ key, values }) => [key, values]));
}
