import { PlatformError } from '#shared/errors.ts';
import {
  applyChange,
  createPermissionSets,
  findSeparationViolations,
  findSubjectViolations,
  listFreshViolations,
  listHolders,
  type Snapshot,
} from './decision/index.ts';
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

/**
 * Subjects that would come to hold what is separated by the change, because they hold the role or one below it beside others:
 * static separation counts what is authorised, inherited roles included (ANSI INCITS 359, SSD with a general hierarchy). What
 * they held so before, by an exception or from a time without the rule, is not counted.
 */
export function findSeparatedHolders(
  { snapshot, sets, timeMs }: RoleWork,
  row: RoleRow,
): { readonly subjectIds: readonly string[]; readonly ruleId: string } | null {
  const after = applyChange(snapshot, toChange(row));
  if (!hasSeparation(after)) return null;
  const { direct, inherited } = listHolders(snapshot, row.id);
  const [before, next] = [sets(), createPermissionSets(after)];
  const subjectIds: string[] = [];
  let ruleId: string | undefined;
  for (const subjectId of [...direct, ...inherited]) {
    const violations = findSubjectViolations(next, { subjectId, timeMs }).filter(isBlocking);
    if (violations.length === 0) continue;
    const known = findSubjectViolations(before, { subjectId, timeMs }).filter(isBlocking);
    const [fresh] = listFreshViolations(known, violations);
    if (fresh === undefined) continue;
    subjectIds.push(subjectId);
    ruleId ??= fresh.ruleId;
  }
  return ruleId === undefined ? null : { subjectIds, ruleId };
}

const isBlocking = ({ severity }: { readonly severity: string }) => severity !== 'warning';

const hasSeparation = ({ roles, separationRules }: Snapshot): boolean =>
  separationRules.size > 0 || roles.some((compiled) => (compiled?.role.separationOfDuties ?? []).length > 0);

/** @throws {SOD_VIOLATION} where the parents that a role is given would make its holders hold what is separated. */
export function requireHoldersSeparated(work: RoleWork, row: RoleRow): void {
  const found = findSeparatedHolders(work, row);
  if (found === null) return;
  const { subjectIds, ruleId } = found;
  throw new PlatformError(
    'SOD_VIOLATION',
    `${subjectIds.length} holders would come to hold what is separated: ${subjectIds.slice(0, 5).join(', ')}`,
    { path: ['patch', 'parents'], details: { ruleId, subjectIds: subjectIds.slice(0, 100) } },
  );
}
