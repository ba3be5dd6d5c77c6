import { createBatcher } from '#shared/batch.ts';
import type { RequestScope } from '#shared/context.ts';
import type { EventRow } from '#shared/events.ts';
import { appendChange, type Change } from '#shared/outbox.ts';
import type { SqlTransaction } from '#shared/sql.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import { traceIdOf } from './ids/traceIds.ts';
import { limits } from './otlp/attributes.ts';
import type { RejectedSpan } from './otlp/readRequest.ts';
import type { ReportedSpan } from './otlp/span.ts';
import type { TraceRow } from './rows.ts';
import { tagsOf, traceColumns } from './store/traces.ts';

/** How long after its end a trace takes spans still, ms. */
const graceMs = 60_000;

export interface IngestItem {
  readonly scope: RequestScope;
  readonly spans: readonly { readonly index: number; readonly span: ReportedSpan }[];
  /** Makes traces that are not there, and ends them with their root span. */
  readonly open: boolean;
}

export interface IngestResult {
  readonly accepted: number;
  readonly known: number;
  readonly rejected: readonly RejectedSpan[];
}

interface Placed {
  readonly item: number;
  readonly index: number;
  readonly key: string;
  readonly tenantId: string;
  readonly traceId: string;
  readonly span: ReportedSpan;
  readonly open: boolean;
  readonly subject: string;
}

interface Written {
  readonly tenant_id: string;
  readonly trace_id: string;
  readonly span_id: string;
}

/** Stores spans of many calls in one transaction; each call is answered after it has committed. */
export function createIngest(runtime: ModuleRuntime) {
  return createBatcher<IngestItem, IngestResult>({
    maxItems: 500,
    maxDelayMs: 0,
    maxRuns: 2,
    run: async (items) => {
      const outcome = await runtime.sql.begin((tx) => store(tx, items));
      for (const [item, events] of outcome.events) await runtime.publisher.published(events, items[item]!.scope);
      return outcome.results;
    },
  });
}

async function store(tx: SqlTransaction, items: readonly IngestItem[]) {
  const placed = items.flatMap(({ scope, spans, open }, item): Placed[] =>
    spans.map(({ index, span }) => {
      const { tenantId, subject } = scope.principal;
      const traceId = traceIdOf(span.traceId);
      return { item, index, key: `${tenantId}/${traceId}`, tenantId, traceId, span, open, subject };
    }),
  );
  const traces = await openTraces(tx, placed);
  const rejected = items.map((): RejectedSpan[] => []);
  const room = new Map([...traces].map(([key, row]) => [key, limits.spansPerTrace - row.spanCount]));
  const rows = new Map<string, { place: Placed; late: boolean }>();
  const doubled = items.map(() => 0);
  const now = Date.now();
  for (const place of placed) {
    const trace = traces.get(place.key);
    const reason = refusal(trace, room.get(place.key) ?? 0, now);
    const id = `${place.key}/${place.span.spanId}`;
    if (reason !== null) rejected[place.item]!.push({ index: place.index, reason });
    else if (rows.has(id)) doubled[place.item]! += 1;
    else {
      rows.set(id, { place, late: trace!.finishedAt !== null });
      room.set(place.key, room.get(place.key)! - 1);
    }
  }
  const fresh = await insertSpans(tx, [...rows.values()], traces);
  const accepted = items.map(() => 0);
  const changes = new Map<string, Placed[]>();
  for (const [id, { place }] of rows) {
    if (!fresh.has(id)) doubled[place.item]! += 1;
    else {
      accepted[place.item]! += 1;
      const list = changes.get(place.key);
      if (list) list.push(place);
      else changes.set(place.key, [place]);
    }
  }
  const events = await countIn(tx, changes, items);
  const results = items.map((_item, at) => ({
    accepted: accepted[at]!,
    known: doubled[at]!,
    rejected: rejected[at]!,
  }));
  return { results, events };
}

function refusal(trace: TraceRow | undefined, room: number, now: number): string | null {
  if (!trace) return 'NOT_FOUND: no such trace';
  if (trace.finishedAt !== null && now - trace.finishedAt.getTime() > graceMs)
    return `TRACE_CLOSED: the trace ended more than ${graceMs / 1_000} s ago`;
  return room <= 0 ? `SPAN_LIMIT: the trace holds ${limits.spansPerTrace} spans` : null;
}

/** The traces named, locked in the order of their ids; those of open items are made where they are not there. */
async function openTraces(tx: SqlTransaction, placed: readonly Placed[]): Promise<ReadonlyMap<string, TraceRow>> {
  const named = new Map<string, Placed>();
  for (const place of placed) {
    const known = named.get(place.key);
    // A span without a parent names the trace best.
    if (
      !known ||
      (place.open && (!known.open || (known.span.parentSpanId !== null && place.span.parentSpanId === null)))
    )
      named.set(place.key, place);
  }
  const list = [...named.values()].sort((a, b) => (a.key < b.key ? -1 : 1));
  const made = list
    .filter(({ open }) => open)
    .map(({ tenantId, traceId, span, subject }) => ({
      tenant_id: tenantId,
      id: traceId,
      w3c_id: span.traceId,
      name: span.name,
      created_by: subject,
    }));
  if (made.length > 0) {
    await tx.unsafe(
      `INSERT INTO trace.trace (tenant_id, id, w3c_id, name, status, created_by)
       SELECT tenant_id, id, w3c_id, name, 'running', created_by
       FROM json_to_recordset($1::text::json) AS t(tenant_id text, id uuid, w3c_id text, name text, created_by text)
       ON CONFLICT (tenant_id, id) DO NOTHING`,
      [JSON.stringify(made)],
      { prepare: true },
    );
  }
  const rows = (await tx.unsafe(
    `SELECT ${traceColumns} FROM trace.trace
     WHERE (tenant_id, id) IN (SELECT * FROM unnest($1::text[], $2::uuid[])) ORDER BY tenant_id, id FOR UPDATE`,
    [list.map(({ tenantId }) => tenantId), list.map(({ traceId }) => traceId)],
    { prepare: true },
  )) as unknown as TraceRow[];
  return new Map(rows.map((row) => [`${row.tenantId}/${row.id}`, row]));
}

