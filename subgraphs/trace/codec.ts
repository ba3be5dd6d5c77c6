import { ConcurrentInsert, type ProtocolCodec } from '#shared/codec.ts';
import type { Principal } from '#shared/principal.ts';
import type { Sql, SqlTransaction } from '#shared/sql.ts';
import type { TraceDocument, TraceSegmentDocument } from '../../schema/protocol/index.ts';
import { toDocument } from './document.ts';
import { spanIdOf, traceIdHexOf } from './ids/traceIds.ts';
import { keeper } from './keeper.ts';
import { observeTrace } from './observability.ts';
import type { ProtocolRemainder, TraceRow, TraceSpanRow } from './rows.ts';
import { saidStatusOf, segmentStatusKey } from './segments.ts';
import { findHistory, insertHistory, type NewTraceEvent } from './store/history.ts';
import { findSpansOf } from './store/spans.ts';
import { findTraces, tagsOf, traceColumns } from './store/traces.ts';

const endStatuses: readonly string[] = ['completed', 'failed', 'cancelled'];

/** Frozen forms, by id, of traces of one tenant that have one; their spans come from where they may stand already. */
export async function readDocuments(
  sql: Sql | SqlTransaction,
  rows: readonly TraceRow[],
  spansOf: (trace: TraceRow) => Promise<readonly TraceSpanRow[]>,
): Promise<Map<string, Record<string, unknown>>> {
  if (rows.length === 0) return new Map();
  const ids = rows.map(({ id }) => id);
  const { tenantId } = rows[0]!;
  const [protocols, spans, events] = await Promise.all([
    findProtocols(sql, tenantId, ids),
    Promise.all(rows.map(spansOf)),
    findHistory(sql, tenantId, ids),
  ]);
  const eventsByTrace = Map.groupBy(events, ({ traceId }) => traceId);
  return new Map(
    rows.flatMap((row, at) => {
      const document = toDocument({
        row,
        protocol: protocols.get(row.id) ?? null,
        spans: spans[at]!,
        events: eventsByTrace.get(row.id) ?? [],
      });
      return document === null ? [] : [[row.id, document] as const];
    }),
  );
}

/** Frozen traces in and out. */
export const traceCodec: ProtocolCodec = {
  async read(sql, tenantId, ids) {
    const rows = await findTraces(sql, tenantId, ids);
    if (rows.length === 0) return new Map();
    const spans = findSpansOf(sql, tenantId, rows).then((all) => Map.groupBy(all, ({ traceRowId }) => traceRowId));
    return readDocuments(sql, rows, async ({ id }) => (await spans).get(id) ?? []);
  },

  async write(tx, principal, documents) {
    const traces = documents.map((document) => document as unknown as TraceDocument);
    const rows = await insertTraces(tx, principal, traces);
    await insertSegments(
      tx,
      traces.flatMap((trace) => segmentRows(trace, rows.get(trace.trace_id)!)),
    );
    await insertHistory(
      tx,
      traces.flatMap((trace) => eventRows(trace, rows.get(trace.trace_id)!)),
    );
    return traces.map(({ trace_id: id }) => {
      const row = rows.get(id)!;
      return {
        tenantId: principal.tenantId,
        actor: principal.subject,
        events: [{ streamId: id, type: 'trace.created', data: { trace: row, imported: true }, tags: tagsOf(row) }],
        audit: [{ action: 'trace.import', resource: 'Trace', resourceId: id }],
      };
    });
  },

  /** Without the histories this module keeps by itself: they are a view of what the other modules export. */
  async idsOfContext(sql, tenantId, contextId) {
    const rows = (await sql.unsafe(
      `SELECT id FROM trace.trace WHERE tenant_id = $1 AND context_id = $2::text::uuid
         AND NOT (created_by = $3 AND plan_id IS NULL) ORDER BY ordinal`,
      [tenantId, contextId, keeper],
      { prepare: true },
    )) as unknown as { id: string }[];
    return rows.map(({ id }) => id);
  },
  observe: observeTrace,
};

async function findProtocols(
  sql: Sql | SqlTransaction,
  tenantId: string,
  ids: readonly string[],
): Promise<ReadonlyMap<string, ProtocolRemainder>> {
  const rows = (await sql.unsafe(
    'SELECT id, protocol FROM trace.trace WHERE tenant_id = $1 AND id = ANY($2::uuid[]) AND protocol IS NOT NULL',
    [tenantId, [...ids]],
    { prepare: true },
  )) as unknown as { id: string; protocol: ProtocolRemainder }[];
  return new Map(rows.map(({ id, protocol }) => [id, protocol]));
}

