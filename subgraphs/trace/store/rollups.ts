import type { Config } from '#shared/config.ts';
import type { Sql } from '#shared/sql.ts';
import type { TraceRow } from '../rows.ts';
import type { MetricFigures, MetricRange } from './metrics.ts';

const dayMs = 86_400_000;
const hourMs = 3_600_000;
/** Traces whose metrics are rolled up by one statement. */
const batch = 100;
/** Width of a bucket: quantiles out of it are off by 1 % at most. */
const gamma = 1.02;

type Retention = Pick<Config, 'TRACE_METRIC_DAYS' | 'TRACE_MINUTE_DAYS' | 'TRACE_HOUR_DAYS' | 'TRACE_DAY_DAYS'>;

/** Start of the day so long ago: all that is kept by steps is cut where days begin, so that no step lies on both sides. */
function daysAgo(days: number, now: number): Date {
  return new Date(Math.floor((now - days * dayMs) / dayMs) * dayMs);
}

/** From when on metrics stand as they came. Older ones are refused, with an hour to spare for those being written. */
export function rawFrom(metricDays: number, now = Date.now()): Date {
  return daysAgo(metricDays, now - hourMs);
}

/** Sums of steps one size up: times count from the start of the new step. */
const upTo = (step: number, from: string) => `
  SELECT tenant_id, trace_id, ${step} AS step, later AS at, name, max(unit) AS unit, sum(n)::bigint AS n, sum(sv) AS sv, min(mn) AS mn,
    max(mx) AS mx, sum(svv) AS svv, sum(st + n * d) AS st, sum(stt + 2 * d * st + n * d * d) AS stt, sum(stv + d * sv) AS stv
  FROM (SELECT *, extract(epoch FROM at - later)::float8 AS d FROM (
    SELECT *, date_bin(interval '${step} seconds', at, timestamptz 'epoch') AS later FROM ${from}) AS x) AS y
  GROUP BY tenant_id, trace_id, later, name`;

const bucketOf = `CASE WHEN value = 0 THEN 'z' ELSE (CASE WHEN value > 0 THEN 'p' ELSE 'n' END) || ceil(ln(abs(value)) / ln(${gamma}::float8))::int END`;

/** Moves the metrics of some traces that are older than `before` into steps. Answers how many traces there were. */
async function rollUp(sql: Sql, before: Date): Promise<number> {
  const [row] = (await sql.unsafe(
    `WITH batch AS MATERIALIZED (
       SELECT DISTINCT tenant_id, trace_id FROM trace.metric WHERE at < $1::text::timestamptz LIMIT ${batch}
     ), raw AS (
       DELETE FROM trace.metric m USING batch b
       WHERE m.tenant_id = b.tenant_id AND m.trace_id = b.trace_id AND m.at < $1::text::timestamptz RETURNING m.*
     ), single AS MATERIALIZED (
       SELECT tenant_id, trace_id, at, name, unit, 1 AS n, value AS sv, value AS mn, value AS mx, value * value AS svv, 0::float8 AS st,
         0::float8 AS stt, 0::float8 AS stv, ${bucketOf} AS bucket FROM raw
     ), sums AS (
       WITH minutes AS MATERIALIZED (${upTo(60, 'single')}), hours AS MATERIALIZED (${upTo(3_600, 'minutes')})
       SELECT * FROM minutes UNION ALL SELECT * FROM hours UNION ALL (${upTo(86_400, 'hours')})
     ), buckets AS (
       SELECT tenant_id, trace_id, step, at, name, jsonb_object_agg(bucket, n) AS histogram FROM (
         SELECT s.tenant_id, s.trace_id, z.step, date_bin(z.step * interval '1 second', s.at, timestamptz 'epoch') AS at, s.name, s.bucket,
           count(*) AS n FROM single s CROSS JOIN (VALUES (60), (3600), (86400)) AS z(step) GROUP BY 1, 2, 3, 4, 5, 6) AS c
       GROUP BY 1, 2, 3, 4, 5
     ), written AS (
       INSERT INTO trace.metric_rollup AS r (tenant_id, trace_id, step, at, name, unit, count, sum, min, max, sum_squares, sum_time, sum_times,
         sum_product, histogram)
       SELECT tenant_id, trace_id, step, at, name, unit, n, sv, mn, mx, svv, st, stt, stv, histogram
       FROM sums JOIN buckets USING (tenant_id, trace_id, step, at, name)
       ON CONFLICT (tenant_id, trace_id, step, at, name) DO UPDATE SET count = r.count + EXCLUDED.count, sum = r.sum + EXCLUDED.sum,
         min = least(r.min, EXCLUDED.min), max = greatest(r.max, EXCLUDED.max), sum_squares = r.sum_squares + EXCLUDED.sum_squares,
         sum_time = r.sum_time + EXCLUDED.sum_time, sum_times = r.sum_times + EXCLUDED.sum_times,
         sum_product = r.sum_product + EXCLUDED.sum_product, histogram = (
           SELECT jsonb_object_agg(key, n) FROM (
             SELECT key, sum(value::bigint) AS n FROM (SELECT * FROM jsonb_each_text(r.histogram)
               UNION ALL SELECT * FROM jsonb_each_text(EXCLUDED.histogram)) AS u GROUP BY key) AS both_of)
     )
     SELECT count(*)::int AS traces FROM batch`,
    [before.toISOString()],
  )) as unknown as { traces: number }[];
  return row!.traces;
}

