import { shapeApproval, shapeConstraints } from './resolvers/shapes.ts';
import type { ApprovalValue, PermissionRequestRow, RoleAssignmentRow, RoleDelegationRow } from './rows.ts';

function toApprovalPayload(approval: ApprovalValue): Record<string, unknown> {
  const { confirmId, ...shape } = shapeApproval(approval);
  return { ...shape, confirmId, confirm: confirmId == null ? null : { __typename: 'Confirm', id: confirmId } };
}

/** The graph's form of a row out of an event: what the hub can answer without asking the subgraph. */
export function toAssignmentPayload(row: RoleAssignmentRow): Record<string, unknown> {
  return {
    __typename: 'RoleAssignment',
    id: row.id,
    assignmentId: row.id,
    roleId: row.roleId,
    subjectId: row.subjectId,
    contextId: row.contextId,
    type: row.type.toUpperCase(),
    status: row.status.toUpperCase(),
    assignedBy: row.assignedBy,
    assignedAt: row.createdAt,
    reason: row.reason,
    statusReason: row.statusReason,
    validFrom: row.validFrom,
    expiresAt: row.expiresAt,
    constraints: row.constraints && shapeConstraints(row.constraints),
    activeEverywhere: row.activeIn.includes('*'),
    activeContextIds: row.activeIn.filter((place) => place !== '*'),
    approval: row.approval && toApprovalPayload(row.approval),
    version: row.version,
    updatedAt: row.updatedAt,
  };
}

export function toDelegationPayload(row: RoleDelegationRow): Record<string, unknown> {
  return {
    __typename: 'RoleDelegation',
    id: row.id,
    permissions: row.permissions,
    contextId: row.contextId,
    status: row.status.toUpperCase(),
    reason: row.reason,
    statusReason: row.statusReason,
    approval: row.approval && toApprovalPayload(row.approval),
    maxDepth: row.maxDepth,
    startsAt: row.startsAt,
    endsAt: row.endsAt,
    version: row.version,
    createdAt: row.createdAt,
  };
}

export function toPermissionRequestPayload(row: PermissionRequestRow): Record<string, unknown> {
  const { tenantId: _tenant, revision: _revision, updatedBy: _by, status, approval, ...fields } = row;
  return {
    __typename: 'PermissionRequest',
    ...fields,
    status: status.toUpperCase(),
    approval: toApprovalPayload(approval),
  };
}
