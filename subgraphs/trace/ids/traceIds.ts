import { createHash } from 'node:crypto';
import { isId } from '#shared/ids.ts';

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

/**
 * The id a W3C trace is kept under. A trace id that is a UUID v4 is that UUID; every other one is hashed to a v4, so that
 * all who report spans of the trace reach the same one without asking. The W3C id itself is kept beside it.
 */
export function traceIdOf(hex: string): string {
  const own = withDashes(hex);
  if (isId(own)) return own;
  const hash = createHash('sha256').update(hex).digest();
  hash[6] = (hash[6]! & 0x0f) | 0x40;
  hash[8] = (hash[8]! & 0x3f) | 0x80;
  return withDashes(hash.toString('hex', 0, 16));
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

function withDashes(hex: string): string {
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}
