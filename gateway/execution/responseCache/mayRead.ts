import type { Authorizer } from '#shared/auth.ts';
import type { Principal } from '#shared/principal.ts';

/**
 * Whether a kept answer may be given to the principal: the subgraph that would have checked is not asked. Who lacks a
 * permission is sent on to it, and gets its refusal.
 */
export async function mayRead(
  authorizer: Authorizer,
  principal: Principal,
  requires: readonly string[],
): Promise<boolean> {
  for (const permission of requires) {
    const allowed = authorizer.allows(principal, permission);
    if (allowed !== true && !(await allowed)) return false;
  }
  return true;
}
