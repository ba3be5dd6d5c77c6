import { type TraceSeverityValue, traceSeverities } from '../rows.ts';
import { writeAttributes } from './attributes.ts';
import type { SpanEvent } from './span.ts';

/** A line that was logged in a span; its time as that of an event. */
export interface SpanLog {
  readonly level: TraceSeverityValue;
  readonly message: string;
  readonly time: string;
}

/** Name and attributes of the event by which a span keeps a line: spans of OTLP have no place for logs. */
const logEvent = 'log';
const severityKey = 'log.severity';
const messageKey = 'log.message';

/** As an OTLP message. */
export function writeLog({ level, message, time }: SpanLog): Readonly<Record<string, unknown>> {
  const attributes = writeAttributes({ [severityKey]: level.toUpperCase(), [messageKey]: message });
  return { name: logEvent, timeUnixNano: time, attributes };
}

/** Lines among the events of a span. A severity of other names counts as info. */
export function logsOf(events: readonly SpanEvent[]): readonly SpanLog[] {
  return events.flatMap(({ name, time, attributes }): SpanLog[] => {
    const message = attributes[messageKey];
    if (name !== logEvent || typeof message !== 'string') return [];
    const given = String(attributes[severityKey] ?? '').toLowerCase();
    return [{ level: traceSeverities.find((severity) => severity === given) ?? 'info', message, time }];
  });
}
