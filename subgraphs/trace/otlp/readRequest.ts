import { PlatformError } from '#shared/errors.ts';
import { isSpanIdHex, isTraceIdHex } from '../ids/traceIds.ts';
import { type Attributes, limits, readAttributes, storable } from './attributes.ts';
import { type ReportedSpan, type SpanEvent, type SpanLink, spanKinds, spanStatuses } from './span.ts';

export interface RejectedSpan {
  /** Position among all spans of the request. */
  readonly index: number;
  readonly reason: string;
}

export interface ReadRequest {
  readonly spans: readonly ReportedSpan[];
  readonly rejected: readonly RejectedSpan[];
}

type Message = Readonly<Record<string, unknown>>;

/**
 * Reads an OTLP/JSON ExportTraceServiceRequest. A span that breaks a rule is rejected by itself, as OTLP's partial success
 * asks; ids come as hex, or as base64 from exporters that follow plain protobuf JSON.
 * @throws {VALIDATION_FAILED} when the request itself is none.
 */
export function readExportRequest(request: unknown): ReadRequest {
  const spans: ReportedSpan[] = [];
  const rejected: RejectedSpan[] = [];
  const latest = latestStart();
  let index = 0;
  for (const resourceSpans of requireMessages(request, 'resourceSpans')) {
    const resource = readAttributes((resourceSpans['resource'] as Message | undefined)?.['attributes']).attributes;
    for (const scopeSpans of requireMessages(resourceSpans, 'scopeSpans')) {
      for (const span of requireMessages(scopeSpans, 'spans')) {
        const read = readSpan(span, resource, latest);
        if (typeof read === 'string') rejected.push({ index, reason: read });
        else spans.push(read);
        index += 1;
      }
    }
  }
  return { spans, rejected };
}

function requireMessages(parent: unknown, field: string): readonly Message[] {
  const value = isMessage(parent) ? (parent[field] ?? []) : undefined;
  if (Array.isArray(value) && value.every(isMessage)) return value;
  throw new PlatformError('VALIDATION_FAILED', `${field}: expected a list of objects`, { path: ['request', field] });
}

