import { baseEvents, dateTime, governance, identifier, meta, named, span } from './common.ts';
import { closed, type DocumentOf, list, optional, text, word } from './shape.ts';

export const collabParticipantShape = closed({
  participant_id: named,
  role_id: optional(text()),
  kind: word('agent', 'human', 'system', 'external'),
  display_name: optional(text()),
});

export const collabShape = closed({
  meta,
  governance: optional(governance),
  collab_id: identifier,
  context_id: identifier,
  title: named,
  purpose: named,
  mode: word('broadcast', 'round_robin', 'orchestrated', 'swarm', 'pair'),
  status: word('draft', 'active', 'suspended', 'completed', 'cancelled'),
  participants: list(collabParticipantShape, { min: 1 }),
  created_at: dateTime,
  updated_at: optional(dateTime),
  trace: optional(span),
  events: optional(baseEvents),
});

export type CollabParticipantDocument = DocumentOf<typeof collabParticipantShape>;
export type CollabDocument = DocumentOf<typeof collabShape>;
