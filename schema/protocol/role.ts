import { baseEvents, dateTime, governance, identifier, meta, span } from './common.ts';
import { closed, type DocumentOf, list, optional, text } from './shape.ts';

/** A label with capability tags; it belongs to no context. */
export const roleShape = closed({
  meta,
  governance: optional(governance),
  role_id: identifier,
  name: text(),
  description: optional(text()),
  capabilities: optional(list(text())),
  created_at: optional(dateTime),
  updated_at: optional(dateTime),
  trace: optional(span),
  events: optional(baseEvents),
});

export type RoleDocument = DocumentOf<typeof roleShape>;
