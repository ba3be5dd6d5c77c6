import { PlatformError } from '#shared/errors.ts';
import { compileExpression, EvaluationError, type Facts } from './conditions/index.ts';
import type { AssignmentRuleValue, RoleRow } from './rows.ts';
import type { RoleWork } from './work.ts';

/**
 * The first of the role's rules whose condition holds; null when none does. One that cannot be evaluated decides too, as
 * a denial.
 * @throws {ASSIGNMENT_RULE_DENIED}
 */
export function applyAssignmentRules(
  { snapshot, principal, timeMs }: RoleWork,
  role: RoleRow,
  { subjectId, contextId }: { readonly subjectId: string; readonly contextId: string | null },
): AssignmentRuleValue | null {
  const record = snapshot.subjects.get(subjectId);
  const facts: Facts = {
    subjectId,
    subject: record?.subject?.attributes ?? {},
    roleClearance: undefined,
    heldRoles: (record?.assignments ?? []).filter(({ row }) => row.status === 'active').map(({ row }) => row.roleId),
    action: 'assign',
    resourceType: 'role',
    resourceId: role.id,
    resource: role.attributes,
    contextId: contextId ?? undefined,
    planId: undefined,
    environment: { assignedBy: principal.subject },
    timeMs,
    ip: undefined,
  };
  for (const rule of role.assignmentRules) {
    if (!holds(rule, facts)) continue;
    if (rule.action !== 'deny') return rule;
    throw new PlatformError('ASSIGNMENT_RULE_DENIED', `a rule of the role forbids it: ${rule.condition ?? 'always'}`, {
      path: ['input', 'roleId'],
    });
  }
  return null;
}

function holds({ condition }: AssignmentRuleValue, facts: Facts): boolean {
  if (condition === undefined) return true;
  try {
    return compileExpression(condition)(facts);
  } catch (error) {
    if (!(error instanceof EvaluationError)) throw error;
    throw new PlatformError('ASSIGNMENT_RULE_DENIED', `a rule of the role cannot be evaluated: ${error.message}`, {
      path: ['input', 'roleId'],
    });
  }
}
