import type { RequestScope } from '#shared/context.ts';
import type { IdempotentCall } from '#shared/idempotency.ts';
import { parseInput } from '#shared/validation.ts';
import * as inputs from './inputs.ts';

export interface WriteOptions {
  readonly expectedVersion?: number | null | undefined;
  readonly idempotencyKey?: string | null | undefined;
}

export function idempotentCall(
  { principal }: Pick<RequestScope, 'principal'>,
  operation: string,
  input: unknown,
  key: string | null | undefined,
): IdempotentCall | null {
  const checked = parseInput(inputs.optionalKey, key, ['idempotencyKey']) as string | undefined;
  if (checked === undefined) return null;
  return { tenantId: principal.tenantId, subject: principal.subject, key: checked, operation, input };
}
