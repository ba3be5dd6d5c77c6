import { PlatformError } from '#shared/errors.ts';
import type { Sql, SqlTransaction } from '#shared/sql.ts';
import { parseInput } from '#shared/validation.ts';
import { computeSteps, type MetricFunction, type MetricSample, type SampledSeries } from './compute.ts';
import { type MetricQuery, metricQuery } from './inputs.ts';

const hourMs = 3_600_000;
const rollupMs = 300_000;
const maxSteps = 1_500;
const maxSeries = 500;
/** A total just before the range tells what grew in its first step. */
const lookBackMs = 120_000;
/** Steps so long hold several samples. */
const thinFromMs = 60_000;
/** Functions of what totals grew by. */
const increases: ReadonlySet<MetricFunction> = new Set(['INCREASE', 'RATE', 'MEAN', 'P50', 'P90', 'P95', 'P99']);

export interface Range {
  readonly fromMs: number;
  readonly stepMs: number;
  readonly steps: number;
}

/** @throws {VALIDATION_FAILED} where it has no end after its begin, or more than 1,500 steps. */
export function readRange(
  { from, to, stepMs }: { from?: unknown; to?: unknown; stepMs?: number | null | undefined },
  nowMs = Date.now(),
): Range {
  const toMs = (to as Date | null | undefined)?.getTime() ?? nowMs;
  const fromMs = (from as Date | null | undefined)?.getTime() ?? toMs - hourMs;
  if (!(fromMs < toMs))
    throw new PlatformError('VALIDATION_FAILED', 'from: expected a time before `to`', { path: ['from'] });
  const step = stepMs ?? Math.max(1_000, Math.ceil((toMs - fromMs) / 60));
  const steps = Math.ceil((toMs - fromMs) / step);
  if (!(step >= 1_000) || steps > maxSteps)
    throw new PlatformError('VALIDATION_FAILED', `stepMs: expected at least 1,000 and at most ${maxSteps} steps`, {
      path: ['stepMs'],
    });
  return { fromMs, stepMs: step, steps };
}

interface SeriesRow extends Omit<SampledSeries, 'samples'> {
  readonly id: string;
  readonly name: string;
}

export interface SeriesPoints {
  readonly labels: readonly { readonly name: string; readonly value: string }[];
  readonly points: readonly { readonly at: Date; readonly value: number }[];
}

/** Of the series of a tenant, those of the metrics with at least these labels; `instance` is one of them. */
async function findSeries(
  sql: Sql | SqlTransaction,
  tenantId: string,
  names: readonly string[],
  { instance, ...labels }: Readonly<Record<string, string>>,
): Promise<readonly SeriesRow[]> {
  const rows = (await sql.unsafe(
    `SELECT id, name, kind, labels, instance, is_delta AS "isDelta", bounds FROM platform.metric_series
     WHERE tenant_id = $1 AND name = ANY($2::text[]) AND labels @> $3::text::jsonb AND ($4::text IS NULL OR instance = $4)
     ORDER BY id LIMIT ${maxSeries + 1}`,
    [tenantId, names as string[], JSON.stringify(labels), instance ?? null],
    { prepare: true },
  )) as unknown as SeriesRow[];
  if (rows.length > maxSeries)
    throw new PlatformError('LIMIT_EXCEEDED', `expected at most ${maxSeries} series: name more labels`, {
      path: ['query'],
    });
  return rows;
}

/**
 * Of running totals: the first sample, the last of each step, and both sides of every new beginning. What lies between
 * them adds up to the difference of two of these, so that it need not leave the database.
 */
const thinned = (source: string) => `
  SELECT series_id, at, value, count, buckets FROM (
    SELECT s.*, coalesce(s.count::float8, s.value) AS total, lag(s.at) OVER w AS before_at, lead(s.at) OVER w AS after_at,
      lag(coalesce(s.count::float8, s.value)) OVER w AS total_before, lead(coalesce(s.count::float8, s.value)) OVER w AS total_after
    FROM (${source}) s WINDOW w AS (PARTITION BY s.series_id ORDER BY s.at)
  ) t WHERE before_at IS NULL OR after_at IS NULL OR total < total_before OR total_after < total
    OR date_bin($6::float8 * interval '1 ms', at, $5::text::timestamptz) <> date_bin($6::float8 * interval '1 ms', after_at, $5::text::timestamptz)`;

