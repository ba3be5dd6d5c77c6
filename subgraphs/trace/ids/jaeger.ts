import type { ForeignReference } from './foreignReference.ts';
import { isSpanIdHex, paddedTraceId } from './traceIds.ts';

const form = /^([0-9a-f]{1,32}):([0-9a-f]{1,16}):([0-9a-f]{1,16}):([0-9a-f]{1,2})$/;
const sampledBit = 1;
const debugBit = 2;

/**
 * Reads a `uber-trace-id` header (Jaeger propagation format): `trace:span:parent:flags` in lower-case hex, leading zeros
 * left out or not, its colons escaped or not. Null where it is to be ignored.
 */
export function parseJaeger(header: string): ForeignReference | null {
  const match = form.exec(header.trim().replaceAll(/%3a/gi, ':'));
  if (!match) return null;
  const [, trace = '', span = '', parent = '', flags = ''] = match;
  const traceId = paddedTraceId(trace.padStart(trace.length > 16 ? 32 : 16, '0'));
  const spanId = span.padStart(16, '0');
  const parentSpanId = parent.padStart(16, '0');
  if (traceId === null || !isSpanIdHex(spanId)) return null;
  const bits = Number.parseInt(flags, 16);
  const isDebug = (bits & debugBit) !== 0;
  return {
    traceId,
    spanId,
    // A root says zero.
    parentSpanId: isSpanIdHex(parentSpanId) ? parentSpanId : null,
    sampled: isDebug || (bits & sampledBit) !== 0,
    isDebug,
  };
}

export function formatJaeger({
  traceId,
  spanId,
  sampled,
}: Pick<ForeignReference, 'traceId' | 'spanId' | 'sampled'>): string {
  return `${traceId}:${spanId}:0:${sampled ? '1' : '0'}`;
}
