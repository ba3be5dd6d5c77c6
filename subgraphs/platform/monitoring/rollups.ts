import type { Config } from '#shared/config.ts';
import type { Sql } from '#shared/sql.ts';

/** Sums up samples by five minutes: those whose five minutes are over and of the last three hours, however often. */
export async function rollUp(sql: Sql): Promise<void> {
  await sql.unsafe(
    `INSERT INTO platform.metric_rollup AS r (tenant_id, series_id, at, value, min, max, sum, samples, count, buckets)
     SELECT m.tenant_id, m.series_id, date_bin('5 minutes', m.at, 'epoch'),
       CASE WHEN s.is_delta THEN sum(m.value) ELSE (array_agg(m.value ORDER BY m.at DESC))[1] END, min(m.value), max(m.value), sum(m.value), count(*),
       CASE WHEN s.is_delta THEN sum(m.count)::bigint ELSE (array_agg(m.count ORDER BY m.at DESC))[1] END,
       CASE WHEN cardinality(max(m.buckets)) = 0 THEN '{}'::bigint[]
         WHEN s.is_delta THEN ARRAY(SELECT sum(b)::bigint FROM unnest(array_agg(m.at)) AS a(one)
           JOIN platform.metric_sample d ON d.tenant_id = m.tenant_id AND d.series_id = m.series_id AND d.at = a.one,
           unnest(d.buckets) WITH ORDINALITY AS u(b, n) GROUP BY n ORDER BY n)
         ELSE ARRAY(SELECT l.b FROM platform.metric_sample d, unnest(d.buckets) WITH ORDINALITY AS l(b, n)
           WHERE d.tenant_id = m.tenant_id AND d.series_id = m.series_id AND d.at = max(m.at) ORDER BY n) END
     FROM platform.metric_sample m JOIN platform.metric_series s ON s.tenant_id = m.tenant_id AND s.id = m.series_id
     WHERE m.at >= date_bin('5 minutes', now() - interval '3 hours', 'epoch') AND m.at < date_bin('5 minutes', now(), 'epoch')
     GROUP BY m.tenant_id, m.series_id, s.is_delta, date_bin('5 minutes', m.at, 'epoch')
     ON CONFLICT (tenant_id, series_id, at) DO UPDATE SET value = EXCLUDED.value, min = EXCLUDED.min, max = EXCLUDED.max, sum = EXCLUDED.sum,
       samples = EXCLUDED.samples, count = EXCLUDED.count, buckets = EXCLUDED.buckets WHERE r.samples <> EXCLUDED.samples`,
  );
}

/** Forgets what is older than it is kept, and series that nothing is left of. */
export async function sweepMetrics(
  sql: Sql,
  { METRIC_ROLLUP_DAYS }: Pick<Config, 'METRIC_ROLLUP_DAYS'>,
): Promise<void> {
  await sql.unsafe(`DELETE FROM platform.metric_rollup WHERE at < now() - $1::int * interval '1 day'`, [
    METRIC_ROLLUP_DAYS,
  ]);
  await sql.unsafe(
    `DELETE FROM platform.metric_series WHERE last_at < now() - $1::int * interval '1 day' - interval '1 day'`,
    [METRIC_ROLLUP_DAYS],
  );
  await sql.unsafe(`DELETE FROM platform.alert WHERE resolved_at < now() - interval '30 days'`);
}
