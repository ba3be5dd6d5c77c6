import type { Sql, SqlTransaction } from '#shared/sql.ts';
import type { MetricFunction, MetricSample, SampledSeries } from './compute.ts';
import type { Range } from './range.ts';

const hourMs = 3_600_000;
const rollupMs = 300_000;
/** A total just before the range tells what grew in its first step. */
const lookBackMs = 120_000;
/** Steps so long hold several samples. */
const thinFromMs = 60_000;
/** Functions of what totals grew by. */
const increases: ReadonlySet<MetricFunction> = new Set(['INCREASE', 'RATE', 'MEAN', 'P50', 'P90', 'P95', 'P99']);

export interface SeriesRow extends Omit<SampledSeries, 'samples'> {
  readonly id: string;
  readonly name: string;
  /** When its running totals last began anew, ms; null where they never did. */
  readonly fellAtMs: number | null;
  /** When it was last known to be sampled, to some minutes, ms. */
  readonly lastAtMs: number;
}

const columns = 'at, value, count, buckets';
/** Parameters of every source: tenant, series, and the ends of what is read. */
const within = `at >= $3::text::timestamptz AND at < $4::text::timestamptz`;
/** What is younger may not be summed up yet. */
const rolledUp = `date_bin('5 minutes', now() - interval '15 minutes', 'epoch')`;

/** Where samples lie, of long ranges by five minutes: statements by `series` and a condition. */
function sources(isCoarse: boolean): readonly ((series: string, condition: string) => string)[] {
  const of =
    (table: string, also = '') =>
    (series: string, condition: string) =>
      `SELECT series_id, ${columns} FROM platform.${table} WHERE tenant_id = $1 AND series_id = ${series} AND ${condition}${also}`;
  return isCoarse
    ? [of('metric_rollup', ` AND at < ${rolledUp}`), of('metric_sample', ` AND at >= ${rolledUp}`)]
    : [of('metric_sample')];
}

const everySample = (isCoarse: boolean) =>
  sources(isCoarse)
    .map((source) => source('ANY($2::uuid[])', within))
    .join(' UNION ALL ');

/**
 * Of running totals: the first sample, the last of each step, and both sides of every new beginning. What lies between
 * them adds up to the difference of two of these, so that it need not leave the database.
 */
const thinned = (isCoarse: boolean) => `
  SELECT series_id, ${columns} FROM (
    SELECT s.*, coalesce(s.count::float8, s.value) AS total, lag(s.at) OVER w AS before_at, lead(s.at) OVER w AS after_at,
      lag(coalesce(s.count::float8, s.value)) OVER w AS total_before, lead(coalesce(s.count::float8, s.value)) OVER w AS total_after
    FROM (${everySample(isCoarse)}) s WINDOW w AS (PARTITION BY s.series_id ORDER BY s.at)
  ) t WHERE before_at IS NULL OR after_at IS NULL OR total < total_before OR total_after < total
    OR date_bin($6::float8 * interval '1 ms', at, $5::text::timestamptz) <> date_bin($6::float8 * interval '1 ms', after_at, $5::text::timestamptz)`;

/**
 * The same of totals that did not begin anew since: the first sample and the last of each step (number -1 is before the
 * range), each found by key. What lies between them is not even read.
 */
const edges = (isCoarse: boolean) => {
  // Each table's own first: of both together all would be sorted.
  const one = (condition: string, order: string) => {
    const last = `ORDER BY at ${order} LIMIT 1`;
    const [first, ...more] = sources(isCoarse).map((source) => `(${source('s.id', condition)} ${last})`);
    return more.length === 0 ? first! : `SELECT * FROM (${[first, ...more].join(' UNION ALL ')}) f ${last}`;
  };
  const edge = (n: string) => `$5::text::timestamptz + (${n}) * $6::float8 * interval '1 ms'`;
  return `
  SELECT e.* FROM unnest($2::uuid[]) AS s(id) CROSS JOIN LATERAL (
    (${one(within, 'ASC')}) UNION ALL
    SELECT l.* FROM generate_series(-1, $7::int - 1) AS n CROSS JOIN LATERAL (
      ${one(`at >= CASE WHEN n < 0 THEN $3::text::timestamptz ELSE ${edge('n')} END AND at < ${edge('n + 1')}`, 'DESC')}
    ) l
  ) e`;
};

