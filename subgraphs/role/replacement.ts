import { PlatformError } from '#shared/errors.ts';
import { newId } from '#shared/ids.ts';
import { requireAdministration } from './administration.ts';
import {
  type AssignmentLimits,
  applyChanges,
  createPermissionSets,
  findSubjectViolations,
  judgeAssignment,
} from './decision/index.ts';
import { toAssignment } from './decisionRows.ts';
import { requireRole } from './roleRules.ts';
import type { RoleAssignmentRow, RoleRow } from './rows.ts';
import { assignmentColumns } from './store.ts';
import type { RoleWork } from './work.ts';

export async function findStanding(work: RoleWork, roleId: string): Promise<readonly RoleAssignmentRow[]> {
  const { tx, tenantId } = work;
  await work.storeAssignments();
  return (await tx.unsafe(
    `SELECT ${assignmentColumns} FROM role.assignment a
     WHERE a.tenant_id = $1 AND a.role_id = $2 AND a.status IN ('pending', 'active', 'suspended') ORDER BY a.id`,
    [tenantId, roleId],
    { prepare: true },
  )) as unknown as readonly RoleAssignmentRow[];
}

export interface Moved {
  readonly role: RoleRow | null;
  readonly ended: RoleAssignmentRow[];
  readonly begun: RoleAssignmentRow[];
}

/** The assignments once more, of the replacement; those who hold it already keep what they have. */
export async function moveTo(
  work: RoleWork,
  held: readonly RoleAssignmentRow[],
  { replacementRoleId, limits }: { readonly replacementRoleId: string; readonly limits: AssignmentLimits },
): Promise<Moved> {
  const path = ['replacementRoleId'];
  const role = await requireRole(work, replacementRoleId, path);
  if (role.status !== 'active') throw new PlatformError('ROLE_NOT_ACTIVE', `the role is ${role.status}`, { path });
  requireAdministration(work, { roleId: replacementRoleId });
  const placeOf = (row: RoleAssignmentRow) => `${row.contextId ?? ''} ${row.subjectId}`;
  const holders = new Set((await findStanding(work, replacementRoleId)).map(placeOf));
  const common = { updatedAt: work.now, updatedBy: work.principal.subject };
  const ended = held.map((row): RoleAssignmentRow => {
    const statusReason = `replaced by ${role.name}`;
    return { ...row, ...common, status: 'revoked', statusReason, version: row.version + 1 };
  });
  const begun = held
    .filter((row) => !holders.has(placeOf(row)))
    .map((row): RoleAssignmentRow => {
      const id = newId();
      return { ...row, ...common, id, roleId: replacementRoleId, activeIn: [], version: 1, createdAt: work.now };
    });
  requirePossible(work, { role, ended, begun }, limits);
  return { role, ended, begun };
}

/** @throws {SOD_VIOLATION} {CARDINALITY_EXCEEDED} where one of the new assignments is not possible. */
function requirePossible(work: RoleWork, { role, ended, begun }: Moved, limits: AssignmentLimits): void {
  const roleId = role!.id;
  const rows = [...ended, ...begun].map(
    (row) => ({ kind: 'assignment.saved', assignment: toAssignment(row) }) as const,
  );
  const sets = createPermissionSets(applyChanges(work.snapshot, rows));
  for (const { subjectId } of begun) {
    const violation = findSubjectViolations(sets, { subjectId, timeMs: work.timeMs }).find(
      ({ severity, holds }) => severity !== 'warning' && holds.some(({ path }) => path.includes(roleId)),
    );
    if (violation !== undefined)
      throw new PlatformError('SOD_VIOLATION', `separation of duties forbids the replacement for ${subjectId}`, {
        path: ['replacementRoleId'],
        details: { subjectId, ruleId: violation.ruleId },
      });
    const refusal = judgeAssignment(sets, { roleId, subjectId, timeMs: work.timeMs }, limits).refusals.find(
      ({ code }) => code === 'CARDINALITY_EXCEEDED',
    );
    if (refusal !== undefined)
      throw new PlatformError('CARDINALITY_EXCEEDED', refusal.message, { path: ['replacementRoleId'] });
  }
}
