import type { Assignment, Change, Delegation, GivenApproval, Role, Subject, World } from './decision/index.ts';
import { type Seniority, seniorities } from './decision/seniority.ts';
import type { PermissionRequestRow, RoleAssignmentRow, RoleDelegationRow, RoleRow, SubjectRow } from './rows.ts';
import type { RowsSince } from './store.ts';

/** What was stored before it was checked may be any text. */
const isSeniority = (value: unknown): value is Seniority => (seniorities as readonly unknown[]).includes(value);

const millis = (text: string) => Date.parse(text);

/** A stored role as the decision reads it. */
export function toRole(row: RoleRow): Role {
  const { contextIds, planIds } = row.scope;
  const clearance = row.attributes['securityClearance'] as Role['securityClearance'];
  const seniority = row.attributes['seniority'];
  const certifications = row.attributes['certificationRequirements'] as Role['certificationRequirements'];
  return {
    roleId: row.id,
    name: row.name,
    status: row.status,
    permissions: row.permissions,
    parents: row.parents,
    ...(row.inheritanceRules === null ? {} : { inheritanceRules: row.inheritanceRules }),
    ...(row.effectiveAt === null ? {} : { effectiveMs: millis(row.effectiveAt) }),
    ...(row.expiresAt === null ? {} : { expirationMs: millis(row.expiresAt) }),
    ...(contextIds === undefined && planIds === undefined
      ? {}
      : {
          scope: {
            ...(contextIds === undefined ? {} : { contextIds }),
            ...(planIds === undefined ? {} : { planIds }),
          },
        }),
    ...(row.constraints === null ? {} : { constraints: row.constraints }),
    ...(clearance === undefined ? {} : { securityClearance: clearance }),
    ...(isSeniority(seniority) ? { seniority } : {}),
    ...(certifications === undefined ? {} : { certificationRequirements: certifications }),
    separationOfDuties: row.separationOfDuties,
    capabilityProfiles: row.capabilityProfiles,
    ...(row.maxHolders === null ? {} : { maxHolders: row.maxHolders }),
    ...(row.autoAssign ? { autoAssign: true as const } : {}),
  };
}

export function toAssignment(row: RoleAssignmentRow): Assignment {
  return {
    assignmentId: row.id,
    roleId: row.roleId,
    subjectId: row.subjectId,
    status: row.status,
    ...(row.contextId === null ? {} : { contextId: row.contextId }),
    ...(row.validFrom === null ? {} : { validFromMs: millis(row.validFrom) }),
    ...(row.expiresAt === null ? {} : { expiresAtMs: millis(row.expiresAt) }),
    ...(row.constraints === null ? {} : { constraints: row.constraints }),
    ...(row.type === 'temporary' ? { isTemporary: true as const } : {}),
    ...(row.activeIn.length === 0 ? {} : { activeIn: row.activeIn }),
  };
}

export function toDelegation(row: RoleDelegationRow): Delegation {
  return {
    delegationId: row.id,
    delegatorId: row.delegatorId,
    delegateId: row.delegateId,
    permissions: row.permissions,
    status: row.status,
    ...(row.contextId === null ? {} : { contextId: row.contextId }),
    ...(row.startsAt === null ? {} : { startMs: millis(row.startsAt) }),
    endMs: millis(row.endsAt),
    maxDepth: row.maxDepth,
  };
}

export function toSubject(row: SubjectRow): Subject {
  return { subjectId: row.id, attributes: row.attributes, capabilities: row.capabilities };
}

function toGivenApproval(row: PermissionRequestRow): GivenApproval {
  const { id, subjectId, permissionId, grantingRoleId, action, resourceType, resourceId, contextId, planId } = row;
  return {
    ...{ requestId: id, subjectId, permissionId, roleId: grantingRoleId, action, resourceType },
    ...(resourceId === null ? {} : { resourceId }),
    ...(contextId === null ? {} : { contextId }),
    ...(planId === null ? {} : { planId }),
    untilMs: millis(row.endsAt),
  };
}

/** Only what is approved has a part in decisions. */
export function toApprovalChange(row: PermissionRequestRow): Change {
  return row.status === 'approved'
    ? { kind: 'approval.saved', approval: toGivenApproval(row) }
    : { kind: 'approval.removed', requestId: row.id, subjectId: row.subjectId };
}

export function toWorld(rows: RowsSince): World {
  return {
    roles: rows.roles.filter((row) => row.deletedAt === null).map(toRole),
    assignments: rows.assignments.map(toAssignment),
    delegations: rows.delegations.map(toDelegation),
    subjects: rows.subjects.map(toSubject),
    separationRules: [],
    approvals: rows.requests.filter(({ status }) => status === 'approved').map(toGivenApproval),
  };
}

export function toChange(row: RoleRow): Change {
  return row.deletedAt === null ? { kind: 'role.saved', role: toRole(row) } : { kind: 'role.removed', roleId: row.id };
}

/** In any order: a replica is the same whichever comes first. */
export function* toChanges(rows: RowsSince): Generator<Change> {
  for (const row of rows.roles) yield toChange(row);
  for (const row of rows.subjects) yield { kind: 'subject.saved', subject: toSubject(row) };
  for (const row of rows.assignments) yield { kind: 'assignment.saved', assignment: toAssignment(row) };
  for (const row of rows.delegations) yield { kind: 'delegation.saved', delegation: toDelegation(row) };
  for (const row of rows.requests) yield toApprovalChange(row);
}