async function readSamples(
  sql: Sql | SqlTransaction,
  tenantId: string,
  series: readonly SeriesRow[],
  fn: MetricFunction,
  { fromMs, stepMs, steps }: Range,
): Promise<ReadonlyMap<string, MetricSample[]>> {
  // By five minutes where the steps are no finer and the range is long.
  const isCoarse = stepMs >= rollupMs && steps * stepMs > 6 * hourMs;
  const backMs = isCoarse ? 2 * rollupMs : lookBackMs;
  // What is younger may not be summed up yet.
  const rolledUp = `date_bin('5 minutes', now() - interval '15 minutes', 'epoch')`;
  const select = (table: string) =>
    `SELECT series_id, at, value, count, buckets FROM platform.${table}
     WHERE tenant_id = $1 AND series_id = ANY($2::uuid[]) AND at >= $3::text::timestamptz AND at < $4::text::timestamptz`;
  const source = isCoarse
    ? `${select('metric_rollup')} AND at < ${rolledUp} UNION ALL ${select('metric_sample')} AND at >= ${rolledUp}`
    : select('metric_sample');
  const isThin = stepMs >= thinFromMs && increases.has(fn) && !series.some(({ isDelta }) => isDelta);
  const rows = (await sql.unsafe(
    `SELECT series_id AS id, array_agg(extract(epoch FROM at) * 1000 ORDER BY at)::float8[] AS at, array_agg(value ORDER BY at) AS value,
       array_agg(count ORDER BY at)::float8[] AS count, json_agg(buckets ORDER BY at) AS buckets
     FROM (${isThin ? thinned(source) : source}) s GROUP BY 1`,
    [
      tenantId,
      series.map(({ id }) => id),
      new Date(fromMs - backMs).toISOString(),
      new Date(fromMs + steps * stepMs).toISOString(),
      ...(isThin ? [new Date(fromMs).toISOString(), stepMs] : []),
    ],
    { prepare: true },
  )) as unknown as { id: string; at: number[]; value: number[]; count: (number | null)[]; buckets: number[][] }[];
  return new Map(
    rows.map(({ id, at, value, count, buckets }) => [
      id,
      at.map((atMs, n) => ({
        atMs: Number(atMs),
        value: value[n]!,
        count: count[n] ?? null,
        buckets: buckets[n]!.length > 0 ? buckets[n]! : null,
      })),
    ]),
  );
}

export interface SeriesGroup {
  /** Sorted by name. */
  readonly labels: readonly (readonly [string, string])[];
  readonly series: readonly SampledSeries[];
}

/** The series of a query with their samples, in the groups that it tells apart, and those that it divides by. */
export async function readGroups(
  sql: Sql | SqlTransaction,
  tenantId: string,
  query: MetricQuery,
  range: Range,
): Promise<{ readonly groups: readonly SeriesGroup[]; readonly divisors: readonly SampledSeries[] }> {
  const { metric, dividedBy, by } = query;
  const names = [metric, ...(dividedBy === null ? [] : [dividedBy])];
  const found = await findSeries(sql, tenantId, names, dividedBy === null ? query.labels : {});
  if (found.length === 0) return { groups: [], divisors: [] };
  const samples = await readSamples(sql, tenantId, found, query.fn, range);
  const sampled = found.map((row) => ({ ...row, samples: samples.get(row.id) ?? [] }));
  const isAsked = ({ labels, instance }: SampledSeries) =>
    Object.entries(query.labels).every(([label, value]) => (label === 'instance' ? instance : labels[label]) === value);
  const labelsOf = ({ labels, instance }: SampledSeries): [string, string][] => {
    const all = Object.entries(instance === '' ? labels : { ...labels, instance });
    return (by === null ? all : all.filter(([name]) => by.includes(name))).toSorted(([one], [two]) =>
      one < two ? -1 : 1,
    );
  };
  const asked = sampled.filter((one) => one.name === metric && isAsked(one));
  return {
    groups: [...Map.groupBy(asked, (one) => JSON.stringify(labelsOf(one)))]
      .toSorted(([one], [two]) => (one < two ? -1 : 1))
      .map(([key, series]) => ({ labels: JSON.parse(key) as [string, string][], series })),
    divisors: sampled.filter(({ name }) => name === dividedBy),
  };
}

