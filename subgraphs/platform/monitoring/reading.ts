import { PlatformError } from '#shared/errors.ts';
import type { Sql, SqlTransaction } from '#shared/sql.ts';
import { parseInput } from '#shared/validation.ts';
import { computeSteps, type SampledSeries } from './compute.ts';
import { type MetricQuery, metricQuery } from './inputs.ts';
import type { Range } from './range.ts';
import { readSamples, type SeriesRow } from './samples.ts';

const maxSeries = 500;
/** A series that was not sampled for so long has ended: its age says nothing any more, ms. */
const endedMs = 1_800_000;

export interface SeriesPoints {
  readonly labels: readonly { readonly name: string; readonly value: string }[];
  readonly points: readonly { readonly at: Date; readonly value: number }[];
}

/** Series of a metric with at least these labels; `instance` is one of them. */
export interface SeriesSelection {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
}

/** The series of a tenant that are meant, each with the place of its selection. @throws {LIMIT_EXCEEDED} */
export async function findSeries(
  sql: Sql | SqlTransaction,
  tenantId: string,
  selections: readonly SeriesSelection[],
): Promise<readonly (SeriesRow & { readonly selection: number })[]> {
  const instances = selections.map(({ labels }) => labels['instance'] ?? null);
  const labels = selections.map(({ labels: { instance: _instance, ...own } }) => JSON.stringify(own));
  const rows = (await sql.unsafe(
    `SELECT q.n::int - 1 AS selection, s.* FROM unnest($2::text[], $3::text[], $4::text[]) WITH ORDINALITY AS q(name, labels, instance, n)
     CROSS JOIN LATERAL (
       SELECT id, name, kind, labels, instance, is_delta AS "isDelta", bounds, extract(epoch FROM fell_at)::float8 * 1000 AS "fellAtMs",
         extract(epoch FROM began_at)::float8 * 1000 AS "beganAtMs", extract(epoch FROM last_at)::float8 * 1000 AS "lastAtMs"
       FROM platform.metric_series m
       WHERE m.tenant_id = $1 AND m.name = q.name AND m.labels @> q.labels::jsonb AND (q.instance IS NULL OR m.instance = q.instance)
       ORDER BY id LIMIT ${maxSeries + 1}
     ) s ORDER BY q.n, s.id`,
    [tenantId, selections.map(({ name }) => name), labels, instances as string[]],
    { prepare: true },
  )) as unknown as (SeriesRow & { selection: number })[];
  if (rows.some(({ selection }, at) => rows[at + maxSeries]?.selection === selection))
    throw new PlatformError('LIMIT_EXCEEDED', `expected at most ${maxSeries} series: name more labels`, {
      path: ['query'],
    });
  return rows;
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
  const found = await findSeries(sql, tenantId, [
    { name: metric, labels: query.labels },
    ...(dividedBy === null ? [] : [{ name: dividedBy, labels: {} }]),
  ]);
  if (found.length === 0) return { groups: [], divisors: [] };
  const samples = await readSamples(sql, tenantId, found, query.fn, range);
  const sampled = found.map((row) => ({ ...row, samples: samples.get(row.id) ?? [] }));
  const labelsOf = ({ labels, instance }: SampledSeries): [string, string][] => {
    const all = Object.entries(instance === '' ? labels : { ...labels, instance });
    return (by === null ? all : all.filter(([name]) => by.includes(name))).toSorted(([one], [two]) =>
      one < two ? -1 : 1,
    );
  };
  const endMs = range.fromMs + range.stepMs * range.steps;
  const asked = sampled.filter(
    ({ selection, lastAtMs }) => selection === 0 && (query.fn !== 'AGE' || lastAtMs > endMs - endedMs),
  );
  return {
    groups: [...Map.groupBy(asked, (one) => JSON.stringify(labelsOf(one)))]
      .toSorted(([one], [two]) => (one < two ? -1 : 1))
      .map(([key, series]) => ({ labels: JSON.parse(key) as [string, string][], series })),
    divisors: sampled.filter(({ selection }) => selection === 1),
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