function isMessage(value: unknown): value is Message {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The span, or what is wrong with it. */
function readSpan(span: Message, resource: Attributes, latest: string): ReportedSpan | string {
  const traceId = readId(span['traceId'], 16);
  if (!isTraceIdHex(traceId)) return 'traceId: expected 16 bytes in hex, not all zero';
  const spanId = readId(span['spanId'], 8);
  if (!isSpanIdHex(spanId)) return 'spanId: expected 8 bytes in hex, not all zero';
  const parent = span['parentSpanId'];
  const parentSpanId = parent === undefined || parent === null || parent === '' ? null : readId(parent, 8);
  if (parentSpanId !== null && !isSpanIdHex(parentSpanId)) return 'parentSpanId: expected 8 bytes in hex';
  if (typeof span['name'] !== 'string' || span['name'] === '') return 'name: expected text';
  const startNs = readNanoseconds(span['startTimeUnixNano']);
  if (startNs === null) return 'startTimeUnixNano: expected nanoseconds since 1970';
  if (isBefore(latest, startNs)) return 'startTimeUnixNano: more than a day ahead of the clock';
  const end = span['endTimeUnixNano'];
  const running = end === undefined || end === null || end === 0 || end === '0' || end === '';
  const endNs = running ? null : readNanoseconds(end);
  if (!running && endNs === null) return 'endTimeUnixNano: expected nanoseconds since 1970';
  if (endNs !== null && isBefore(endNs, startNs)) return `endTimeUnixNano: expected ${startNs} or later, got ${endNs}`;
  const kind = enumValue(span['kind'], spanKinds, 'SPAN_KIND_');
  if (kind === null) return 'kind: expected 0 to 5';
  const status = isMessage(span['status']) ? span['status'] : {};
  const code = enumValue(status['code'], spanStatuses, 'STATUS_CODE_');
  if (code === null) return 'status.code: expected 0 to 2';
  const { attributes, dropped } = readAttributes(span['attributes']);
  const events = readEvents(span['events']);
  const links = readLinks(span['links']);
  const service = resource['service.name'];
  return {
    traceId,
    spanId,
    parentSpanId,
    name: storable(span['name']),
    kind,
    service: typeof service === 'string' && service !== '' ? service : 'unknown_service',
    startNs,
    endNs,
    status: code,
    statusMessage:
      typeof status['message'] === 'string' && status['message'] !== '' ? storable(status['message']) : null,
    attributes,
    resource,
    events: events.kept,
    links: links.kept,
    droppedAttributes: dropped + count(span['droppedAttributesCount']),
    droppedEvents: events.dropped + count(span['droppedEventsCount']),
    droppedLinks: links.dropped + count(span['droppedLinksCount']),
  };
}

function readId(value: unknown, bytes: number): string | null {
  if (typeof value !== 'string') return null;
  if (value.length === bytes * 2) return /^[0-9a-fA-F]+$/.test(value) ? value.toLowerCase() : null;
  const decoded = Buffer.from(value, 'base64');
  return decoded.length === bytes && /^[A-Za-z0-9+/]+={0,2}$/.test(value) ? decoded.toString('hex') : null;
}

const maxNs = 9_223_372_036_854_775_807n;

/** A fixed64 that PostgreSQL's bigint holds, as decimal text without leading zeros. */
export function readNanoseconds(value: unknown): string | null {
  if (typeof value === 'number')
    return Number.isInteger(value) && value > 0 && value < 9.2e18 ? BigInt(value).toString() : null;
  if (typeof value !== 'string' || !/^\d{1,19}$/.test(value)) return null;
  // Nineteen digits of now: the plain form is by far the usual one.
  if (value.length === 19 && value < '9') return value.startsWith('0') ? BigInt(value).toString() : value;
  const number = BigInt(value);
  return number > 0n && number <= maxNs ? number.toString() : null;
}

/** A clock that is a day ahead has jumped: its spans would stay the newest for good. */
function latestStart(): string {
  return `${Date.now() + 86_400_000}000000`;
}

function isBefore(a: string, b: string): boolean {
  return a.length === b.length ? a < b : a.length < b.length;
}

function enumValue<Value extends string>(given: unknown, values: readonly Value[], prefix: string): Value | null {
  if (given === undefined || given === null) return values[0]!;
  if (typeof given === 'number') return values[given] ?? null;
  if (typeof given !== 'string' || !given.startsWith(prefix)) return null;
  return values.find((value) => value === given.slice(prefix.length).toLowerCase()) ?? null;
}

function count(value: unknown): number {
  return typeof value === 'number' && Number.isInteger(value) && value > 0 ? Math.min(value, 1_000_000) : 0;
}

function readEvents(value: unknown): { kept: readonly SpanEvent[]; dropped: number } {
  if (!Array.isArray(value)) return { kept: [], dropped: 0 };
  const kept = value
    .slice(0, limits.events)
    .filter(isMessage)
    .map((event) => ({
      time: readNanoseconds(event['timeUnixNano']) ?? '0',
      name: typeof event['name'] === 'string' ? storable(event['name']) : '',
      attributes: readAttributes(event['attributes']).attributes,
    }));
  return { kept, dropped: value.length - kept.length };
}

function readLinks(value: unknown): { kept: readonly SpanLink[]; dropped: number } {
  if (!Array.isArray(value)) return { kept: [], dropped: 0 };
  const kept = value.slice(0, limits.links).flatMap((link: unknown): SpanLink[] => {
    if (!isMessage(link)) return [];
    const traceId = readId(link['traceId'], 16);
    const spanId = readId(link['spanId'], 8);
    if (!isTraceIdHex(traceId) || !isSpanIdHex(spanId)) return [];
    return [{ traceId, spanId, attributes: readAttributes(link['attributes']).attributes }];
  });
  return { kept, dropped: value.length - kept.length };
}
