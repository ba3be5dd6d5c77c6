import { PlatformError } from '#shared/errors.ts';
import { type OverrideClaim, passLock, readOverride as read } from '#shared/governanceOverride.ts';
import { requireId } from '#shared/ids.ts';
import type { Principal } from '#shared/principal.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import type { RoleRow } from './rows.ts';

export type { OverrideClaim };

/**
 * Reads an override and asks about it before the tenant is locked; only a locked role makes use of the answer. The protocol
 * has no role among the kinds of targets.
 * @throws {VALIDATION_FAILED} when an id is malformed.
 */
export async function readOverride(
  runtime: Pick<ModuleRuntime, 'authorizer' | 'graph'>,
  principal: Principal,
  { roleId, override }: { readonly roleId: string; readonly override: unknown },
): Promise<OverrideClaim | null> {
  if (override != null) requireId(roleId, ['roleId']);
  return read(runtime, principal, { target: { type: 'OTHER', id: roleId, noun: 'role' }, override });
}

/**
 * The role as a change finds it: one that is locked passes with an override that opens it, which its governance remembers.
 * @throws {SYSTEM_ROLE_IMMUTABLE} @throws {GOVERNANCE_LOCKED} without an override.
 * @throws {PERMISSION_DENIED} {CONFIRM_NOT_APPROVED} {UNAVAILABLE} with one that does not open the lock.
 */
export function requireChangeable(row: RoleRow, claim: OverrideClaim | null): RoleRow {
  if (row.roleType === 'system') throw new PlatformError('SYSTEM_ROLE_IMMUTABLE', 'roles of the system never change');
  const governance = passLock(row.governance, claim, { noun: 'role', path: ['override'] });
  return governance === null ? row : { ...row, governance };
}
