import type { Authorizer } from '#shared/auth.ts';
import type { Principal } from '#shared/principal.ts';

/** What a caller says of itself. Absent: everything that it has. */
export interface Stated {
  readonly roles?: readonly string[] | null | undefined;
  readonly capabilities?: readonly string[] | null | undefined;
}

/** What steps may ask of a caller. */
export interface Claimant {
  /** Null of whom nothing is recorded and who states nothing. */
  readonly capabilities: readonly string[] | null;
  /** By id and by name, with those inherited. */
  rolesIn(contextId: string): Promise<readonly string[]>;
}

/**
 * Roles are those the caller has in the context; what it names only narrows them. So do capabilities where some are
 * recorded of it; of whom nothing is recorded those count that it states.
 */
export async function openClaimant(authorizer: Authorizer, principal: Principal, stated: Stated): Promise<Claimant> {
  const recorded = (await authorizer.capabilitiesOf?.(principal)) ?? null;
  return {
    capabilities: recorded === null ? (stated.capabilities ?? null) : narrow(recorded, stated.capabilities),
    rolesIn: async (contextId) =>
      narrow((await authorizer.rolesOf?.(principal, contextId)) ?? principal.roles, stated.roles),
  };
}

export function narrow(held: readonly string[], named: readonly string[] | null | undefined): readonly string[] {
  return named == null ? held : held.filter((name) => named.includes(name));
}
