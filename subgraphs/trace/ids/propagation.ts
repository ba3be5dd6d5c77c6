import { type B3Headers, parseB3, parseB3Headers } from './b3.ts';
import type { ForeignReference } from './foreignReference.ts';
import { parseJaeger } from './jaeger.ts';
import { parseTraceparent } from './traceparent.ts';

export type PropagationFormat = 'W3C' | 'B3_SINGLE' | 'B3_MULTI' | 'JAEGER';

export interface PropagationHeaders {
  readonly traceparent?: string | null | undefined;
  readonly b3?: string | null | undefined;
  readonly b3Headers?: B3Headers | null | undefined;
  readonly uberTraceId?: string | null | undefined;
}

function readW3c(header: string): ForeignReference | null {
  const parent = parseTraceparent(header);
  return parent && { ...parent, parentSpanId: null, isDebug: false };
}

/** The forms in the order in which they count; the names are those of the arguments. */
const readers = [
  ['W3C', 'traceparent', (given: PropagationHeaders) => given.traceparent && readW3c(given.traceparent)],
  ['B3_SINGLE', 'b3', (given: PropagationHeaders) => given.b3 && parseB3(given.b3)],
  ['B3_MULTI', 'b3Headers', (given: PropagationHeaders) => given.b3Headers && parseB3Headers(given.b3Headers)],
  ['JAEGER', 'uberTraceId', (given: PropagationHeaders) => given.uberTraceId && parseJaeger(given.uberTraceId)],
] as const;

/** What the first form says that can be read; null of none. */
export function readPropagation(
  headers: PropagationHeaders,
): { readonly format: PropagationFormat; readonly reference: ForeignReference } | null {
  for (const [format, , read] of readers) {
    const reference = read(headers);
    if (reference) return { format, reference };
  }
  return null;
}

/** Name of a form that was given and cannot be read; null where all can. */
export function brokenForm(headers: PropagationHeaders): (typeof readers)[number][1] | null {
  return readers.find(([, name, read]) => headers[name] != null && !read(headers))?.[1] ?? null;
}
