import { baseEvents, dateTime, governance, identifier, meta, span } from './common.ts';
import { closed, type DocumentOf, list, optional, text, word } from './shape.ts';

export const confirmDecisionShape = closed({
  decision_id: identifier,
  status: word('approved', 'rejected', 'cancelled'),
  decided_by_role: text(),
  decided_at: dateTime,
  reason: optional(text()),
});

/** Roles and tasks have no target type of their own: they are `other` and `plan`. */
export const confirmShape = closed({
  meta,
  governance: optional(governance),
  confirm_id: identifier,
  target_type: word('context', 'plan', 'trace', 'extension', 'other'),
  target_id: identifier,
  status: word('pending', 'approved', 'rejected', 'cancelled'),
  requested_by_role: text(),
  requested_at: dateTime,
  reason: optional(text()),
  decisions: optional(list(confirmDecisionShape)),
  trace: optional(span),
  events: optional(baseEvents),
});

export type ConfirmDecisionDocument = DocumentOf<typeof confirmDecisionShape>;
export type ConfirmDocument = DocumentOf<typeof confirmShape>;
