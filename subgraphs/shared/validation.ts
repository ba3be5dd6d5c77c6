import { z } from 'zod';
import { PlatformError } from './errors.ts';
import { isId } from './ids.ts';

/** Text limit of every free text field unless it says otherwise. */
export const maxTextBytes = 262_144;

const loneSurrogate = /[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/;

/** Why PostgreSQL could not keep this text unchanged, or null. */
export function textProblem(value: string, maxBytes = maxTextBytes): string | null {
  if (value.includes('\0')) return 'expected text without NUL';
  if (!value.isWellFormed() || loneSurrogate.test(value)) return 'expected well-formed Unicode, got a lone surrogate';
  // A UTF-16 unit is at most three bytes: most texts are cleared without counting.
  if (value.length * 3 > maxBytes && Buffer.byteLength(value) > maxBytes) {
    return `expected at most ${maxBytes} bytes, got ${Buffer.byteLength(value)}`;
  }
  return null;
}

/** Text that can be stored: no NUL, no lone surrogate, bounded in bytes. */
export function text(options: { min?: number; max?: number; maxBytes?: number } = {}) {
  return z.string().superRefine((value, context) => {
    const problem = textProblem(value, options.maxBytes);
    if (problem) context.addIssue({ code: 'custom', message: problem });
    if (options.min !== undefined && value.length < options.min)
      context.addIssue({ code: 'custom', message: `expected at least ${options.min} characters, got ${value.length}` });
    if (options.max !== undefined && value.length > options.max)
      context.addIssue({ code: 'custom', message: `expected at most ${options.max} characters, got ${value.length}` });
  });
}

export const id = z.string().refine(isId, 'expected a lower-case UUID v4');

export const idempotencyKey = text({ min: 1, max: 200 });

export interface JsonLimits {
  readonly maxBytes?: number;
  readonly maxDepth?: number;
}

/** Free JSON from outside: storable text in keys and values, finite numbers, bounded depth and size. */
export function jsonProblem(value: unknown, limits: JsonLimits = {}): string | null {
  const maxDepth = limits.maxDepth ?? 32;
  const maxBytes = limits.maxBytes ?? 1_048_576;
  let bytes = 0;
  const visit = (node: unknown, depth: number): string | null => {
    if (depth > maxDepth) return `expected at most ${maxDepth} levels of nesting`;
    bytes += 8;
    if (bytes > maxBytes) return `expected at most ${maxBytes} bytes of JSON`;
    if (typeof node === 'string') {
      bytes += node.length;
      return textProblem(node, maxBytes);
    }
    if (typeof node === 'number') return Number.isFinite(node) ? null : 'expected a finite number';
    if (node === null || typeof node === 'boolean') return null;
    if (Array.isArray(node)) {
      for (const item of node) {
        const problem = visit(item, depth + 1);
        if (problem) return problem;
      }
      return null;
    }
    if (typeof node === 'object') {
      for (const [key, item] of Object.entries(node)) {
        bytes += key.length;
        const problem = textProblem(key, 1_024) ?? visit(item, depth + 1);
        if (problem) return problem;
      }
      return null;
    }
    return `expected JSON, got ${typeof node}`;
  };
  return visit(value, 0);
}

export function json(limits: JsonLimits = {}) {
  return z.unknown().superRefine((value, context) => {
    const problem = jsonProblem(value, limits);
    if (problem) context.addIssue({ code: 'custom', message: problem });
  });
}

/** Free JSON that is an object. Unlike `z.record` it hands the value on as it came: own `__proto__` keys are data too. */
export function jsonObject(limits: JsonLimits = {}) {
  return z
    .custom<Record<string, unknown>>(
      (value) => typeof value === 'object' && value !== null && !Array.isArray(value),
      'expected a JSON object',
    )
    .superRefine((value, context) => {
      const problem = jsonProblem(value, limits);
      if (problem) context.addIssue({ code: 'custom', message: problem });
    });
}

/**
 * Checks an input against its schema.
 * @throws {VALIDATION_FAILED} with the path of the first value that does not fit; all of them stand in `details.issues`.
 */
export function parseInput<Schema extends z.ZodType>(
  schema: Schema,
  value: unknown,
  path: readonly (string | number)[] = ['input'],
): z.output<Schema> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const issues = result.error.issues.slice(0, 20).map((issue) => ({
    path: [...path, ...issue.path.map((part) => (typeof part === 'symbol' ? String(part) : part))],
    message: issue.message,
  }));
  const first = issues[0]!;
  throw new PlatformError('VALIDATION_FAILED', `${first.path.join('.')}: ${first.message}`, {
    path: first.path,
    details: { issues: issues.map((issue) => ({ path: issue.path.map(String), message: issue.message })) },
  });
}

/** @throws {VERSION_CONFLICT} when the caller read another version than the one stored. */
export function requireVersion(
  expected: number | null | undefined,
  actual: number,
  path: readonly (string | number)[] = ['expectedVersion'],
): void {
  if (expected !== null && expected !== undefined && expected !== actual) {
    throw new PlatformError('VERSION_CONFLICT', `expected version ${expected}, the stored one is ${actual}`, {
      path,
      details: { expectedVersion: expected, actualVersion: actual },
    });
  }
}
