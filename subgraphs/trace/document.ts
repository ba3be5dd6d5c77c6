import { derivedId, spanIdOf } from './ids/traceIds.ts';
import type { ProtocolRemainder, TraceEventRow, TraceRow, TraceSpanRow } from './rows.ts';
import { statusOf } from './segments.ts';

const version = '1.0.0';

export interface TraceContent {
  readonly row: TraceRow;
  readonly protocol: ProtocolRemainder | null;
  readonly spans: readonly TraceSpanRow[];
  readonly events: readonly TraceEventRow[];
}

/**
 * The frozen form: spans are its segments, the earliest span without a parent its root. What was imported stands to the
 * letter, and what came since behind it. Null for a trace in no context: the form has no place for one.
 */
export function toDocument({ row, protocol, spans, events }: TraceContent): Record<string, unknown> | null {
  if (row.contextId === null) return null;
  const kept = new Set(protocol?.segments?.map(({ segment_id }) => spanIdOf(segment_id)));
  const named = new Map(protocol?.segments?.map(({ segment_id }) => [spanIdOf(segment_id), segment_id]));
  const idOf = (spanId: string) => named.get(spanId) ?? derivedId(`segment ${row.id} ${spanId}`);
  const present = new Set(spans.map(({ spanId }) => spanId));
  const segments: unknown[] = [
    ...(protocol?.segments ?? []),
    ...spans.filter(({ spanId }) => !kept.has(spanId)).map((span) => toSegment(span, idOf, present)),
  ];
  const known = new Set(protocol?.events?.map(({ event_id }) => event_id));
  const shown: unknown[] = [
    ...(protocol?.events ?? []),
    ...events.filter(({ eventId }) => !known.has(eventId)).map(toEvent),
  ];
  // The frozen form asks a completed trace for an event; a trace of spans alone tells its end.
  if (protocol === null && shown.length === 0 && row.finishedAt !== null) shown.push(endOf(row));
  const root = spans.find(({ parentSpanId }) => parentSpanId === null);
  const startedAt = protocol === null ? isoOf(row.startNs) : protocol.startedAt;
  const finishedAt = protocol?.finishedAt ?? row.finishedAt?.toISOString();
  return {
    meta: protocol?.meta ?? {
      protocol_version: version,
      schema_version: version,
      created_at: row.createdAt.toISOString(),
      created_by: row.createdBy,
      updated_at: row.updatedAt.toISOString(),
      ...(row.tags.length === 0 ? {} : { tags: row.tags }),
    },
    ...(row.governance === null ? {} : { governance: row.governance }),
    trace_id: row.id,
    context_id: row.contextId,
    ...(row.planId === null ? {} : { plan_id: row.planId }),
    root_span: protocol?.rootSpan ?? {
      trace_id: row.id,
      span_id: root ? idOf(root.spanId) : derivedId(`root of ${row.id}`),
      context_id: row.contextId,
    },
    status: row.status,
    ...(startedAt === undefined ? {} : { started_at: startedAt }),
    ...(finishedAt === undefined || (protocol !== null && row.revision === 1 && protocol.finishedAt === undefined)
      ? {}
      : { finished_at: finishedAt }),
    ...(segments.length > 0 || protocol?.segments !== undefined ? { segments } : {}),
    ...(shown.length > 0 || protocol?.events !== undefined ? { events: shown } : {}),
  };
}

function toSegment(span: TraceSpanRow, idOf: (spanId: string) => string, present: ReadonlySet<string>) {
  const { parentSpanId } = span;
  const finishedAt = isoOf(span.endNs);
  return {
    segment_id: idOf(span.spanId),
    ...(parentSpanId === null || !present.has(parentSpanId) ? {} : { parent_segment_id: idOf(parentSpanId) }),
    label: span.name,
    status: statusOf(span),
    started_at: isoOf(span.startNs),
    ...(finishedAt === undefined ? {} : { finished_at: finishedAt }),
    attributes: { ...span.attributes, 'span.id': span.spanId, 'span.kind': span.kind, 'service.name': span.service },
  };
}

function toEvent({ eventId, type, source, occurredAt, traceId, detail }: TraceEventRow) {
  return {
    event_id: eventId,
    event_type: type,
    source,
    timestamp: occurredAt.toISOString(),
    trace_id: traceId,
    data: detail,
  };
}

function endOf({ id, status, finishedAt }: TraceRow) {
  return {
    event_id: derivedId(`end of ${id}`),
    event_type: `trace.${status}`,
    source: 'trace',
    timestamp: finishedAt!.toISOString(),
    trace_id: id,
  };
}

/** RFC 3339 with all nine digits: a Date holds three. */
function isoOf(nanoseconds: string | null): string | undefined {
  if (nanoseconds === null) return undefined;
  const value = BigInt(nanoseconds);
  const seconds = new Date(Number(value / 1_000_000n)).toISOString().slice(0, 19);
  return `${seconds}.${String(value % 1_000_000_000n).padStart(9, '0')}Z`;
}
