import { PlatformError } from '#shared/errors.ts';
import { applyChange, findSeparationViolations } from './decision/index.ts';
import { toChange } from './decisionRows.ts';
import { findHierarchyRefusal, type HierarchyLimits } from './hierarchy/index.ts';
import type { RoleRow } from './rows.ts';
import type { RoleWork } from './work.ts';

/** @throws {ROLE_NOT_FOUND} */
export async function requireRole(work: RoleWork, roleId: string, path: readonly string[]): Promise<RoleRow> {
  const row = await work.findRole(roleId);
  if (!row) throw new PlatformError('ROLE_NOT_FOUND', 'no such role', { path });
  return row;
}

/** @throws {DUPLICATE_ROLE} The tenant's lock keeps the answer true until the commit. */
export async function requireFreeName({ tx, tenantId }: RoleWork, row: RoleRow): Promise<void> {
  const taken = await tx.unsafe(
    'SELECT 1 FROM role.role WHERE tenant_id = $1 AND scope_key = $2 AND name = $3 AND id <> $4 AND deleted_at IS NULL',
    [tenantId, row.scopeKey, row.name, row.id],
    { prepare: true },
  );
  if (taken.length > 0)
    throw new PlatformError('DUPLICATE_ROLE', `the scope already has a role named ${row.name}`, {
      path: ['input', 'name'],
    });
}

/** @throws {ROLE_NOT_FOUND} {CYCLIC_INHERITANCE} {DEPTH_EXCEEDED} {VALIDATION_FAILED} */
export function requireHierarchy(
  { snapshot }: RoleWork,
  row: RoleRow,
  { limits, path }: { readonly limits: HierarchyLimits; readonly path: readonly string[] },
): void {
  const refusal = findHierarchyRefusal(
    snapshot.graph,
    row.id,
    row.parents.map(({ roleId }) => roleId),
    { limits, maxDepth: row.inheritanceRules?.maxDepth },
  );
  if (refusal === undefined) return;
  const place = { path: [...path, 'parents'] };
  switch (refusal.code) {
    case 'PARENT_NOT_FOUND':
      throw new PlatformError('ROLE_NOT_FOUND', refusal.message, { ...place, details: { parentId: refusal.parentId } });
    case 'TOO_MANY_PARENTS':
      throw new PlatformError('VALIDATION_FAILED', refusal.message, place);
    case 'CYCLIC_INHERITANCE':
      throw new PlatformError('CYCLIC_INHERITANCE', refusal.message, { ...place, details: { cycle: refusal.cycle } });
    case 'DEPTH_EXCEEDED':
      throw new PlatformError('DEPTH_EXCEEDED', refusal.message, { ...place, details: { depth: refusal.depth } });
    default:
      refusal satisfies never;
  }
}

/** Separation of duties within the role itself. @throws {SOD_VIOLATION} Answers what is only a warning. */
export function requireSeparation({ snapshot }: RoleWork, row: RoleRow): string[] {
  const violations = findSeparationViolations(applyChange(snapshot, toChange(row)), [row.id], { dynamic: true });
  const say = (ids: readonly { readonly roleId: string }[]) => ids.map(({ roleId }) => roleId).join(', ');
  const blocking = violations.find(({ severity }) => severity !== 'warning');
  if (blocking !== undefined)
    throw new PlatformError('SOD_VIOLATION', `the role would unite what is separated: ${say(blocking.holds)}`, {
      details: { ruleId: blocking.ruleId },
    });
  return violations.map(({ holds }) => `the role unites what should be separated: ${say(holds)}`);
}