/** How levels of a step come to one. */
const levelOf: Partial<Record<MetricFunction, string>> = {
  LAST: '(array_agg(value ORDER BY sampled_at DESC))[1]',
  AVG: 'avg(value)',
  MIN: 'min(value)',
  MAX: 'max(value)',
};

/** One sample a step: what its samples come to. */
const levels = (level: string) => (isCoarse: boolean) =>
  `
  SELECT series_id, at, ${level} AS value, NULL::bigint AS count, '{}'::bigint[] AS buckets FROM (
    SELECT series_id, date_bin($6::float8 * interval '1 ms', at, $5::text::timestamptz) AS at, at AS sampled_at, value FROM (${everySample(isCoarse)}) s
    WHERE at >= $5::text::timestamptz
  ) t GROUP BY 1, 2`;

/** What computes the function over the range, of each series oldest first; of totals no more than that. */
export async function readSamples(
  sql: Sql | SqlTransaction,
  tenantId: string,
  series: readonly SeriesRow[],
  fn: MetricFunction,
  { fromMs, stepMs, steps }: Range,
): Promise<ReadonlyMap<string, readonly MetricSample[]>> {
  // By five minutes where the steps are no finer and the range is long.
  const isCoarse = stepMs >= rollupMs && steps * stepMs > 6 * hourMs;
  const backMs = isCoarse ? 2 * rollupMs : lookBackMs;
  const sinceMs = fromMs - backMs;
  const ends = [new Date(sinceMs).toISOString(), new Date(fromMs + steps * stepMs).toISOString()];
  const grid = [new Date(fromMs).toISOString(), stepMs];
  const level = levelOf[fn];
  const isThin = stepMs >= thinFromMs && increases.has(fn);
  const wayOf = ({ isDelta, fellAtMs }: SeriesRow) => {
    if (level !== undefined) return 'levels';
    if (!isThin || isDelta) return 'every';
    return fellAtMs === null || fellAtMs <= sinceMs ? 'edges' : 'thinned';
  };
  const ways = {
    every: { source: everySample, parameters: ends },
    levels: { source: levels(level ?? ''), parameters: [...ends, ...grid] },
    thinned: { source: thinned, parameters: [...ends, ...grid] },
    edges: { source: edges, parameters: [...ends, ...grid, steps] },
  } as const;
  const read = await Promise.all(
    [...Map.groupBy(series, wayOf)].map(async ([way, own]) => {
      const { source, parameters } = ways[way];
      return (await sql.unsafe(
        `SELECT series_id AS id, array_agg(extract(epoch FROM at) * 1000 ORDER BY at)::float8[] AS at, array_agg(value ORDER BY at) AS value,
           array_agg(count ORDER BY at)::float8[] AS count, json_agg(buckets ORDER BY at) AS buckets
         FROM (${source(isCoarse)}) s GROUP BY 1`,
        [tenantId, [...new Set(own.map(({ id }) => id))], ...parameters],
        { prepare: true },
      )) as unknown as StoredSamples[];
    }),
  );
  return new Map(read.flat().map((stored) => [stored.id, unpack(stored)]));
}

interface StoredSamples {
  readonly id: string;
  readonly at: readonly number[];
  readonly value: readonly number[];
  readonly count: readonly (number | null)[];
  readonly buckets: readonly (readonly number[])[];
}

/** One sample an instant: the first one may be the last of its step too. */
function unpack({ at, value, count, buckets }: StoredSamples): MetricSample[] {
  return at.flatMap((atMs, n) =>
    n > 0 && at[n - 1] === atMs
      ? []
      : {
          atMs,
          value: value[n]!,
          count: count[n] ?? null,
          buckets: buckets[n]!.length > 0 ? buckets[n]! : null,
        },
  );
}