async function insertTraces(
  tx: SqlTransaction,
  { tenantId, subject }: Principal,
  traces: readonly TraceDocument[],
): Promise<ReadonlyMap<string, TraceRow>> {
  const now = new Date().toISOString();
  const input = traces.map((trace) => {
    const segments = trace.segments ?? [];
    const times = segments.flatMap(({ started_at, finished_at }) => [started_at, finished_at]);
    const known = [trace.started_at, trace.finished_at, ...times].flatMap((time) => {
      const instant = time === undefined ? null : instantOf(time);
      return instant === null ? [] : [BigInt(instant)];
    });
    return {
      tenant_id: tenantId,
      id: trace.trace_id,
      w3c_id: traceIdHexOf(trace.trace_id),
      context_id: trace.context_id,
      plan_id: trace.plan_id ?? null,
      name: segments[0]?.label.slice(0, 255) || `trace ${trace.trace_id.slice(0, 8)}`,
      status: trace.status,
      start_ns: known.length === 0 ? null : String(known.reduce((a, b) => (a < b ? a : b))),
      end_ns: known.length === 0 ? null : String(known.reduce((a, b) => (a > b ? a : b))),
      span_count: new Set(segments.map(({ segment_id }) => spanIdOf(segment_id))).size,
      error_count: segments.filter(({ status }) => status === 'failed').length,
      created_by: subject,
      tags: trace.meta.tags ?? [],
      finished_at: endStatuses.includes(trace.status) ? now : null,
      governance: trace.governance ?? null,
      protocol: remainderOf(trace),
    };
  });
  const rows = (await tx.unsafe(
    `INSERT INTO trace.trace (tenant_id, id, w3c_id, context_id, plan_id, name, status, start_ns, end_ns, span_count,
       error_count, created_by, tags, finished_at, governance, protocol)
     SELECT tenant_id, id, w3c_id, context_id, plan_id, name, status, start_ns, end_ns, span_count, error_count,
       created_by, tags, finished_at, governance, protocol
     FROM json_to_recordset($1::text::json) AS t(tenant_id text, id uuid, w3c_id text, context_id uuid, plan_id uuid,
       name text, status text, start_ns bigint, end_ns bigint, span_count int, error_count int, created_by text,
       tags text[], finished_at timestamptz, governance jsonb, protocol jsonb)
     ON CONFLICT DO NOTHING RETURNING ${traceColumns}`,
    [JSON.stringify(input)],
    { prepare: true },
  )) as unknown as TraceRow[];
  // Someone stored one of the ids since the caller looked.
  if (rows.length < traces.length) throw new ConcurrentInsert();
  return new Map(rows.map((row) => [row.id, row]));
}

function remainderOf(trace: TraceDocument): ProtocolRemainder {
  return {
    meta: trace.meta,
    rootSpan: trace.root_span,
    ...(trace.started_at === undefined ? {} : { startedAt: trace.started_at }),
    ...(trace.finished_at === undefined ? {} : { finishedAt: trace.finished_at }),
    ...(trace.segments === undefined ? {} : { segments: trace.segments }),
    ...(trace.events === undefined ? {} : { events: trace.events }),
  };
}

function segmentRows(trace: TraceDocument, row: TraceRow) {
  return (trace.segments ?? []).map((segment: TraceSegmentDocument) => {
    const start = instantOf(segment.started_at ?? trace.started_at ?? '') ?? nanoseconds(row.createdAt);
    const ended = endStatuses.includes(segment.status) || segment.status === 'skipped';
    const end = ended ? (instantOf(segment.finished_at ?? '') ?? start) : null;
    return {
      tenant_id: row.tenantId,
      trace_id: row.id,
      span_id: spanIdOf(segment.segment_id),
      traced_at: row.createdAt,
      parent_span_id: segment.parent_segment_id === undefined ? null : spanIdOf(segment.parent_segment_id),
      name: segment.label,
      start_ns: start,
      end_ns: end !== null && BigInt(end) < BigInt(start) ? start : end,
      status: segment.status === 'failed' ? 'error' : segment.status === 'completed' ? 'ok' : 'unset',
      detail: {
        attributes: {
          ...(segment.attributes ?? {}),
          ...(saidStatusOf(segment.status) === null ? {} : { [segmentStatusKey]: segment.status }),
          'segment.id': segment.segment_id,
        },
        resource: {},
        events: [],
        links: [],
        droppedAttributes: 0,
        droppedEvents: 0,
        droppedLinks: 0,
      },
    };
  });
}

async function insertSegments(tx: SqlTransaction, rows: readonly object[]): Promise<void> {
  if (rows.length === 0) return;
  await tx.unsafe(
    `INSERT INTO trace.span (tenant_id, trace_id, span_id, traced_at, parent_span_id, name, kind, service, start_ns,
       end_ns, status, late, detail)
     SELECT tenant_id, trace_id, span_id, traced_at, parent_span_id, name, 'internal', 'imported', start_ns, end_ns,
       status, false, detail
     FROM json_to_recordset($1::text::json) AS s(tenant_id text, trace_id uuid, span_id text, traced_at timestamptz,
       parent_span_id text, name text, start_ns bigint, end_ns bigint, status text, detail jsonb)
     ON CONFLICT DO NOTHING`,
    [JSON.stringify(rows)],
    { prepare: true },
  );
}

function eventRows(trace: TraceDocument, row: TraceRow): NewTraceEvent[] {
  return (trace.events ?? []).map((event) => {
    const at = instantOf(event.timestamp);
    return {
      tenantId: row.tenantId,
      traceId: row.id,
      eventId: event.event_id,
      type: event.event_type,
      source: event.source,
      actor: row.createdBy,
      occurredAt: at === null ? row.createdAt.toISOString() : new Date(Number(BigInt(at) / 1_000_000n)).toISOString(),
      recordedAt: row.createdAt.toISOString(),
      detail: event.data ?? {},
    };
  });
}

/** An RFC 3339 text as nanoseconds since 1970; null outside what 64 bits hold. A leap second is the second before it. */
function instantOf(text: string): string | null {
  const ms = Date.parse(text.replace(/:60(?=[.Zz+-])/, ':59'));
  const year = new Date(ms).getUTCFullYear();
  return Number.isNaN(ms) || year < 1700 || year > 2200 ? null : String(BigInt(ms) * 1_000_000n);
}

function nanoseconds(at: Date): string {
  return String(BigInt(at.getTime()) * 1_000_000n);
}
