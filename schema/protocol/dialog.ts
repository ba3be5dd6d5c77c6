import { baseEvent, baseEvents, dateTime, governance, identifier, meta, span } from './common.ts';
import { closed, type DocumentOf, list, optional, text, word } from './shape.ts';

/** A message has neither id nor sender here: both live in the platform's own record. */
export const dialogMessageShape = closed({
  role: word('user', 'assistant', 'system', 'agent'),
  content: text(),
  timestamp: dateTime,
  event: optional(baseEvent),
});

export const dialogShape = closed({
  meta,
  governance: optional(governance),
  dialog_id: identifier,
  context_id: identifier,
  thread_id: optional(identifier),
  status: word('active', 'paused', 'completed', 'cancelled'),
  messages: list(dialogMessageShape),
  started_at: optional(dateTime),
  ended_at: optional(dateTime),
  trace: optional(span),
  events: optional(baseEvents),
});

export type DialogMessageDocument = DocumentOf<typeof dialogMessageShape>;
export type DialogDocument = DocumentOf<typeof dialogShape>;
