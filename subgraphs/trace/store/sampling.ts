import type { Sql, SqlTransaction } from '#shared/sql.ts';
import { type Viewer, visibleCondition } from '../access.ts';
import type { TraceRow } from '../rows.ts';
import type { TraceListFilter } from './traces.ts';

/** Stands where a trace lies in no context. */
const noContext = "'00000000-0000-0000-0000-000000000000'::uuid";

export interface DecisionRule {
  readonly rate: number;
  readonly slowMs: number;
  /** So long after its end a trace may still get spans. */
  readonly graceMs: number;
  /** So long without a new span, what exporters report is decided about though its root has not ended. */
  readonly waitSeconds: number;
  /** Undecided traces that may stand; over it the oldest are decided about before their time. */
  readonly maxUndecided: number;
  readonly batch: number;
}

export type Decided = Pick<TraceRow, 'tenantId' | 'id' | 'contextId' | 'planId'> & { readonly isKept: boolean };

/**
 * Kept whatever the rate: what failed, was slow or is of a kind to be kept, and what somebody has written down more of than
 * spans; also what its maker still works with, where it is decided about before its time.
 */
const keepsItself = `((d.error_count > 0 OR d.status = 'failed' OR d.severity IN ('error', 'critical') OR d.end_ns - d.start_ns >= $2::bigint
  OR d.type IN ('audit', 'decision') OR d.archived_at IS NOT NULL OR d.governance IS NOT NULL
  OR (d.context_id IS NOT NULL AND d.finished_at IS NULL)
  OR EXISTS (SELECT FROM trace.history h WHERE h.tenant_id = d.tenant_id AND h.trace_id = d.id AND h.recorded_at >= d.created_at - interval '1 hour')
  OR ${['snapshot', 'alert', 'metric', 'metric_rollup']
    .map((table) => `EXISTS (SELECT FROM trace.${table} o WHERE o.tenant_id = d.tenant_id AND o.trace_id = d.id)`)
    .join(' OR ')}) IS TRUE)`;

/** Condition that says of a W3C id what `isSampled` does. */
export const isChosen = (id: string, rate: string): string =>
  `(${rate}::float8 >= 1 OR ('x' || right(${id}, 13))::bit(52)::bigint < ${rate}::float8 * 4503599627370496)`;

/**
 * Decides about a batch of the traces that are complete, or have waited long enough: keeps them whole or lets them go whole, with a
 * mark for what comes late and what they count for. One statement: nobody sees a half, and whoever else decides takes
 * other traces.
 */
export async function decideSampling(tx: SqlTransaction, rule: DecisionRule): Promise<readonly Decided[]> {
  return (await tx.unsafe(
    `WITH due AS MATERIALIZED (
       SELECT t.* FROM trace.trace t WHERE t.undecided AND (t.finished_at < now() - $3::float8 * interval '1 ms'
         OR (t.context_id IS NULL AND t.finished_at IS NULL AND t.updated_at < now() - $4::float8 * interval '1 second')
         OR t.created_at <= (SELECT u.created_at FROM trace.trace u WHERE u.undecided ORDER BY u.created_at DESC OFFSET $5::int LIMIT 1))
       ORDER BY t.created_at LIMIT $6::int FOR UPDATE OF t SKIP LOCKED
     ), judged AS MATERIALIZED (
       SELECT d.tenant_id, d.id, ${keepsItself} AS own, ${isChosen('d.w3c_id', '$1')} AS chosen FROM due d
     ), kept AS (
       UPDATE trace.trace t SET undecided = false, sampling_rate = CASE WHEN j.own THEN 1 ELSE $1::float8 END
       FROM judged j WHERE t.tenant_id = j.tenant_id AND t.id = j.id AND (j.own OR j.chosen)
       RETURNING t.tenant_id, t.id, t.context_id, t.plan_id
     ), gone AS (
       DELETE FROM trace.trace t USING judged j WHERE t.tenant_id = j.tenant_id AND t.id = j.id AND NOT (j.own OR j.chosen)
       RETURNING t.tenant_id, t.id, t.context_id, t.plan_id, t.created_at, t.span_count
     ), spans AS (
       DELETE FROM trace.span s USING gone g WHERE s.tenant_id = g.tenant_id AND s.trace_id = g.id AND s.traced_at = g.created_at
     ), marks AS (
       INSERT INTO trace.sampled_out AS m (tenant_id, trace_id, decided_at, hour, context_id, span_count)
       SELECT tenant_id, id, now(), date_trunc('hour', created_at, 'UTC'), coalesce(context_id, ${noContext}), span_count FROM gone
       ON CONFLICT (tenant_id, trace_id) DO UPDATE SET decided_at = EXCLUDED.decided_at, hour = EXCLUDED.hour,
         span_count = m.span_count + EXCLUDED.span_count
     ), counts AS (
       INSERT INTO trace.sampling_count AS c (tenant_id, hour, context_id, traces, spans)
       SELECT tenant_id, date_trunc('hour', created_at, 'UTC'), coalesce(context_id, ${noContext}), count(*), sum(span_count) FROM gone
       GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
       ON CONFLICT (tenant_id, hour, context_id) DO UPDATE SET traces = c.traces + EXCLUDED.traces, spans = c.spans + EXCLUDED.spans
     )
     SELECT tenant_id AS "tenantId", id, context_id AS "contextId", plan_id AS "planId", true AS "isKept" FROM kept
     UNION ALL SELECT tenant_id, id, context_id, plan_id, false FROM gone`,
    [
      ...[
        rule.rate,
        String(Math.round(rule.slowMs * 1e6)),
        rule.graceMs,
        rule.waitSeconds,
        rule.maxUndecided,
        rule.batch,
      ],
    ] as never[],
    { prepare: true },
  )) as unknown as Decided[];
}

