import type { Attributes } from './attributes.ts';

export const spanKinds = ['unspecified', 'internal', 'server', 'client', 'producer', 'consumer'] as const;
export type SpanKindValue = (typeof spanKinds)[number];

export const spanStatuses = ['unset', 'ok', 'error'] as const;
export type SpanStatusValue = (typeof spanStatuses)[number];

export interface SpanEvent {
  readonly time: string;
  readonly name: string;
  readonly attributes: Attributes;
}

export interface SpanLink {
  readonly traceId: string;
  readonly spanId: string;
  readonly attributes: Attributes;
}

/** What a trace ends with by its root span, the one of a report that has no parent, where that has failed; else null. */
export function failureOf(spans: readonly Pick<ReportedSpan, 'parentSpanId' | 'endNs' | 'status'>[]): 'failed' | null {
  const tops = spans.filter(({ parentSpanId }) => parentSpanId === null);
  const [root] = tops;
  return tops.length === 1 && root!.endNs !== null && root!.status === 'error' ? 'failed' : null;
}

/** A span as it was reported. Times are nanoseconds since 1970 as decimal text: a double does not hold them. */
export interface ReportedSpan {
  /** W3C form. */
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId: string | null;
  readonly name: string;
  readonly kind: SpanKindValue;
  readonly service: string;
  readonly startNs: string;
  /** Null while it is running. */
  readonly endNs: string | null;
  readonly status: SpanStatusValue;
  readonly statusMessage: string | null;
  readonly attributes: Attributes;
  readonly resource: Attributes;
  readonly events: readonly SpanEvent[];
  readonly links: readonly SpanLink[];
  readonly droppedAttributes: number;
  readonly droppedEvents: number;
  readonly droppedLinks: number;
}
