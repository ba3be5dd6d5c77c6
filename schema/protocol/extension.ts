import { baseEvents, governance, identifier, meta, named, span } from './common.ts';
import { closed, type DocumentOf, freeForm, optional, text, word } from './shape.ts';

const numeric = '(0|[1-9]\\d*)';
const prereleasePart = '(?:0|[1-9]\\d*|\\d*[a-zA-Z-][0-9a-zA-Z-]*)';

/** Semantic Versioning 2.0.0 (Preston-Werner, 2013): core, pre-release, build metadata. */
const semanticVersion = text({
  pattern:
    `^${numeric}\\.${numeric}\\.${numeric}` +
    `(?:-(${prereleasePart}(?:\\.${prereleasePart})*))?` +
    '(?:\\+([0-9a-zA-Z-]+(?:\\.[0-9a-zA-Z-]+)*))?$',
  title: 'a semantic version',
});

export const extensionShape = closed({
  meta,
  governance: optional(governance),
  extension_id: identifier,
  context_id: identifier,
  name: named,
  extension_type: word('capability', 'policy', 'integration', 'transformation', 'validation', 'other'),
  version: semanticVersion,
  status: word('registered', 'active', 'inactive', 'deprecated'),
  config: optional(freeForm),
  trace: optional(span),
  events: optional(baseEvents),
});

export type ExtensionDocument = DocumentOf<typeof extensionShape>;
