import { errorTable, isErrorCode } from '#shared/errors.ts';
import type { Attributes } from '../otlp/attributes.ts';
import type { TraceSpanRow } from '../rows.ts';
import type { ErrorKind, RecoveryAction } from './kinds.ts';

/** What a failed span says of its failure. */
export interface SpanError {
  readonly code: string;
  readonly message: string;
  readonly type: ErrorKind;
  readonly stack: string | null;
  readonly recoverable: boolean;
  readonly recoveryActions: readonly RecoveryAction[];
}

const words: readonly (readonly [RegExp, ErrorKind])[] = [
  [/time.?d?.?out|deadline/i, 'timeout'],
  [
    /unauthor|unauthenticated|forbidden|denied|permission|credential|csrf|injection|tampered|signature|certificate/i,
    'security',
  ],
  [/ECONN|ENOTFOUND|EPIPE|EHOSTUNREACH|socket|network|\bdns\b|unreachable|connection/i, 'network'],
  [/invalid|validation|malformed|parse|schema|bad.?(input|request)/i, 'validation'],
  [/conflict|not.?found|quota|business|insufficient|\bstate\b/i, 'business'],
];

/** HTTP status codes that tell more than their hundred. */
const statuses: Readonly<Record<number, ErrorKind>> = {
  400: 'validation',
  401: 'security',
  403: 'security',
  408: 'timeout',
  413: 'validation',
  422: 'validation',
  502: 'network',
  503: 'network',
  504: 'timeout',
};
const passing = new Set([408, 429, 502, 503, 504]);

function kindOfStatus(status: number): ErrorKind {
  return statuses[status] ?? (status < 500 ? 'business' : 'system');
}

function firstText(attributes: Attributes, ...keys: readonly string[]): string | null {
  const found = keys.map((key) => attributes[key]).find((value) => typeof value === 'string' && value !== '');
  return (found as string | undefined) ?? null;
}

function statusOf(attributes: Attributes): number | null {
  const given = Number(attributes['http.response.status_code'] ?? attributes['http.status_code']);
  return Number.isInteger(given) && given >= 400 && given < 600 ? given : null;
}

/** How one can go on after an error of the kind, unless somebody knows better. */
export function recoveryOf(type: ErrorKind, recoverable: boolean): readonly RecoveryAction[] {
  switch (type) {
    case 'timeout':
    case 'network':
      return ['retry', 'fallback'];
    case 'system':
      return recoverable ? ['retry', 'escalate'] : ['escalate'];
    case 'security':
      return ['escalate', 'abort'];
    case 'validation':
      return ['abort'];
    case 'business':
      return recoverable ? ['retry', 'escalate'] : ['escalate'];
  }
}

/**
 * Reads a failure by the semantic conventions of OpenTelemetry: `error.type` and the exception event, then the HTTP status,
 * then its own words. Codes of this platform say by themselves whether they pass.
 */
export function errorOf(span: Pick<TraceSpanRow, 'name' | 'attributes' | 'events' | 'statusMessage'>): SpanError {
  const exception = span.events.find(({ name }) => name === 'exception')?.attributes ?? {};
  const status = statusOf(span.attributes);
  const named =
    firstText(span.attributes, 'error.type', 'error.code', 'exception.type') ?? firstText(exception, 'exception.type');
  const message =
    span.statusMessage ??
    firstText(exception, 'exception.message') ??
    firstText(span.attributes, 'error.message', 'exception.message');
  const known = named !== null && isErrorCode(named) ? errorTable[named] : null;
  const told = words.find(([pattern]) => pattern.test(named ?? ''))?.[1];
  const type =
    told ??
    (known && kindOfStatus(known.status)) ??
    (status === null ? null : kindOfStatus(status)) ??
    words.find(([pattern]) => pattern.test(message ?? ''))?.[1] ??
    'system';
  const recoverable =
    known?.retryable ?? (type === 'timeout' || type === 'network' || (status !== null && passing.has(status)));
  return {
    code: named ?? (status === null ? 'ERROR' : String(status)),
    message: message ?? `${span.name} failed`,
    type,
    stack: firstText(exception, 'exception.stacktrace'),
    recoverable,
    recoveryActions: recoveryOf(type, recoverable),
  };
}