/** Forgets the marks of what nothing comes of any more, and counts as old as no trace. */
export async function forgetSampledOut(
  sql: Sql,
  { hours, days }: { readonly hours: number; readonly days: number },
): Promise<void> {
  await sql.unsafe(`DELETE FROM trace.sampled_out WHERE decided_at < now() - $1::int * interval '1 hour'`, [hours]);
  await sql.unsafe(`DELETE FROM trace.sampling_count WHERE hour < now() - $1::int * interval '1 day'`, [days]);
}

/** The mark of a trace that was let go. */
export interface SampledOut {
  readonly tenantId: string;
  readonly id: string;
  readonly spanCount: number;
}

type Key = Pick<SampledOut, 'tenantId' | 'id'>;

const columnsOf = (keys: readonly Key[]) => [keys.map(({ tenantId }) => tenantId), keys.map(({ id }) => id)];

export async function findSampledOut(
  tx: SqlTransaction,
  keys: readonly Key[],
): Promise<ReadonlyMap<string, SampledOut>> {
  if (keys.length === 0) return new Map();
  const rows = (await tx.unsafe(
    `SELECT tenant_id AS "tenantId", trace_id AS id, span_count AS "spanCount" FROM trace.sampled_out
     WHERE (tenant_id, trace_id) IN (SELECT * FROM unnest($1::text[], $2::uuid[]))`,
    columnsOf(keys),
    { prepare: true },
  )) as unknown as SampledOut[];
  return new Map(rows.map((row) => [`${row.tenantId}/${row.id}`, row]));
}

/** Keeps the traces that came back; unmakes those that stay out, whose spans came too late, and counts them. */
export async function settleLate(
  tx: SqlTransaction,
  { back, late }: { readonly back: readonly Key[]; readonly late: readonly (Key & { readonly spans: number })[] },
): Promise<void> {
  await tx.unsafe(
    `WITH back AS (
       DELETE FROM trace.sampled_out m USING unnest($1::text[], $2::uuid[]) AS b(tenant_id, id)
       WHERE m.tenant_id = b.tenant_id AND m.trace_id = b.id RETURNING m.*
     ), kept AS (
       UPDATE trace.trace t SET undecided = false, lost_spans = b.span_count FROM back b
       WHERE t.tenant_id = b.tenant_id AND t.id = b.trace_id
     ), unmade AS (
       DELETE FROM trace.trace t USING unnest($3::text[], $4::uuid[]) AS l(tenant_id, id)
       WHERE t.tenant_id = l.tenant_id AND t.id = l.id
     ), sums AS (
       SELECT tenant_id, hour, context_id, sum(traces) AS traces, sum(spans) AS spans, sum(late) AS late FROM (
         SELECT tenant_id, hour, context_id, 1 AS traces, span_count AS spans, 0 AS late FROM back
         UNION ALL SELECT m.tenant_id, m.hour, m.context_id, 0, 0, l.spans
         FROM unnest($3::text[], $4::uuid[], $5::int[]) AS l(tenant_id, id, spans)
         JOIN trace.sampled_out m ON m.tenant_id = l.tenant_id AND m.trace_id = l.id
       ) AS each GROUP BY 1, 2, 3
     ), locked AS MATERIALIZED (
       SELECT c.tenant_id, c.hour, c.context_id FROM trace.sampling_count c JOIN sums USING (tenant_id, hour, context_id)
       ORDER BY 1, 2, 3 FOR UPDATE OF c
     )
     UPDATE trace.sampling_count c SET traces = c.traces - s.traces, spans = c.spans - s.spans, late_spans = c.late_spans + s.late
     FROM sums s JOIN locked USING (tenant_id, hour, context_id)
     WHERE c.tenant_id = s.tenant_id AND c.hour = s.hour AND c.context_id = s.context_id`,
    [...columnsOf(back), ...columnsOf(late), late.map(({ spans }) => spans)],
    { prepare: true },
  );
}

export interface SampledOutCounts {
  readonly traces: number;
  readonly spans: number;
  readonly lateSpans: number;
}

/** What sampling let go in the hours that the filter's time touches, of the contexts that the viewer sees. */
export async function findSampledOutCounts(
  sql: Sql,
  {
    tenantId,
    viewer,
    contextId,
    from,
    to,
  }: Pick<TraceListFilter, 'tenantId' | 'contextId' | 'from' | 'to'> & {
    readonly viewer: Viewer | null;
  },
): Promise<SampledOutCounts> {
  const [row] = (await sql.unsafe(
    `SELECT coalesce(sum(c.traces), 0)::float8 AS traces, coalesce(sum(c.spans), 0)::float8 AS spans, coalesce(sum(c.late_spans), 0)::float8 AS "lateSpans"
     FROM (SELECT tenant_id, hour, traces, spans, late_spans, nullif(context_id, ${noContext}) AS context_id FROM trace.sampling_count) AS c
     WHERE c.tenant_id = $1 AND c.hour >= date_trunc('hour', $2::text::timestamptz, 'UTC') AND ($3::text IS NULL OR c.hour < $3::text::timestamptz)
       AND ($4::uuid IS NULL OR c.context_id = $4) AND ($5::text[] IS NULL OR ${visibleCondition('c', '$5')})`,
    [
      tenantId,
      from.toISOString(),
      to?.toISOString() ?? null,
      contextId,
      viewer as readonly string[] as string[] | null,
    ],
    { prepare: true },
  )) as unknown as SampledOutCounts[];
  return row!;
}
