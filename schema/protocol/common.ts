import { closed, type DocumentOf, flag, freeForm, list, nullable, optional, text, word } from './shape.ts';

/** The ten modules of the protocol, in the order of the import and export doors. */
export const protocolModules = [
  'context',
  'plan',
  'role',
  'confirm',
  'trace',
  'extension',
  'dialog',
  'collab',
  'network',
  'core',
] as const;

export type ProtocolModule = (typeof protocolModules)[number];

/** Every id of a protocol object, span ids included. */
export const identifier = text({
  pattern: '^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$',
  title: 'a lower-case UUID v4',
});

export const dateTime = text({ format: 'date-time', title: 'an RFC 3339 date-time' });

/** Names of one character or more. */
export const named = text({ min: 1 });

const threeNumbers = text({ pattern: '^[0-9]+\\.[0-9]+\\.[0-9]+$', title: 'a version x.y.z' });

export const meta = closed({
  protocol_version: threeNumbers,
  schema_version: threeNumbers,
  created_at: optional(dateTime),
  created_by: optional(text()),
  updated_at: optional(dateTime),
  updated_by: optional(text()),
  tags: optional(list(text(), { unique: true })),
  cross_cutting: optional(
    list(
      word(
        'coordination',
        'error-handling',
        'event-bus',
        'learning-feedback',
        'observability',
        'orchestration',
        'performance',
        'protocol-versioning',
        'security',
        'state-sync',
        'transaction',
      ),
      { unique: true },
    ),
  ),
});

/** A pointer from one protocol object to another. */
export const reference = closed({
  id: identifier,
  module: word(...protocolModules),
  description: optional(text()),
});

/** Governance keys are camelCase although all around them is snake_case. */
export const governance = closed({
  lifecyclePhase: optional(text()),
  truthDomain: optional(text()),
  locked: optional(flag),
  lastConfirmRef: optional(reference),
});

/** A span of a trace: the root span of a Trace, the `trace` slot of every other object. */
export const span = closed({
  trace_id: identifier,
  span_id: identifier,
  parent_span_id: optional(identifier),
  context_id: optional(identifier),
  attributes: optional(freeForm),
});

/** The event embedded in an object's `events`; its type has dots and never an underscore. */
export const baseEvent = closed({
  event_id: identifier,
  event_type: text({ pattern: '^[a-z][a-z0-9]*(?:\\.[a-z][a-z0-9]*)*$', title: 'dotted lower-case words' }),
  source: text(),
  timestamp: dateTime,
  trace_id: optional(identifier),
  data: optional(nullable(freeForm)),
});

export const baseEvents = list(baseEvent);

export type MetaDocument = DocumentOf<typeof meta>;
export type GovernanceDocument = DocumentOf<typeof governance>;
export type ReferenceDocument = DocumentOf<typeof reference>;
export type SpanDocument = DocumentOf<typeof span>;
export type BaseEventDocument = DocumentOf<typeof baseEvent>;