/** Keeps by the minute, hour and day what is no longer kept as it came, each for its time. */
export async function sweepRollups(sql: Sql, config: Retention): Promise<void> {
  while ((await rollUp(sql, rawFrom(config.TRACE_METRIC_DAYS))) === batch);
  const now = Date.now();
  for (const [step, days] of [
    [60, config.TRACE_MINUTE_DAYS],
    [3_600, config.TRACE_HOUR_DAYS],
    [86_400, config.TRACE_DAY_DAYS],
  ] as const)
    await sql.unsafe('DELETE FROM trace.metric_rollup WHERE step = $1 AND at < $2::text::timestamptz', [
      step,
      daysAgo(days, now).toISOString(),
    ]);
}

/** As `findMetricFigures`, for times of which a part is kept by steps only. */
export async function findRolledFigures(
  sql: Sql,
  trace: TraceRow,
  range: MetricRange,
  config: Retention,
): Promise<MetricFigures> {
  const now = Date.now();
  const finest = range.step >= 86_400 ? 86_400 : range.step >= 3_600 ? 3_600 : 60;
  const [row] = (await sql.unsafe(
    `WITH raw AS (
       SELECT name, unit, value, at FROM trace.metric WHERE tenant_id = $1 AND trace_id = $2
       UNION ALL SELECT 'span.duration', 'ms', ((end_ns - start_ns) / 1e6)::float8, to_timestamp(start_ns / 1e9) FROM trace.span
         WHERE tenant_id = $1 AND trace_id = $2 AND traced_at = $3::text::timestamptz AND end_ns IS NOT NULL
     ), parts AS MATERIALIZED (
       SELECT name, unit, at, 1::bigint AS n, value AS sv, value AS mn, value AS mx, value * value AS svv, 0::float8 AS st, 0::float8 AS stt,
         0::float8 AS stv, NULL::jsonb AS histogram FROM raw
       UNION ALL SELECT name, unit, at, count, sum, min, max, sum_squares, sum_time, sum_times, sum_product, histogram
       FROM trace.metric_rollup WHERE tenant_id = $1 AND trace_id = $2 AND step = CASE WHEN at >= $9::text::timestamptz THEN $8::int
         WHEN at >= $10::text::timestamptz THEN greatest($8::int, 3600) ELSE 86400 END
     ), p AS MATERIALIZED (
       SELECT *, date_bin($6::int * interval '1 second', at, timestamptz 'epoch') AS step, extract(epoch FROM at - $4::text::timestamptz)::float8 AS d
       FROM parts WHERE at >= $4::text::timestamptz AND at < $5::text::timestamptz AND ($7::text[] IS NULL OR name = ANY($7))
     ), weighted AS MATERIALIZED (
       SELECT name, step, sv AS value, n FROM p WHERE histogram IS NULL
       UNION ALL SELECT p.name, p.step, greatest(p.mn, least(p.mx, CASE left(b.key, 1) WHEN 'z' THEN 0::float8 WHEN 'p' THEN 1 ELSE -1 END
           * CASE WHEN b.key = 'z' THEN 0::float8 ELSE 2 * power(${gamma}::float8, substr(b.key, 2)::int) / (1 + ${gamma}) END)), b.value::bigint
         FROM p CROSS JOIN LATERAL jsonb_each_text(p.histogram) AS b
     ), ranked AS (
       SELECT name, step, value, sum(n) OVER (PARTITION BY name, step ORDER BY value) AS of_step, sum(n) OVER (PARTITION BY name, step) AS step_n,
         sum(n) OVER (PARTITION BY name ORDER BY value) AS of_all, sum(n) OVER (PARTITION BY name) AS all_n FROM weighted
     ), step_quantiles AS (
       SELECT name, step, min(value) FILTER (WHERE of_step >= 0.95 * step_n) AS p95 FROM ranked GROUP BY 1, 2
     ), quantiles AS (
       SELECT name, min(value) FILTER (WHERE of_all >= 0.5 * all_n) AS p50, min(value) FILTER (WHERE of_all >= 0.95 * all_n) AS p95,
         min(value) FILTER (WHERE of_all >= 0.99 * all_n) AS p99 FROM ranked GROUP BY 1
     ), points AS (
       SELECT name, step, sum(n)::int AS n, min(mn), max(mx), sum(sv) / sum(n)::float8 AS avg FROM p GROUP BY 1, 2
     ), whole AS (
       SELECT name, max(unit) AS unit, sum(n)::float8 AS n, sum(sv) AS sv, min(mn) AS mn, max(mx) AS mx, sum(svv) AS svv, sum(st + n * d) AS st,
         sum(stt + 2 * d * st + n * d * d) AS stt, sum(stv + d * sv) AS stv FROM p GROUP BY 1
     ), lines AS (
       SELECT *, n * stt - st * st AS tt, n * stv - st * sv AS tv, n * svv - sv * sv AS vv FROM whole
     )
     SELECT (SELECT coalesce(json_agg(json_build_object('metric', name, 'at', step, 'count', n, 'min', min, 'max', max, 'mean', avg,
         'p95', p95) ORDER BY step, name), '[]') FROM points JOIN step_quantiles USING (name, step)) AS points,
       (SELECT coalesce(json_agg(json_build_object('metric', name, 'unit', unit, 'count', n::int, 'sum', sv, 'min', mn, 'max', mx,
         'mean', sv / n, 'p50', p50, 'p95', p95, 'p99', p99, 'slope', CASE WHEN tt > 0 THEN tv / tt END,
         'determination', CASE WHEN tt > 0 THEN CASE WHEN vv > 0 THEN least(1, tv * tv / (tt * vv)) ELSE 1 END END) ORDER BY name), '[]')
         FROM lines JOIN quantiles USING (name)) AS aggregates`,
    [
      trace.tenantId,
      trace.id,
      trace.createdAt.toISOString(),
      range.from.toISOString(),
      range.to.toISOString(),
      range.step,
      range.names as string[] | null,
      finest,
      daysAgo(config.TRACE_MINUTE_DAYS, now).toISOString(),
      daysAgo(config.TRACE_HOUR_DAYS, now).toISOString(),
    ],
    { prepare: true },
  )) as unknown as MetricFigures[];
  return row!;
}
