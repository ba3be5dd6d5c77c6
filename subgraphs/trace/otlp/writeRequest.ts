import { type Attributes, writeAttributes } from './attributes.ts';
import { type ReportedSpan, spanKinds, spanStatuses } from './span.ts';

/** Spans as an OTLP/JSON ExportTraceServiceRequest, one entry per resource, numbers of 64 bits as text. */
export function writeExportRequest(spans: readonly ReportedSpan[]): Record<string, unknown> {
  const byResource = new Map<string, { resource: Attributes; spans: ReportedSpan[] }>();
  for (const span of spans) {
    const key = JSON.stringify(span.resource);
    const group = byResource.get(key) ?? { resource: span.resource, spans: [] };
    byResource.set(key, group);
    group.spans.push(span);
  }
  return {
    resourceSpans: [...byResource.values()].map((group) => ({
      resource: { attributes: writeAttributes(group.resource) },
      scopeSpans: [{ scope: {}, spans: group.spans.map(writeSpan) }],
    })),
  };
}

function writeSpan(span: ReportedSpan): Record<string, unknown> {
  return {
    traceId: span.traceId,
    spanId: span.spanId,
    ...(span.parentSpanId === null ? {} : { parentSpanId: span.parentSpanId }),
    name: span.name,
    kind: spanKinds.indexOf(span.kind),
    startTimeUnixNano: span.startNs,
    ...(span.endNs === null ? {} : { endTimeUnixNano: span.endNs }),
    attributes: writeAttributes(span.attributes),
    droppedAttributesCount: span.droppedAttributes,
    events: span.events.map(({ time, name, attributes }) => ({
      timeUnixNano: time,
      name,
      attributes: writeAttributes(attributes),
    })),
    droppedEventsCount: span.droppedEvents,
    links: span.links.map(({ traceId, spanId, attributes }) => ({
      traceId,
      spanId,
      attributes: writeAttributes(attributes),
    })),
    droppedLinksCount: span.droppedLinks,
    status: {
      code: spanStatuses.indexOf(span.status),
      ...(span.statusMessage === null ? {} : { message: span.statusMessage }),
    },
  };
}
