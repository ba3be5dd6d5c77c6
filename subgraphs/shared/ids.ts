import { randomUUID } from 'node:crypto';
import { PlatformError } from './errors.ts';

const uuidV4 = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

export function newId(): string {
  return randomUUID();
}

/** True for a lower-case UUID v4, the only form of an id. */
export function isId(value: unknown): value is string {
  return typeof value === 'string' && uuidV4.test(value);
}

/** @throws {VALIDATION_FAILED} when the value is not a lower-case UUID v4. */
export function requireId(value: unknown, path: readonly (string | number)[]): string {
  if (isId(value)) return value;
  throw new PlatformError(
    'VALIDATION_FAILED',
    `${path.join('.')}: expected a lower-case UUID v4, got ${describe(value)}`,
    { path },
  );
}

function describe(value: unknown): string {
  return JSON.stringify(typeof value === 'string' ? value.slice(0, 60) : value) ?? String(value);
}
