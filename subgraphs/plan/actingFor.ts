import type { Authorizer } from '#shared/auth.ts';
import { PlatformError } from '#shared/errors.ts';
import { createPrincipal, type Principal } from '#shared/principal.ts';
import { holds } from '#shared/rights.ts';
import type { Sql } from '#shared/sql.ts';
import { planTarget } from './access.ts';
import { planLocators } from './locators.ts';

const permission = 'plan:admin';

/**
 * The agent that steps are claimed for: the caller, or another where the caller administers the plan. Of another its token
 * is not known: what the role module says of it counts.
 * @throws {PERMISSION_DENIED} the same for a run that is unknown as for one that is forbidden
 */
export async function requireOwnName(
  { authorizer, sql }: { readonly authorizer: Authorizer; readonly sql: Sql },
  principal: Principal,
  { executionId, agentId }: { readonly executionId: string; readonly agentId: string },
): Promise<Principal> {
  if (agentId === principal.subject) return principal;
  const { tenantId } = principal;
  const target = (await planLocators['PlanExecution']!(sql, tenantId, [executionId])).get(executionId);
  const allowed = target !== undefined && (await authorizer.allows(principal, permission, target));
  if (!allowed)
    throw new PlatformError('PERMISSION_DENIED', `expected the caller's own name: another's needs ${permission}`, {
      path: ['agentId'],
      details: { permission, agentId },
    });
  return createPrincipal({ tenantId, subject: agentId, scopes: [] });
}

/** The holder of a lease, and who administers the plan. */
export function mayUseLease(
  principal: Principal,
  lease: { readonly holder: string | null; readonly planId: string; readonly contextId: string },
): boolean {
  return lease.holder === principal.subject || holds(principal, permission, planTarget(lease));
}
