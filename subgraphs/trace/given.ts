import { PlatformError } from '#shared/errors.ts';
import { type Attributes, readAttributes, storable, writeAttributes } from './otlp/attributes.ts';
import { writeLog } from './otlp/logs.ts';
import { readNanoseconds } from './otlp/readRequest.ts';
import { type SpanEvent, spanKinds, spanStatuses } from './otlp/span.ts';
import type { GivenFilter } from './queries.ts';
import type { TraceFilter, TraceSpanEventInput, TraceSpanInput } from './resolvers.generated.ts';
import type { TraceEventCategoryValue, TraceSeverityValue, TraceStatusValue, TraceTypeValue } from './rows.ts';
import type { GivenSpan } from './service.ts';

type Path = readonly (string | number)[];

/** Name of a GraphQL enum value as the module has it. */
export function lower<Value extends string>(value: string): Value {
  return value.toLowerCase() as Value;
}

export function readFilter(filter: TraceFilter | null | undefined): GivenFilter {
  return {
    contextId: filter?.contextId ?? null,
    planId: filter?.planId ?? null,
    correlationId: filter?.correlationId ?? null,
    service: filter?.service ?? null,
    operation: filter?.operation ?? null,
    attribute: filter?.attribute ?? null,
    minDurationMs: filter?.minDurationMs ?? null,
    maxDurationMs: filter?.maxDurationMs ?? null,
    text: filter?.text ?? null,
    status: filter?.status?.map((status) => lower<TraceStatusValue>(status)) ?? null,
    hasErrors: filter?.hasErrors ?? null,
    taskId: filter?.taskId ?? null,
    tags: filter?.tags ?? null,
    archived: filter?.archived ?? false,
    type: filter?.type?.map((type) => lower<TraceTypeValue>(type)) ?? null,
    severity: filter?.severity?.map((severity) => lower<TraceSeverityValue>(severity)) ?? null,
    eventCategory: filter?.eventCategory?.map((category) => lower<TraceEventCategoryValue>(category)) ?? null,
    hasDecisions: filter?.hasDecisions ?? null,
    from: (filter?.from as Date | null | undefined) ?? null,
    to: (filter?.to as Date | null | undefined) ?? null,
  };
}

/** A span of the API as an OTLP message, so that both are read by the same rules. */
export function readSpan(input: TraceSpanInput, path: Path): GivenSpan {
  const { service, attributes, kind, status, statusMessage, events, logs, links, ...span } = input;
  return {
    service,
    message: {
      ...span,
      kind: spanKinds.indexOf(lower(kind ?? 'INTERNAL')),
      status: { code: spanStatuses.indexOf(lower(status ?? 'UNSET')), message: statusMessage },
      attributes: writeAttributes(requireObject(attributes, [...path, 'attributes'])),
      events: [
        ...(events ?? []).map((event, index) => ({
          ...event,
          timeUnixNano: requireNanoseconds(event.timeUnixNano, [...path, 'events', index, 'timeUnixNano']),
          attributes: writeAttributes(requireObject(event.attributes, [...path, 'events', index, 'attributes'])),
        })),
        ...(logs ?? []).map(({ level, message, timeUnixNano }, index) =>
          writeLog({
            level: lower(level ?? 'INFO'),
            message,
            time: requireNanoseconds(timeUnixNano, [...path, 'logs', index, 'timeUnixNano']),
          }),
        ),
      ],
      links: links?.map((link, index) => ({
        ...link,
        attributes: writeAttributes(requireObject(link.attributes, [...path, 'links', index, 'attributes'])),
      })),
    },
  };
}

export function readSpanEvent({ name, timeUnixNano, attributes }: TraceSpanEventInput, path: Path): SpanEvent {
  return {
    name: storable(name),
    time: requireNanoseconds(timeUnixNano, [...path, 'timeUnixNano']),
    attributes: readPlain(attributes, [...path, 'attributes']),
  };
}

/** Attributes within the limits, secrets masked. @throws {VALIDATION_FAILED} unless it is an object. */
export function readPlain(value: unknown, path: Path): Attributes {
  return readAttributes(writeAttributes(requireObject(value, path))).attributes;
}

export function requireNanoseconds(value: string, path: Path): string {
  const read = readNanoseconds(value);
  if (read !== null) return read;
  throw new PlatformError('VALIDATION_FAILED', `${path.join('.')}: expected nanoseconds since 1970`, { path });
}

function requireObject(value: unknown, path: Path): Attributes {
  if (value === null || value === undefined) return {};
  if (typeof value === 'object' && !Array.isArray(value)) return value as Attributes;
  throw new PlatformError('VALIDATION_FAILED', `${path.join('.')}: expected an object`, { path });
}
