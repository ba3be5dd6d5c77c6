import { baseEvents, dateTime, governance, identifier, meta, named, span } from './common.ts';
import { closed, type DocumentOf, freeForm, list, open, optional, text, word } from './shape.ts';

/** Only `root` and `constraints` take the client's own keys. */
export const contextShape = closed({
  meta,
  governance: optional(governance),
  context_id: identifier,
  root: open({ domain: text(), environment: text(), entry_point: optional(text()) }),
  title: named,
  summary: optional(text()),
  status: word('draft', 'active', 'suspended', 'archived', 'closed'),
  tags: optional(list(named)),
  language: optional(text()),
  owner_role: optional(text()),
  constraints: optional(freeForm),
  created_at: optional(dateTime),
  updated_at: optional(dateTime),
  trace: optional(span),
  events: optional(baseEvents),
});

export type ContextDocument = DocumentOf<typeof contextShape>;
