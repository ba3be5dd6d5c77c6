import { baseEvents, dateTime, governance, identifier, meta, span } from './common.ts';
import { closed, type DocumentOf, freeForm, list, optional, text, word } from './shape.ts';

export const traceSegmentShape = closed({
  segment_id: identifier,
  parent_segment_id: optional(identifier),
  label: text(),
  status: word('pending', 'running', 'completed', 'failed', 'cancelled', 'skipped'),
  started_at: optional(dateTime),
  finished_at: optional(dateTime),
  attributes: optional(freeForm),
});

/** The root span takes the place of the `trace` slot that the other objects have. */
export const traceShape = closed({
  meta,
  governance: optional(governance),
  trace_id: identifier,
  context_id: identifier,
  plan_id: optional(identifier),
  root_span: span,
  status: word('pending', 'running', 'completed', 'failed', 'cancelled'),
  started_at: optional(dateTime),
  finished_at: optional(dateTime),
  segments: optional(list(traceSegmentShape)),
  events: optional(baseEvents),
});

export type TraceSegmentDocument = DocumentOf<typeof traceSegmentShape>;
export type TraceDocument = DocumentOf<typeof traceShape>;