async function insertSpans(
  tx: SqlTransaction,
  rows: readonly { place: Placed; late: boolean }[],
  traces: ReadonlyMap<string, TraceRow>,
): Promise<ReadonlySet<string>> {
  if (rows.length === 0) return new Set();
  const input = rows.map(({ place: { tenantId, traceId, key, span }, late }) => ({
    tenant_id: tenantId,
    trace_id: traceId,
    span_id: span.spanId,
    traced_at: traces.get(key)!.createdAt,
    parent_span_id: span.parentSpanId,
    name: span.name,
    kind: span.kind,
    service: span.service,
    start_ns: span.startNs,
    end_ns: span.endNs,
    status: span.status,
    status_message: span.statusMessage,
    late,
    detail: {
      attributes: span.attributes,
      resource: span.resource,
      events: span.events,
      links: span.links,
      droppedAttributes: span.droppedAttributes,
      droppedEvents: span.droppedEvents,
      droppedLinks: span.droppedLinks,
    },
  }));
  const written = (await tx.unsafe(
    `INSERT INTO trace.span (tenant_id, trace_id, span_id, traced_at, parent_span_id, name, kind, service, start_ns,
       end_ns, status, status_message, late, detail)
     SELECT * FROM json_to_recordset($1::text::json) AS s(tenant_id text, trace_id uuid, span_id text,
       traced_at timestamptz, parent_span_id text, name text, kind text, service text, start_ns bigint, end_ns bigint,
       status text, status_message text, late boolean, detail jsonb)
     ON CONFLICT DO NOTHING RETURNING tenant_id, trace_id, span_id`,
    [JSON.stringify(input)],
    { prepare: true },
  )) as unknown as Written[];
  return new Set(written.map((row) => `${row.tenant_id}/${row.trace_id}/${row.span_id}`));
}

/** Adds the new spans to what their traces add up to, with one event per trace. */
async function countIn(
  tx: SqlTransaction,
  changes: ReadonlyMap<string, readonly Placed[]>,
  items: readonly IngestItem[],
): Promise<ReadonlyMap<number, readonly EventRow[]>> {
  const byItem = new Map<number, readonly EventRow[]>();
  if (changes.size === 0) return byItem;
  const sums = [...changes.values()].map((places) => {
    const { tenantId, traceId } = places[0]!;
    const root = places.find(({ span, open }) => open && span.parentSpanId === null && span.endNs !== null);
    const ends = places.map(({ span }) => BigInt(span.endNs ?? span.startNs));
    return {
      tenant_id: tenantId,
      id: traceId,
      spans: places.length,
      errors: places.filter(({ span }) => span.status === 'error').length,
      start_ns: String(places.map(({ span }) => BigInt(span.startNs)).reduce((a, b) => (a < b ? a : b))),
      end_ns: String(ends.reduce((a, b) => (a > b ? a : b))),
      outcome: root === undefined ? null : root.span.status === 'error' ? 'failed' : 'completed',
    };
  });
  const rows = (await tx.unsafe(
    `UPDATE trace.trace AS t SET span_count = span_count + s.spans, error_count = error_count + s.errors,
       start_ns = least(t.start_ns, s.start_ns), end_ns = greatest(t.end_ns, s.end_ns), revision = revision + 1,
       updated_at = now(), status = CASE WHEN finished_at IS NULL THEN coalesce(s.outcome, status) ELSE status END,
       finished_at = CASE WHEN finished_at IS NULL AND s.outcome IS NOT NULL THEN now() ELSE finished_at END
     FROM (SELECT tenant_id AS of_tenant, id AS of_trace, spans, errors, start_ns, end_ns, outcome
       FROM json_to_recordset($1::text::json) AS s(tenant_id text, id uuid, spans int, errors int, start_ns bigint,
         end_ns bigint, outcome text)) AS s
     WHERE t.tenant_id = s.of_tenant AND t.id = s.of_trace
     RETURNING ${traceColumns.replace('start_ns::', 't.start_ns::').replace('end_ns::', 't.end_ns::')}`,
    [JSON.stringify(sums)],
    { prepare: true },
  )) as unknown as TraceRow[];
  const owners = rows.map((row) => changes.get(`${row.tenantId}/${row.id}`)![0]!.item);
  const appended = await appendChange(
    tx,
    'trace',
    rows.map((row, at): Change => {
      const { principal, traceparent } = items[owners[at]!]!.scope;
      return {
        tenantId: row.tenantId,
        actor: principal.subject,
        traceparent,
        events: [{ streamId: row.id, type: 'trace.spans.added', data: { trace: row }, tags: tagsOf(row) }],
      };
    }),
  );
  appended.forEach((event, at) => {
    const owner = owners[at]!;
    byItem.set(owner, [...(byItem.get(owner) ?? []), event]);
  });
  return byItem;
}
