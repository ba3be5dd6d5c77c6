import { PlatformError } from '#shared/errors.ts';
import { assignIn, saveStatus } from './assignments.ts';
import { isStanding, judgeAssignment } from './decision/index.ts';
import type { RoleLimits } from './limits.ts';
import type { RoleRow } from './rows.ts';
import type { RoleWork } from './work.ts';

/** Looks in the background who has the capabilities of a role that goes by them: there may be a hundred thousand. */
export function lookForHolders(work: RoleWork, { id, autoAssign, status }: RoleRow): void {
  if (!autoAssign || status !== 'active') return;
  const { tenantId } = work;
  work.schedule({
    task: 'role.assignAutomatically',
    payload: { tenantId, roleId: id },
    key: `role.assignAutomatically:${tenantId}:${id}`,
  });
}

/** What of a refusal means that a subject is not one of those whom the role is for. */
const unfit: readonly string[] = ['INSUFFICIENT_CAPABILITIES', 'PREREQUISITES_MISSING'];

/**
 * Gives a subject the roles that go by capabilities, everywhere, as far as nothing speaks against it, and takes those it was
 * given so and is not fit for any more. Who records capabilities must administer what they lead to.
 * @throws {ESCALATION_REFUSED} {PERMISSION_DENIED}
 */
export async function settleAutomatic(
  work: RoleWork,
  { subjectId, roleId: only }: { readonly subjectId: string; readonly roleId?: string },
  limits: RoleLimits,
): Promise<void> {
  const { timeMs } = work;
  const roles = work.snapshot.roles.flatMap((compiled) =>
    compiled?.role.autoAssign === true && (only === undefined || compiled.role.roleId === only) ? [compiled.role] : [],
  );
  for (const { roleId, status } of roles) {
    const { refusals } = judgeAssignment(work.sets(), { roleId, subjectId, timeMs }, limits.assignment);
    const held = (work.snapshot.subjects.get(subjectId)?.assignments ?? []).find(
      ({ row }) => isStanding(row) && row.roleId === roleId && row.contextId === undefined,
    );
    if (held !== undefined) {
      const row = await work.findAssignment(held.row.assignmentId);
      if (row?.type === 'automatic' && refusals.some(({ code }) => unfit.includes(code)))
        saveStatus(work, row, { status: 'revoked', statusReason: 'the capabilities do not match any more' });
    } else if (status === 'active' && refusals.length === 0) await give(work, { roleId, subjectId }, limits);
  }
}

async function give(
  work: RoleWork,
  { roleId, subjectId }: { readonly roleId: string; readonly subjectId: string },
  limits: RoleLimits,
): Promise<void> {
  const reason = 'its capabilities match';
  try {
    await assignIn(work, { roleId, subjectId, type: 'automatic', reason, requestException: false }, limits);
  } catch (error) {
    if (!(error instanceof PlatformError) || error.code !== 'ASSIGNMENT_RULE_DENIED') throw error;
  }
}
