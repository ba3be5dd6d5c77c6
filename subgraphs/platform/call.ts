import type { RequestScope } from '#shared/context.ts';
import type { IdempotentCall } from '#shared/idempotency.ts';
import { idempotencyKey, parseInput } from '#shared/validation.ts';

/** The call that an idempotency key stands for; null without one. `input` is all that it was given beside the key. */
export function callOf(
  { principal: { tenantId, subject } }: RequestScope,
  key: string | null | undefined,
  operation: string,
  input: unknown,
): IdempotentCall | null {
  if (key == null) return null;
  return {
    tenantId,
    subject,
    key: parseInput(idempotencyKey, key, ['idempotencyKey']),
    operation,
    // Dates and absent members would be hashed otherwise than they are read again.
    input: JSON.parse(JSON.stringify(input)) as unknown,
  };
}
