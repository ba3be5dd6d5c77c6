import { PlatformError } from '#shared/errors.ts';
import type { IdempotentCall } from '#shared/idempotency.ts';
import type { Principal } from '#shared/principal.ts';
import { holdsIn } from '#shared/rights.ts';
import { parseInput } from '#shared/validation.ts';
import { isGranted } from './accessRights.ts';
import * as inputs from './inputs.ts';
import type { ContextRow } from './rows.ts';
import type { Usage } from './usage.ts';

export function unknownContext(contextId: string): PlatformError {
  return new PlatformError('NOT_FOUND', 'no such context', { path: ['contextId'], details: { contextId } });
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
    key: parseInput(inputs.createContext.shape.idempotencyKey, key, ['idempotencyKey'])!,
    operation,
    input,
  };
}

export function requireQuota(usage: Usage, perOwner: number, perTenant: number): void {
  if (usage.owner >= perOwner)
    throw new PlatformError('QUOTA_EXCEEDED', `the owner holds ${usage.owner} open contexts of at most ${perOwner}`, {
      details: { limit: perOwner, used: usage.owner },
    });
  if (usage.tenant >= perTenant)
    throw new PlatformError(
      'QUOTA_EXCEEDED',
      `the tenant holds ${usage.tenant} open contexts of at most ${perTenant}`,
      { details: { limit: perTenant, used: usage.tenant } },
    );
}

/** The owner, who holds the permission, and whom the context's own list grants it. @throws {PERMISSION_DENIED} */
export function requireOwnerOr(
  row: ContextRow,
  principal: Principal,
  permission: 'context:admin' | 'context:write',
): void {
  if (row.ownerId === principal.subject || holdsIn(principal, permission, row.id)) return;
  const action = permission === 'context:admin' ? 'admin' : 'write';
  if (isGranted(row, principal, 'context', action === 'admin' ? ['admin'] : ['admin', 'write'])) return;
  throw new PlatformError('PERMISSION_DENIED', `only the owner or who holds ${permission} may do this`, {
    details: { permission },
  });
}

export function nowText(): string {
  return new Date().toISOString();
}
