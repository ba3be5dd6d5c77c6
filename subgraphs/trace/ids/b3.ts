import type { ForeignReference } from './foreignReference.ts';
import { isSpanIdHex, paddedTraceId } from './traceIds.ts';

/** The five `X-B3-` headers (B3 Propagation, OpenZipkin), each as it came. */
export interface B3Headers {
  readonly traceId?: string | null | undefined;
  readonly spanId?: string | null | undefined;
  readonly parentSpanId?: string | null | undefined;
  readonly sampled?: string | null | undefined;
  readonly flags?: string | null | undefined;
}

const samplings: ReadonlyMap<string, boolean> = new Map([
  ['1', true],
  ['0', false],
  // Tracers from before the specification wrote these.
  ['true', true],
  ['false', false],
]);

function referenceOf(ids: readonly (string | null | undefined)[], sampled: boolean | null, isDebug: boolean) {
  const [traceId, spanId, parentSpanId] = ids;
  const padded = paddedTraceId(traceId ?? '');
  if (padded === null || !isSpanIdHex(spanId)) return null;
  if (parentSpanId != null && !isSpanIdHex(parentSpanId)) return null;
  return { traceId: padded, spanId, parentSpanId: parentSpanId ?? null, sampled, isDebug } satisfies ForeignReference;
}

/** Reads a `b3` header: ids of 16 or 32 and 16 lower-case hex digits, state, parent. Null where it names no span or breaks the grammar. */
export function parseB3(header: string): ForeignReference | null {
  const [traceId, spanId, state, parentSpanId, ...rest] = header.trim().split('-');
  if (rest.length > 0 || (state !== undefined && !['0', '1', 'd'].includes(state))) return null;
  const sampled = state === undefined ? null : state !== '0';
  return referenceOf([traceId, spanId, parentSpanId], sampled, state === 'd');
}

/** Reads the headers one by one; debug says that it is sampled whatever stands beside it. */
export function parseB3Headers({ traceId, spanId, parentSpanId, sampled, flags }: B3Headers): ForeignReference | null {
  if (flags != null && flags !== '1' && flags !== '0') return null;
  const isDebug = flags === '1';
  const state = sampled == null ? null : (samplings.get(sampled) ?? undefined);
  if (state === undefined) return null;
  return referenceOf([traceId, spanId, parentSpanId], isDebug ? true : state, isDebug);
}

export function formatB3({
  traceId,
  spanId,
  sampled,
}: Pick<ForeignReference, 'traceId' | 'spanId' | 'sampled'>): string {
  return `${traceId}-${spanId}-${sampled ? '1' : '0'}`;
}
