import { derivedId } from '../derivedId.ts';
import type { Sql, SqlTransaction } from '../sql.ts';

export interface SeriesKey {
  readonly tenantId: string;
  readonly name: string;
  readonly kind: 'COUNTER' | 'GAUGE' | 'HISTOGRAM';
  readonly labels: Readonly<Record<string, string>>;
  /** Process it is of; empty of what a tenant records. */
  readonly instance: string;
  readonly isDelta: boolean;
  /** Running totals that its process counts from nothing, so that the first sample is what they grew by. @default nobody knows */
  readonly isFromZero?: boolean;
  readonly bounds: readonly number[];
  readonly unit: string | null;
  readonly help: string | null;
}

/** A sample on its way to the table; of a histogram `value` is the sum. */
export interface NewSample {
  readonly series: SeriesKey;
  readonly atMs: number;
  readonly value: number;
  readonly count: number | null;
  readonly buckets: readonly number[] | null;
}

const writeSamples = `
WITH given AS (
  SELECT * FROM json_to_recordset($1::text::json) AS r(tenant_id text, series_id uuid, at timestamptz, value float8, count bigint, buckets json, is_delta boolean)
)
INSERT INTO platform.metric_sample AS s (tenant_id, series_id, at, value, count, buckets)
SELECT tenant_id, series_id, at, sum(value), sum(count)::bigint,
  CASE WHEN (array_agg(buckets))[1] IS NULL THEN '{}'::bigint[] ELSE ARRAY(SELECT json_array_elements_text((array_agg(buckets))[1])::bigint) END
FROM given GROUP BY tenant_id, series_id, at, is_delta ORDER BY tenant_id, series_id, at
ON CONFLICT (tenant_id, series_id, at) DO UPDATE SET value = s.value + EXCLUDED.value, count = s.count + EXCLUDED.count,
  buckets = ARRAY(SELECT coalesce(a, 0) + coalesce(b, 0) FROM unnest(s.buckets, EXCLUDED.buckets) WITH ORDINALITY AS t(a, b, n) ORDER BY n)
  WHERE (SELECT is_delta FROM platform.metric_series m WHERE m.tenant_id = s.tenant_id AND m.id = s.series_id)`;

/**
 * Notes running totals that are less than one before them, in the table or among those given: they began anew. Written
 * before the samples, so that no reader meets them without it.
 */
const noteFalls = `
UPDATE platform.metric_series m SET fell_at = f.at FROM (
  SELECT g.tenant_id, g.series_id, max(greatest(
      CASE WHEN g.total < g.total_before OR g.total < before.total THEN g.at END, CASE WHEN after.total < g.total THEN after.at END)) AS at
  FROM (
    SELECT r.*, lag(total) OVER (PARTITION BY tenant_id, series_id ORDER BY at) AS total_before
    FROM json_to_recordset($1::text::json) AS r(tenant_id text, series_id uuid, at timestamptz, total float8)
  ) g
  LEFT JOIN LATERAL (SELECT coalesce(count::float8, value) AS total FROM platform.metric_sample s
    WHERE s.tenant_id = g.tenant_id AND s.series_id = g.series_id AND s.at < g.at ORDER BY s.at DESC LIMIT 1) before ON true
  LEFT JOIN LATERAL (SELECT coalesce(count::float8, value) AS total, s.at FROM platform.metric_sample s
    WHERE s.tenant_id = g.tenant_id AND s.series_id = g.series_id AND s.at > g.at ORDER BY s.at LIMIT 1) after ON true
  GROUP BY 1, 2
) f WHERE f.at IS NOT NULL AND m.tenant_id = f.tenant_id AND m.id = f.series_id AND (m.fell_at IS NULL OR m.fell_at < f.at)`;

/** Canonical text of labels: their order says nothing. */
export function labelText(labels: Readonly<Record<string, string>>): string {
  return JSON.stringify(Object.entries(labels).toSorted(([one], [two]) => (one < two ? -1 : 1)));
}

const ids = new Map<string, string>();

