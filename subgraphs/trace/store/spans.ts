import type { Sql, SqlTransaction } from '#shared/sql.ts';
import type { TraceRow, TraceSpanRow } from '../rows.ts';
import { readDetail, type SpanDetail, type StoredDetail } from './spanDetail.ts';

const spanColumns = `span_id AS "spanId", parent_span_id AS "parentSpanId", name, kind, service,
  start_ns::text AS "startNs", end_ns::text AS "endNs", status, status_message AS "statusMessage", late, detail`;

type StoredSpan = Omit<TraceSpanRow, keyof SpanDetail | 'traceId'> & { detail: StoredDetail };

export interface SpanOfTrace extends TraceSpanRow {
  /** Id of the trace's row; `traceId` is the W3C form. */
  readonly traceRowId: string;
}

/** Spans of a trace by start. */
export async function findSpans(sql: Sql, trace: TraceRow): Promise<readonly TraceSpanRow[]> {
  return findSpansOf(sql, trace.tenantId, [trace]);
}

/** Spans of the traces, each trace's by start. */
export async function findSpansOf(
  sql: Sql | SqlTransaction,
  tenantId: string,
  traces: readonly TraceRow[],
): Promise<readonly SpanOfTrace[]> {
  return readSpans(sql, tenantId, traces, null);
}

/** Those spans of traces of one tenant that meet a condition. */
export async function findSpansWhere(
  sql: Sql | SqlTransaction,
  traces: readonly TraceRow[],
  wanted: SpanCondition,
): Promise<readonly SpanOfTrace[]> {
  return traces.length === 0 ? [] : readSpans(sql, traces[0]!.tenantId, traces, wanted);
}

interface SpanCondition {
  /** @param place where the value stands. */
  condition(place: string): string;
  readonly value: readonly string[];
}

async function readSpans(
  sql: Sql | SqlTransaction,
  tenantId: string,
  traces: readonly TraceRow[],
  wanted: SpanCondition | null,
): Promise<readonly SpanOfTrace[]> {
  const rows = (await sql.unsafe(
    `SELECT trace_id AS "traceRowId", span_id AS "spanId", parent_span_id AS "parentSpanId", name, kind, service,
            start_ns::text AS "startNs", end_ns::text AS "endNs", status, status_message AS "statusMessage", late, detail
     FROM trace.span WHERE tenant_id = $1
       AND (trace_id, traced_at) IN (SELECT * FROM unnest($2::uuid[], $3::text[]::timestamptz[]))
       ${wanted === null ? '' : `AND ${wanted.condition('$4')}`}
     ORDER BY start_ns, span_id`,
    [
      ...[tenantId, traces.map(({ id }) => id), traces.map(({ createdAt }) => createdAt.toISOString())],
      ...(wanted === null ? [] : [[...wanted.value]]),
    ],
    { prepare: true },
  )) as unknown as (Omit<SpanOfTrace, keyof SpanDetail | 'traceId'> & { detail: StoredDetail })[];
  const w3cIds = new Map(traces.map(({ id, w3cId }) => [id, w3cId]));
  return rows.map(({ detail, ...row }) => ({ ...row, ...readDetail(detail), traceId: w3cIds.get(row.traceRowId)! }));
}

export async function findSpan(tx: SqlTransaction, trace: TraceRow, spanId: string): Promise<TraceSpanRow | null> {
  const [found] = (await tx.unsafe(
    `SELECT ${spanColumns} FROM trace.span
     WHERE tenant_id = $1 AND trace_id = $2 AND traced_at = $3::text::timestamptz AND span_id = $4`,
    [trace.tenantId, trace.id, trace.createdAt.toISOString(), spanId],
    { prepare: true },
  )) as unknown as StoredSpan[];
  if (!found) return null;
  const { detail, ...row } = found;
  return { ...row, ...readDetail(detail), traceId: trace.w3cId };
}
