import { baseEvents, governance, identifier, meta, named, protocolModules, span } from './common.ts';
import { closed, type DocumentOf, flag, list, optional, text, word } from './shape.ts';

export const coreModuleShape = closed({
  module_id: word(...protocolModules),
  version: named,
  status: word('enabled', 'disabled', 'experimental', 'deprecated'),
  required: optional(flag),
  description: optional(text()),
});

/** The manifest of one protocol instance; orchestration is none of its business. */
export const coreShape = closed({
  meta,
  governance: optional(governance),
  core_id: identifier,
  protocol_version: named,
  status: word('draft', 'active', 'deprecated', 'archived'),
  modules: list(coreModuleShape, { min: 1 }),
  trace: optional(span),
  events: optional(baseEvents),
});

export type CoreModuleDocument = DocumentOf<typeof coreModuleShape>;
export type CoreDocument = DocumentOf<typeof coreShape>;
