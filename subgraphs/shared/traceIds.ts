import { createHash } from 'node:crypto';
import { isId } from './ids.ts';

/**
 * The id of a trace whose W3C id (32 hex digits) is given: the UUID of the same digits where they are one of version 4,
 * else a UUID hashed from them, so that all who report spans of the trace reach the same one without asking. The W3C id
 * itself is kept beside it.
 */
export function traceIdOf(hex: string): string {
  const own = withDashes(hex);
  if (isId(own)) return own;
  const hash = createHash('sha256').update(hex).digest();
  hash[6] = (hash[6]! & 0x0f) | 0x40;
  hash[8] = (hash[8]! & 0x3f) | 0x80;
  return withDashes(hash.toString('hex', 0, 16));
}

/** The trace in which what happens in a context is told: every instance and module makes the same id of it. */
export function contextTraceId(tenantId: string, contextId: string): string {
  const text = `trace of context ${tenantId} ${contextId}`;
  return traceIdOf(createHash('sha256').update(text).digest('hex').slice(0, 32));
}

function withDashes(hex: string): string {
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}
