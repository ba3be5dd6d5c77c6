import type { Sql } from '#shared/sql.ts';
import { type Viewer, visibleCondition } from '../access.ts';
import type { TraceSeverityValue, TraceStatusValue, TraceTypeValue } from '../rows.ts';
import { type TraceListFilter, traceSeverity, whereTraces } from './traces.ts';

export interface OperationFigures {
  readonly service: string;
  readonly operation: string;
  readonly count: number;
  readonly errors: number;
  readonly p50Ms: number;
  readonly p95Ms: number;
  readonly p99Ms: number;
}

/** Lower bounds of the histogram of durations, ms: a microsecond to a day and a half in steps of 1, 2 and 5. */
const bounds = `ARRAY[${[0, ...Array.from({ length: 12 }, (_none, at) => [1, 2, 5].map((step) => `${step}e${at - 3}`)).flat()].join(', ')}]::numeric[]`;
const analysedTraces = 1_000;
const earlierPerOperation = 200;

/** Ended spans of the newest traces of a filter, by service and operation, slowest first. */
export async function findOperationFigures(sql: Sql, filter: TraceListFilter) {
  const { where, parameters } = whereTraces(filter);
  const [row] = (await sql.unsafe(
    `WITH chosen AS MATERIALIZED (
       SELECT t.tenant_id, t.id, t.created_at FROM trace.trace t WHERE ${where}
       ORDER BY t.created_at DESC, t.id DESC LIMIT ${analysedTraces}
     ), figures AS (
       SELECT s.service, s.name AS operation, count(*)::int AS count,
         (count(*) FILTER (WHERE s.status = 'error'))::int AS errors,
         percentile_disc(ARRAY[0.5, 0.95, 0.99]) WITHIN GROUP (ORDER BY (s.end_ns - s.start_ns) / 1e6) AS p
       FROM chosen c JOIN trace.span s ON s.tenant_id = c.tenant_id AND s.trace_id = c.id AND s.traced_at = c.created_at
       WHERE s.end_ns IS NOT NULL GROUP BY s.service, s.name
     )
     SELECT (SELECT count(*)::int FROM chosen) AS traces,
       (SELECT coalesce(json_agg(json_build_object('service', service, 'operation', operation, 'count', count, 'errors', errors,
         'p50Ms', p[1], 'p95Ms', p[2], 'p99Ms', p[3]) ORDER BY p[2] DESC), '[]') FROM figures) AS operations`,
    parameters as never[],
  )) as unknown as { traces: number; operations: OperationFigures[] }[];
  return row!;
}

/** Durations of the same operations in the 24 hours before, ms, newest first, of the traces that the viewer sees. */
export async function findEarlierDurations(
  sql: Sql,
  { tenantId, viewer }: { readonly tenantId: string; readonly viewer: Viewer | null },
  operations: readonly OperationFigures[],
  before: Date,
): Promise<readonly (readonly number[])[]> {
  const rows = (await sql.unsafe(
    `SELECT o.ord::int AS ord, array_agg(d.ms) AS durations
     FROM unnest($2::text[], $3::text[]) WITH ORDINALITY AS o(service, name, ord)
     CROSS JOIN LATERAL (SELECT ((s.end_ns - s.start_ns) / 1e6)::float8 AS ms
       FROM trace.span s JOIN trace.trace t ON t.tenant_id = s.tenant_id AND t.id = s.trace_id AND t.created_at = s.traced_at
       WHERE s.tenant_id = $1 AND s.service = o.service AND s.name = o.name AND s.end_ns IS NOT NULL
         AND s.start_ns < $4::bigint AND s.start_ns >= $4::bigint - 86400000000000
         AND ($5::text[] IS NULL OR ${visibleCondition('t', '$5')})
       ORDER BY s.start_ns DESC LIMIT ${earlierPerOperation}) AS d
     GROUP BY o.ord`,
    [
      tenantId,
      operations.map(({ service }) => service),
      operations.map(({ operation }) => operation),
      `${before.getTime()}000000`,
      viewer as readonly string[] as string[] | null,
    ],
  )) as unknown as { ord: number; durations: number[] }[];
  const byPlace = new Map(rows.map(({ ord, durations }) => [ord - 1, durations]));
  return operations.map((_operation, at) => byPlace.get(at) ?? []);
}

export interface TraceTotals {
  readonly count: number;
  readonly estimatedCount: number;
  readonly spanCount: number;
  readonly failedSpans: number;
  readonly p50Ms: number | null;
  readonly p95Ms: number | null;
  readonly p99Ms: number | null;
  readonly byType: readonly { readonly type: TraceTypeValue; readonly count: number }[];
  readonly bySeverity: readonly { readonly severity: TraceSeverityValue; readonly count: number }[];
  readonly durationHistogram: readonly {
    readonly fromMs: number;
    readonly toMs: number | null;
    readonly count: number;
  }[];
  readonly byStatus: readonly { readonly status: TraceStatusValue; readonly count: number }[];
}

export async function findTotals(sql: Sql, filter: TraceListFilter): Promise<TraceTotals> {
  const { where, parameters } = whereTraces(filter);
  const [row] = (await sql.unsafe(
    `WITH chosen AS MATERIALIZED (
       SELECT t.status, t.type, ${traceSeverity('t.')} AS severity, t.span_count, t.error_count, t.sampling_rate, (t.end_ns - t.start_ns) / 1e6 AS ms FROM trace.trace t WHERE ${where}
     ), p AS (SELECT percentile_disc(ARRAY[0.5, 0.95, 0.99]) WITHIN GROUP (ORDER BY ms) AS p FROM chosen)
     SELECT json_build_object('count', (SELECT count(*) FROM chosen),
       'estimatedCount', (SELECT coalesce(sum(1 / sampling_rate), 0) FROM chosen),
       'spanCount', (SELECT coalesce(sum(span_count), 0) FROM chosen),
       'failedSpans', (SELECT coalesce(sum(error_count), 0) FROM chosen),
       'p50Ms', p.p[1], 'p95Ms', p.p[2], 'p99Ms', p.p[3],
       'byType', (SELECT coalesce(json_agg(json_build_object('type', type, 'count', n) ORDER BY type), '[]')
         FROM (SELECT type, count(*) AS n FROM chosen GROUP BY type) AS g),
       'bySeverity', (SELECT coalesce(json_agg(json_build_object('severity', severity, 'count', n) ORDER BY severity), '[]')
         FROM (SELECT severity, count(*) AS n FROM chosen GROUP BY severity) AS g),
       'durationHistogram', (SELECT coalesce(json_agg(json_build_object('fromMs', (${bounds})[at], 'toMs', (${bounds})[at + 1],
           'count', n) ORDER BY at), '[]')
         FROM (SELECT width_bucket(greatest(ms, 0), ${bounds}) AS at, count(*) AS n FROM chosen WHERE ms IS NOT NULL GROUP BY 1) AS g),
       'byStatus', (SELECT coalesce(json_agg(json_build_object('status', status, 'count', n) ORDER BY status), '[]')
         FROM (SELECT status, count(*) AS n FROM chosen GROUP BY status) AS g)) AS totals FROM p`,
    parameters as never[],
  )) as unknown as { totals: TraceTotals }[];
  return row!.totals;
}
