import type { Sql } from '#shared/sql.ts';
import { sharedWith } from '../access.ts';
import { operationKey, type SimilarRuns } from '../analysis/comparison.ts';
import type { TraceRow, TraceSpanRow } from '../rows.ts';

const maxRuns = 200;
/** Of the newest so many the spans are compared too, as far as they have so many. */
const maxRead = 50;
const maxSpansRead = 10_000;

/**
 * Runs of the same root operation in the hours before, and how long the spans took in them that this trace has as well.
 * They are of the same context or of what all see: what is said of them is no secret to who reads this trace.
 */
export async function findSimilarRuns(
  sql: Sql,
  trace: TraceRow,
  root: TraceSpanRow,
  options: { readonly spans: readonly TraceSpanRow[]; readonly hours: number },
): Promise<SimilarRuns> {
  const kinds = [
    ...new Map(options.spans.map((span) => [operationKey(operationOf(span)), operationOf(span)])).values(),
  ];
  const [row] = (await sql.unsafe(
    `WITH runs AS MATERIALIZED (
       SELECT q.*, row_number() OVER newest AS place, sum(q.span_count) OVER newest AS so_far FROM (
       SELECT s.trace_id, s.traced_at, s.start_ns, t.span_count, ((s.end_ns - s.start_ns) / 1e6)::float8 AS ms
       FROM trace.span s JOIN trace.trace t ON t.tenant_id = s.tenant_id AND t.id = s.trace_id
       WHERE s.tenant_id = $1 AND s.service = $2 AND s.name = $3 AND s.parent_span_id IS NULL AND s.end_ns IS NOT NULL
         AND s.start_ns < $4::bigint AND s.start_ns >= $4::bigint - $5::bigint * 3600000000000
         AND s.traced_at <= $6::text::timestamptz AND s.traced_at > $6::text::timestamptz - ($5::bigint + 24) * interval '1 hour'
         AND s.trace_id <> $7 AND ${sharedWith('t', '$8')}
       ORDER BY s.start_ns DESC LIMIT ${maxRuns}) AS q WINDOW newest AS (ORDER BY q.start_ns DESC, q.trace_id)
     ), kinds AS (
       SELECT s.service, s.name, array_agg(((s.end_ns - s.start_ns) / 1e6)::float8) AS durations
       FROM runs r JOIN trace.span s ON s.tenant_id = $1 AND s.trace_id = r.trace_id AND s.traced_at = r.traced_at
       WHERE r.place <= ${maxRead} AND (r.place = 1 OR r.so_far <= ${maxSpansRead}) AND s.end_ns IS NOT NULL AND (s.service, s.name) IN (SELECT * FROM unnest($9::text[], $10::text[]))
       GROUP BY s.service, s.name
     )
     SELECT (SELECT coalesce(json_agg(ms ORDER BY place), '[]') FROM runs) AS durations,
       (SELECT coalesce(json_agg(json_build_object('service', service, 'operation', name, 'durations', durations)), '[]') FROM kinds) AS kinds`,
    [
      trace.tenantId,
      root.service,
      root.name,
      root.startNs,
      options.hours,
      trace.createdAt.toISOString(),
      trace.id,
      trace.contextId,
      kinds.map(({ service }) => service),
      kinds.map(({ operation }) => operation),
    ],
    { prepare: true },
  )) as unknown as {
    durations: number[];
    kinds: { service: string; operation: string; durations: number[] }[];
  }[];
  return {
    durations: row!.durations,
    operations: new Map(row!.kinds.map(({ durations, ...kind }) => [operationKey(kind), durations])),
  };
}

const operationOf = ({ service, name }: TraceSpanRow) => ({ service, operation: name });

/** Durations of traces of the same name made in the hours before, ms, newest first; of the same contexts as similar runs. */
export async function findEarlierRuns(sql: Sql, trace: TraceRow, hours: number): Promise<readonly number[]> {
  const rows = (await sql.unsafe(
    `SELECT ((t.end_ns - t.start_ns) / 1e6)::float8 AS ms FROM trace.trace t
     WHERE t.tenant_id = $1 AND t.name = $2 AND t.id <> $3 AND t.finished_at IS NOT NULL AND t.end_ns IS NOT NULL
       AND t.created_at < $4::text::timestamptz AND t.created_at >= $4::text::timestamptz - $5::int * interval '1 hour'
       AND ${sharedWith('t', '$6')}
     ORDER BY t.created_at DESC LIMIT 1000`,
    [trace.tenantId, trace.name, trace.id, trace.createdAt.toISOString(), hours, trace.contextId],
    { prepare: true },
  )) as unknown as { ms: number }[];
  return rows.map(({ ms }) => ms);
}
