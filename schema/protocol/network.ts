import { baseEvents, governance, identifier, meta, named, span } from './common.ts';
import { closed, type DocumentOf, list, optional, text, word } from './shape.ts';

export const networkNodeShape = closed({
  node_id: identifier,
  name: optional(text()),
  kind: word('agent', 'service', 'database', 'queue', 'external', 'other'),
  role_id: optional(text()),
  status: word('active', 'inactive', 'degraded', 'unreachable', 'retired'),
});

/** The protocol knows nodes only; links live in the platform's own record. */
export const networkShape = closed({
  meta,
  governance: optional(governance),
  network_id: identifier,
  context_id: identifier,
  name: named,
  description: optional(text()),
  topology_type: word('single_node', 'hub_spoke', 'mesh', 'hierarchical', 'hybrid', 'other'),
  status: word('draft', 'provisioning', 'active', 'degraded', 'maintenance', 'retired'),
  nodes: optional(list(networkNodeShape)),
  trace: optional(span),
  events: optional(baseEvents),
});

export type NetworkNodeDocument = DocumentOf<typeof networkNodeShape>;
export type NetworkDocument = DocumentOf<typeof networkShape>;