/** A metric by step, for each of the groups that the query tells apart. */
export async function queryMetric(
  sql: Sql | SqlTransaction,
  tenantId: string,
  query: MetricQuery,
  range: Range,
): Promise<readonly SeriesPoints[]> {
  const { groups, divisors } = await readGroups(sql, tenantId, query, range);
  return groups
    .map(({ labels, series }): SeriesPoints => {
      const values = computeSteps(series, { ...range, fn: query.fn });
      const divided =
        query.dividedBy === null ? null : computeSteps(sharing(divisors, labels), { ...range, fn: query.fn });
      return {
        labels: labels.map(([name, value]) => ({ name, value })),
        points: values.flatMap((value, step) => {
          const divisor = divided?.[step];
          if (value === null || divisor === null || divisor === 0) return [];
          const at = new Date(range.fromMs + step * range.stepMs);
          return [{ at, value: divisor === undefined ? value : value / divisor }];
        }),
      };
    })
    .filter(({ points }) => points.length > 0);
}

/** Of the divisors those that have the labels in common with the group: all of them where they have none. */
function sharing(divisors: readonly SampledSeries[], labels: SeriesGroup['labels']): readonly SampledSeries[] {
  return divisors.filter((divisor) =>
    labels.every(([name, value]) => {
      const own = name === 'instance' ? divisor.instance : divisor.labels[name];
      return own === undefined || own === value;
    }),
  );
}

/** Metrics as they are read. */
export function createMetricReading(sql: Sql) {
  return {
    definitions: async (tenantId: string, name: string | null) =>
      (await sql.unsafe(
        `SELECT s.name, min(s.kind) AS kind, min(s.help) AS help, min(s.unit) AS unit, count(*)::int AS series,
           ARRAY(SELECT DISTINCT k FROM platform.metric_series m, jsonb_object_keys(m.labels) AS k WHERE m.tenant_id = $1 AND m.name = s.name ORDER BY k) AS "labelNames"
         FROM platform.metric_series s WHERE s.tenant_id = $1 AND ($2::text IS NULL OR s.name = $2) GROUP BY s.name ORDER BY s.name LIMIT 2000`,
        [tenantId, name],
        { prepare: true },
      )) as unknown as {
        name: string;
        kind: 'COUNTER';
        help: string | null;
        unit: string | null;
        series: number;
        labelNames: string[];
      }[],

    /** @throws {VALIDATION_FAILED} {LIMIT_EXCEEDED} */
    series: (tenantId: string, query: unknown, range: Range) =>
      queryMetric(sql, tenantId, parseInput(metricQuery, query, ['query']), range),

    async snapshot(tenantId: string, names: readonly string[] | null) {
      const rows = (await sql.unsafe(
        `SELECT s.name, s.labels, s.instance, l.at, l.value, l.count::float8 AS count FROM platform.metric_series s
         CROSS JOIN LATERAL (SELECT at, value, count FROM platform.metric_sample m WHERE m.tenant_id = s.tenant_id AND m.series_id = s.id
           AND m.at > now() - interval '10 minutes' ORDER BY at DESC LIMIT 1) l
         WHERE s.tenant_id = $1 AND ($2::text[] IS NULL OR s.name = ANY($2)) AND s.last_at > now() - interval '20 minutes'
         ORDER BY s.name, s.id LIMIT 2000`,
        [tenantId, names as string[] | null],
        { prepare: true },
      )) as unknown as {
        name: string;
        labels: Record<string, string>;
        instance: string;
        at: Date;
        value: number;
        count: number | null;
      }[];
      return {
        takenAt: new Date(),
        figures: rows.map(({ labels, instance, ...row }) => ({
          ...row,
          instance: instance === '' ? null : instance,
          labels: Object.entries(labels).map(([name, value]) => ({ name, value })),
        })),
      };
    },
  };
}
