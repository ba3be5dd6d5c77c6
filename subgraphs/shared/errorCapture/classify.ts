import { createHash } from 'node:crypto';
import { errorTable, isErrorCode } from '../errors.ts';

export const errorSeverities = ['LOW', 'MEDIUM', 'HIGH', 'CRITICAL'] as const;
export type ErrorSeverity = (typeof errorSeverities)[number];

export const errorCategories = [
  'VALIDATION',
  'AUTHORIZATION',
  'BUSINESS',
  'EXTERNAL',
  'PERFORMANCE',
  'SYSTEM',
] as const;
export type ErrorCategory = (typeof errorCategories)[number];

export const recoveries = ['RETRY', 'CORRECT', 'ESCALATE', 'NONE'] as const;
export type Recovery = (typeof recoveries)[number];

export interface Classified {
  readonly severity: ErrorSeverity;
  readonly category: ErrorCategory;
  readonly recoverable: boolean;
  readonly statusCode: number;
  readonly recovery: Recovery;
}

const validation = /VALIDATION|INVALID|BAD_|MALFORMED|_REQUIRED$|PARSE|MISMATCH|TOO_LARGE/;
const authorization = /^UNAUTHENTICATED$|DENIED|FORBIDDEN|NOT_GRANTED|VIOLATION|^AUTH/;
const external = /UNAVAILABLE|TIMEOUT|DEADLINE|CONNECTION|UNREACHABLE|CIRCUIT_OPEN/;
const performance = /RATE_LIMITED|QUOTA|LIMIT_EXCEEDED|SLOW|MEMORY/;

function categoryOf(code: string, statusCode: number): ErrorCategory {
  if (authorization.test(code)) return 'AUTHORIZATION';
  if (performance.test(code)) return 'PERFORMANCE';
  if (external.test(code)) return 'EXTERNAL';
  if (validation.test(code)) return 'VALIDATION';
  return statusCode >= 500 ? 'SYSTEM' : 'BUSINESS';
}

/** What is known of an error by its code, where whoever captured it did not say: the error table, else its name. */
export function classify(code: string, said: Partial<Omit<Classified, 'recovery'>> = {}): Classified {
  const row = isErrorCode(code) ? errorTable[code] : null;
  const statusCode = said.statusCode ?? row?.status ?? 500;
  const category = said.category ?? categoryOf(code, statusCode);
  const severity =
    said.severity ??
    (statusCode < 500
      ? category === 'AUTHORIZATION'
        ? 'MEDIUM'
        : 'LOW'
      : category === 'EXTERNAL'
        ? 'MEDIUM'
        : 'HIGH');
  const recoverable = said.recoverable ?? row?.retryable ?? category === 'EXTERNAL';
  const corrects = category === 'VALIDATION' || category === 'BUSINESS' || category === 'AUTHORIZATION';
  // What nobody expected is not cured by asking again, though it may pass.
  const isTried = recoverable && category !== 'SYSTEM';
  const isGrave = severity === 'CRITICAL' || severity === 'HIGH';
  const recovery = isTried ? 'RETRY' : isGrave ? 'ESCALATE' : corrects ? 'CORRECT' : 'NONE';
  return { severity, category, recoverable, statusCode, recovery };
}

/** Ids, numbers and quoted texts differ from one occurrence to the next. */
function withoutParticulars(text: string): string {
  return text
    .slice(0, 2_000)
    .replace(/"[^"]*"|'[^']*'|`[^`]*`/g, '""')
    .replace(/\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b/gi, '#')
    .replace(/\b0x[0-9a-f]+\b|\b[0-9a-f]{12,}\b/gi, '#')
    .replace(/\d+(\.\d+)?/g, '#');
}

/** Where it was thrown: the names of the first frames, without lines, which move with every change of a file. */
function framesOf(stack: string | null): readonly string[] {
  if (stack === null) return [];
  return stack
    .split('\n')
    .filter((line) => /^\s*at /.test(line) && !line.includes('node:internal'))
    .slice(0, 4)
    .map((line) =>
      line
        .trim()
        .replace(/:\d+:\d+\)?$/, '')
        .replace(/file:\/\/\S*\//, ''),
    );
}

export interface Fingerprinted {
  readonly code: string;
  readonly module: string;
  readonly operation: string | null;
  readonly message: string;
  readonly stack: string | null;
}

/** Equal of errors that are the same one: code, place, and the message without particulars. 32 hexadecimal digits. */
export function fingerprintOf({ code, module, operation, message, stack }: Fingerprinted): string {
  const key = JSON.stringify([code, module, operation, withoutParticulars(message.split('\n')[0]!), framesOf(stack)]);
  return createHash('sha256').update(key).digest('hex').slice(0, 32);
}
