import { createHash } from 'node:crypto';
import { traceIdOf } from '#shared/traceIds.ts';

export { traceIdOf };

const traceIdHex = /^[0-9a-f]{32}$/;
const spanIdHex = /^[0-9a-f]{16}$/;

/** True for a W3C trace id: 32 lower-case hex digits, not all zero. */
export function isTraceIdHex(value: unknown): value is string {
  return typeof value === 'string' && traceIdHex.test(value) && !/^0+$/.test(value);
}

/** True for a W3C span id: 16 lower-case hex digits, not all zero. */
export function isSpanIdHex(value: unknown): value is string {
  return typeof value === 'string' && spanIdHex.test(value) && !/^0+$/.test(value);
}

/** The W3C form of a foreign trace id of 16 or 32 lower-case hex digits; null of anything else, and of zero. */
export function paddedTraceId(hex: string): string | null {
  const padded = hex.length === 16 ? hex.padStart(32, '0') : hex;
  return isTraceIdHex(padded) ? padded : null;
}

/** The W3C form of a trace's own id. */
export function traceIdHexOf(id: string): string {
  return id.replaceAll('-', '');
}

/** A UUID v4 that is always the same for the same text. */
export function derivedId(text: string): string {
  return traceIdOf(createHash('sha256').update(text).digest('hex').slice(0, 32));
}

/** Span id of a frozen segment, whose id is a UUID: the first eight bytes of its hash. */
export function spanIdOf(segmentId: string): string {
  const hex = createHash('sha256').update(segmentId).digest('hex').slice(0, 16);
  return isSpanIdHex(hex) ? hex : '0000000000000001';
}
