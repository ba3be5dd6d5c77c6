import type { Sql, SqlTransaction } from '#shared/sql.ts';
import type { TraceRow, TraceSpanRow } from '../rows.ts';

const spanColumns = `span_id AS "spanId", parent_span_id AS "parentSpanId", name, kind, service,
  start_ns::text AS "startNs", end_ns::text AS "endNs", status, status_message AS "statusMessage", late, detail`;

type StoredSpan = Omit<TraceSpanRow, keyof SpanDetail | 'traceId'> & { detail: SpanDetail };

/** Spans of a trace by start. */
export async function findSpans(sql: Sql, trace: TraceRow): Promise<readonly TraceSpanRow[]> {
  const rows = (await sql.unsafe(
    `SELECT ${spanColumns} FROM trace.span
     WHERE tenant_id = $1 AND trace_id = $2 AND traced_at = $3::text::timestamptz ORDER BY start_ns, span_id`,
    [trace.tenantId, trace.id, trace.createdAt.toISOString()],
    { prepare: true },
  )) as unknown as StoredSpan[];
  return rows.map(({ detail, ...row }) => ({ ...row, ...detail, traceId: trace.w3cId }));
}

export async function findSpan(tx: SqlTransaction, trace: TraceRow, spanId: string): Promise<TraceSpanRow | null> {
  const [found] = (await tx.unsafe(
    `SELECT ${spanColumns} FROM trace.span
     WHERE tenant_id = $1 AND trace_id = $2 AND traced_at = $3::text::timestamptz AND span_id = $4`,
    [trace.tenantId, trace.id, trace.createdAt.toISOString(), spanId],
  )) as unknown as StoredSpan[];
  if (!found) return null;
  const { detail, ...row } = found;
  return { ...row, ...detail, traceId: trace.w3cId };
}

export type SpanDetail = Pick<
  TraceSpanRow,
  'attributes' | 'resource' | 'events' | 'links' | 'droppedAttributes' | 'droppedEvents' | 'droppedLinks'
>;
