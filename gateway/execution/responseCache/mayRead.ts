import { type Authorizer, reachOf } from '#shared/auth.ts';
import type { Principal } from '#shared/principal.ts';

/**
 * Whether a kept answer may be given to the principal: the subgraph that would have checked is not asked. Who lacks a
 * permission is sent on to it, and gets its refusal; so is who holds one here and not there: what it may be given is
 * decided object by object, and its answers are kept for nobody.
 */
export async function mayRead(
  authorizer: Authorizer,
  principal: Principal,
  requires: readonly string[],
): Promise<boolean> {
  for (const permission of requires) {
    const reach = reachOf(authorizer, principal, permission);
    if (reach !== true && (await reach) !== true) return false;
  }
  return true;
}
