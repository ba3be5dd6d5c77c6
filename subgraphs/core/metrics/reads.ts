import { isoText } from '#shared/record.ts';
import type { Sql, SqlTransaction } from '#shared/sql.ts';

type Db = Sql | SqlTransaction;

/** What was observed of a series. */
export interface Measured {
  readonly count: number;
  readonly mean: number;
  /** Squared standard deviation. */
  readonly variance: number;
}

export const nothing: Measured = { count: 0, mean: 0, variance: 0 };

export function measuredOf({
  count,
  sum,
  squares,
}: {
  readonly count: number;
  readonly sum: number;
  readonly squares: number;
}): Measured {
  if (count === 0) return nothing;
  const mean = sum / count;
  return { count, mean, variance: Math.max(0, squares / count - mean * mean) };
}

export interface Stretch {
  /** The tenant's, or the platform's. */
  readonly tenantId: string;
  /** ISO. */
  readonly from: string;
  readonly until: string;
}

/** All series of a tenant over a stretch of time. */
export async function findMeasured(
  db: Db,
  { tenantId, from, until }: Stretch,
): Promise<ReadonlyMap<string, Measured & { readonly instances: number }>> {
  const rows = (await db.unsafe(
    `SELECT series, sum(count)::float8 AS count, sum(sum) AS sum, sum(squares) AS squares, count(DISTINCT instance)::int AS instances
     FROM core.metric_sample WHERE tenant_id = $1 AND at > $2::text::timestamptz AND at <= $3::text::timestamptz GROUP BY series`,
    [tenantId, from, until],
    { prepare: true },
  )) as unknown as { series: string; count: number; sum: number; squares: number; instances: number }[];
  return new Map(rows.map(({ series, instances, ...sums }) => [series, { ...measuredOf(sums), instances }]));
}

/** Arrivals and services of one short stretch. */
export interface Window {
  readonly lengthMs: number;
  readonly arrived: number;
  readonly served: number;
  readonly serviceMs: number;
}

/** Stretch by stretch, oldest first, all processes together; stretches without any step are left out. */
export async function findWindows(
  db: Db,
  { tenantId, from, until }: Stretch,
  widthMs: number,
): Promise<readonly Window[]> {
  return (await db.unsafe(
    `SELECT $4::float8 AS "lengthMs", COALESCE(sum(sum) FILTER (WHERE series = 'step.arrived'), 0) AS arrived,
       COALESCE(sum(count) FILTER (WHERE series = 'step.service'), 0)::float8 AS served, COALESCE(sum(sum) FILTER (WHERE series = 'step.service'), 0) AS "serviceMs"
     FROM core.metric_sample WHERE tenant_id = $1 AND series IN ('step.arrived', 'step.service') AND at > $2::text::timestamptz AND at <= $3::text::timestamptz
     GROUP BY floor(extract(epoch FROM at) * 1000 / $4) ORDER BY floor(extract(epoch FROM at) * 1000 / $4)`,
    [tenantId, from, until, widthMs],
    { prepare: true },
  )) as unknown as Window[];
}

export interface MetricPoint {
  readonly at: string;
  readonly count: number;
  readonly mean: number;
  readonly deviation: number;
}

const maxPoints = 2_000;

/** A series over time, oldest first. */
export async function findHistory(
  db: Db,
  series: string,
  { tenantId, from, until }: Stretch,
  stepMs: number,
): Promise<MetricPoint[]> {
  const rows = (await db.unsafe(
    `SELECT ${isoText('max(at)')} AS at, sum(count)::int AS count, sum(sum) AS sum, sum(squares) AS squares
     FROM core.metric_sample WHERE tenant_id = $1 AND series = $2 AND at > $3::text::timestamptz AND at <= $4::text::timestamptz
     GROUP BY floor(extract(epoch FROM at) * 1000 / $5::float8) ORDER BY 1 LIMIT ${maxPoints}`,
    [tenantId, series, from, until, stepMs],
    { prepare: true },
  )) as unknown as { at: string; count: number; sum: number; squares: number }[];
  return rows.map(({ at, ...sums }) => {
    const { count, mean, variance } = measuredOf(sums);
    return { at, count, mean, deviation: Math.sqrt(variance) };
  });
}