/** The same series has the same id in every process. */
export function seriesId({ tenantId, name, labels, instance, isDelta }: SeriesKey): string {
  const key = JSON.stringify([tenantId, name, labelText(labels), instance, isDelta]);
  let id = ids.get(key);
  if (id === undefined) {
    if (ids.size > 50_000) ids.clear();
    id = derivedId(`metric ${key}`);
    ids.set(key, id);
  }
  return id;
}

/** Stores samples, and series that were not known. Increments of one instant add up. */
export async function appendSamples(sql: Sql | SqlTransaction, samples: readonly NewSample[]): Promise<void> {
  if (samples.length === 0) return;
  const series = new Map(samples.map((sample) => [seriesId(sample.series), sample.series]));
  const firstMs = new Map<string, number>();
  for (const { series: one, atMs } of samples) {
    if (!one.isFromZero) continue;
    const id = seriesId(one);
    firstMs.set(id, Math.min(atMs, firstMs.get(id) ?? atMs));
  }
  const text = JSON.stringify(
    [...series].map(([id, { tenantId, name, kind, labels, instance, isDelta, isFromZero, bounds, unit, help }]) => ({
      tenant_id: tenantId,
      id,
      name,
      kind,
      labels,
      instance,
      is_delta: isDelta,
      bounds,
      unit,
      help,
      began_at: isFromZero ? new Date(firstMs.get(id)!).toISOString() : null,
    })),
  );
  await sql.unsafe(
    `INSERT INTO platform.metric_series AS m (tenant_id, id, name, kind, labels, instance, is_delta, bounds, unit, help, last_at, began_at)
     SELECT tenant_id, id, name, kind, labels, instance, is_delta, ARRAY(SELECT json_array_elements_text(bounds)::float8), unit, help, now(), began_at
     FROM json_to_recordset($1::text::json) AS r(tenant_id text, id uuid, name text, kind text, labels jsonb, instance text, is_delta boolean, bounds json,
       unit text, help text, began_at timestamptz)
     ORDER BY tenant_id, id
     ON CONFLICT (tenant_id, id) DO UPDATE SET last_at = now() WHERE m.last_at < now() - interval '5 minutes'`,
    [text],
    { prepare: true },
  );
  const instants = merged(samples);
  const totals = instants.filter(({ series: { isDelta, kind } }) => !isDelta && kind !== 'GAUGE');
  if (totals.length > 0)
    await sql.unsafe(
      noteFalls,
      [
        JSON.stringify(
          totals.map(({ series: one, atMs, value, count }) => ({
            tenant_id: one.tenantId,
            series_id: seriesId(one),
            at: new Date(atMs).toISOString(),
            total: count ?? value,
          })),
        ),
      ],
      { prepare: true },
    );
  await sql.unsafe(
    writeSamples,
    [
      JSON.stringify(
        instants.map(({ series: one, atMs, value, count, buckets }) => ({
          tenant_id: one.tenantId,
          series_id: seriesId(one),
          at: new Date(atMs).toISOString(),
          value,
          count,
          buckets,
          is_delta: one.isDelta,
        })),
      ),
    ],
    { prepare: true },
  );
}

/** Tells of the series of a process that has ended well: nothing more of them is waited for. */
export async function endSeries(
  sql: Sql,
  { tenantId, instance }: Pick<SeriesKey, 'tenantId' | 'instance'>,
): Promise<void> {
  await sql.unsafe(
    `UPDATE platform.metric_series SET last_at = now() - interval '1 hour' WHERE tenant_id = $1 AND instance = $2`,
    [tenantId, instance],
  );
}

/** One sample an instant and series: of increments their sum, else the last. */
function merged(samples: readonly NewSample[]): readonly NewSample[] {
  const byKey = new Map<string, NewSample>();
  for (const sample of samples) {
    const key = `${seriesId(sample.series)}/${sample.atMs}`;
    const known = sample.series.isDelta ? byKey.get(key) : undefined;
    byKey.set(
      key,
      known === undefined
        ? sample
        : {
            ...sample,
            value: known.value + sample.value,
            count: known.count === null || sample.count === null ? null : known.count + sample.count,
            buckets: sample.buckets?.map((count, at) => count + (known.buckets?.[at] ?? 0)) ?? null,
          },
    );
  }
  return [...byKey.values()];
}
