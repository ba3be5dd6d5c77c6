import type { IdempotentCall } from '#shared/idempotency.ts';
import type { Principal } from '#shared/principal.ts';
import { parseInput } from '#shared/validation.ts';
import { idempotency } from './inputs.ts';

export interface WriteOptions {
  readonly expectedVersion?: number | null | undefined;
  readonly idempotencyKey?: string | null | undefined;
}

export function callOf(
  principal: Principal,
  key: string | null | undefined,
  operation: string,
  input: unknown,
): IdempotentCall | null {
  if (key == null) return null;
  return {
    tenantId: principal.tenantId,
    subject: principal.subject,
    key: parseInput(idempotency, key, ['idempotencyKey']),
    operation,
    input,
  };
}

export function nowText(): string {
  return new Date().toISOString();
}
