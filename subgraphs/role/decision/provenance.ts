import type { Assignment } from './assignment.ts';
import type { Permission } from './permission.ts';
import type { GrantSource } from './result.ts';
import type { Snapshot } from './snapshot.ts';

export interface Provenance {
  readonly permission: Permission;
  readonly assignment: Assignment;
  /** Indexes in the graph, from the role held up to the one that grants. */
  readonly path: readonly number[];
  readonly isDelegated: boolean;
  /** Epoch ms at which the first of the delegations ends. */
  readonly delegatedUntilMs: number | undefined;
}

/** By which way a permission comes, and when it ends if nothing changes: with whatever on the way ends first. */
export function readProvenance({ roles }: Snapshot, given: Provenance): Pick<GrantSource, 'grantType' | 'expiresAtMs'> {
  const { permission, assignment, path, isDelegated, delegatedUntilMs } = given;
  let untilMs = Math.min(
    permission.expiresAtMs ?? Number.POSITIVE_INFINITY,
    assignment.expiresAtMs ?? Number.POSITIVE_INFINITY,
    delegatedUntilMs ?? Number.POSITIVE_INFINITY,
  );
  for (const index of path) untilMs = Math.min(untilMs, roles[index]?.role.expirationMs ?? Number.POSITIVE_INFINITY);
  const isTemporary = permission.expiresAtMs !== undefined || assignment.isTemporary === true;
  return {
    grantType: isDelegated ? 'delegated' : path.length > 1 ? 'inherited' : isTemporary ? 'temporary' : 'direct',
    expiresAtMs: Number.isFinite(untilMs) ? untilMs : undefined,
  };
}
