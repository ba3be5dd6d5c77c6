import { shapeGovernance } from '#shared/governance.ts';
import type { RequestContext } from '../context.ts';
import { everywhere } from '../decision/activation.ts';
import { listCapabilities, listRequiredCapabilities } from '../decision/index.ts';
import { recommend } from '../decisions.ts';
import { defaultDelegationRules } from '../delegationRules.ts';
import { ownCapabilities, toDocument } from '../document.ts';
import { defaultInheritanceRules } from '../hierarchy/index.ts';
import { listInherited } from '../inheritedAssignments.ts';
import type { Resolvers } from '../resolvers.generated.ts';
import type { RoleRow, SubjectRow } from '../rows.ts';
import {
  shapeApproval,
  shapeConditions,
  shapeConstraints,
  shapePermission,
  shapeRoleAttributes,
  shapeSubjectAttributes,
} from './shapes.ts';

const upper = <Value extends string>(value: Value) => value.toUpperCase() as Uppercase<Value>;
const at = (ms: number | undefined) => (ms === undefined ? null : new Date(ms).toISOString());

/** Its own tags and those it inherits. */
async function capabilitiesOf(row: RoleRow, { service, scope }: RequestContext): Promise<string[]> {
  // A change of any role above it changes the answer.
  scope.readTags.add('roles');
  const replica = service.replicas.peek(row.tenantId) ?? (await service.replicas.load(row.tenantId));
  return [...new Set([...ownCapabilities(row), ...listCapabilities(replica.sets(), row.id)])].sort();
}

/** Plain strings meant to hold role ids: resolved by id, then by name. */
async function namedRole(
  named: string | null | undefined,
  { service, loaders, scope }: Pick<RequestContext, 'service' | 'loaders' | 'scope'>,
): Promise<RoleRow | null> {
  if (named == null) return null;
  scope.readTags.add('roles');
  const roleId = await service.hierarchy.findRole(scope.principal.tenantId, named);
  return roleId === undefined ? null : loaders.role.load(roleId);
}

const capability = ({
  name,
  level,
  verified = false,
  certifications = [],
  lastUsedAt,
}: SubjectRow['capabilities'][number]) => ({
  name,
  level: upper(level),
  verified,
  certifications: [...certifications],
  lastUsedAt: lastUsedAt ?? null,
});

const total = (parent: { count(): Promise<number> }) => parent.count();

export const types: Omit<Resolvers, 'Query' | 'Mutation'> = {
  Role: {
    __resolveReference: ({ id }, { loaders }) => loaders.role.load(id),
    roleId: (row) => row.id,
    roleType: (row) => upper(row.roleType) as never,
    status: (row) => upper(row.status),
    scope: ({ scope }) => ({
      level: upper(scope.level),
      contextIds: scope.contextIds && [...scope.contextIds],
      planIds: scope.planIds && [...scope.planIds],
    }),
    securityLevel: (row) => upper(row.securityLevel) as never,
    permissions: (row) => row.permissions.map(shapePermission),
    capabilities: (row, _args, context) => capabilitiesOf(row, context),
    capabilityProfiles: (row) =>
      row.capabilityProfiles.map(({ name, level, weight = 1 }) => ({ name, level: upper(level), weight })),
    requiredCapabilities: async (row, _args, { service, scope }) => {
      scope.readTags.add('roles');
      const { snapshot } = service.replicas.peek(row.tenantId) ?? (await service.replicas.load(row.tenantId));
      return listRequiredCapabilities(snapshot, row.id).map(({ name, level, weight = 1 }) => ({
        name,
        level: upper(level),
        weight,
      }));
    },
    parents: (row) => [...row.parents],
    attributes: ({ attributes }) => shapeRoleAttributes(attributes),
    constraints: ({ constraints }) => constraints && shapeConstraints(constraints),
    inheritanceRules: ({ inheritanceRules }) => {
      const { mergeStrategy, conflictResolution, maxDepth } = inheritanceRules ?? defaultInheritanceRules;
      return { mergeStrategy: upper(mergeStrategy), conflictResolution: upper(conflictResolution), maxDepth };
    },
    separationOfDuties: (row) =>
      row.separationOfDuties.map(({ conflictingRoles, severity, exceptionApprovalRequired = false, kind, scope }) => ({
        conflictingRoles: [...conflictingRoles],
        severity: upper(severity),
        exceptionApprovalRequired,
        kind: upper(kind ?? 'static'),
        scope: upper(scope ?? 'tenant'),
      })),
    assignmentRules: (row) =>
      row.assignmentRules.map(({ condition = null, action, approverRoles = [] }) => ({
        condition,
        action: upper(action),
        approverRoles: [...approverRoles],
      })),
    delegationRules: ({ delegationRules }) => {
      const { maxHours = null, approverRoles = [], ...rules } = delegationRules ?? defaultDelegationRules;
      return { ...rules, maxHours, approverRoles: [...approverRoles] };
    },
    assignments: (row, { filter, ...page }, { loaders, scope }) => {
      scope.readTags.add(`Role:${row.id}:assignments`);
      return loaders.roleAssignments.load(row.id, filter ?? null, page);
    },
    governance: ({ governance }) => shapeGovernance(governance),
    document: (row) => toDocument(row),
  },
  RoleInheritance: {
    role: ({ roleId }, _args, { loaders }) => loaders.role.load(roleId),
    type: ({ type }) => upper(type),
    excludedPermissions: ({ excludedPermissions = [] }) => [...excludedPermissions],
    conditions: ({ conditions }) => conditions && shapeConditions(conditions),
  },
  RoleAssignment: {
    __resolveReference: ({ id }, { loaders }) => loaders.assignment.load(id),
    assignmentId: (row) => row.id,
    role: (row, _args, { loaders }) => loaders.role.load(row.roleId),
    subject: async (row, _args, { loaders }) => (await loaders.subject.load(row.subjectId))!,
    context: (row) => (row.contextId === null ? null : { id: row.contextId }),
    type: (row) => upper(row.type) as never,
    status: (row) => upper(row.status),
    assignedAt: (row) => row.createdAt,
    constraints: ({ constraints }) => constraints && shapeConstraints(constraints),
    approval: ({ approval }) => approval && shapeApproval(approval),
    activeEverywhere: ({ activeIn }) => activeIn.includes(everywhere),
    activeContextIds: ({ activeIn }) => activeIn.filter((place) => place !== everywhere),
    effectivePermissions: async (row, _args, { service }) => {
      const all = await service.decisions.effective(row.tenantId, row.subjectId, row.contextId);
      const assignmentId = row.inheritedFrom ?? row.id;
      return all.filter(
        ({ source }) =>
          source.assignmentId === assignmentId &&
          source.delegationIds.length === 0 &&
          (row.inheritedFrom === undefined || source.path.includes(row.roleId)),
      );
    },
    inherited: async (row, _args, { service, scope }) => {
      scope.readTags.add('roles');
      const { snapshot } = service.replicas.peek(row.tenantId) ?? (await service.replicas.load(row.tenantId));
      return listInherited(snapshot.graph, row);
    },
    inheritedFrom: ({ inheritedFrom }, _args, { loaders }) =>
      inheritedFrom === undefined ? null : loaders.assignment.load(inheritedFrom),
    inheritancePath: ({ roleId, path }) => [...(path ?? [roleId])],
  },
  RoleDelegation: {
    __resolveReference: ({ id }, { loaders }) => loaders.delegation.load(id),
    delegator: async (row, _args, { loaders }) => (await loaders.subject.load(row.delegatorId))!,
    delegate: async (row, _args, { loaders }) => (await loaders.subject.load(row.delegateId))!,
    permissions: (row) => [...row.permissions],
    approval: ({ approval }) => approval && shapeApproval(approval),
    context: ({ contextId }) => (contextId === null ? null : { id: contextId }),
    status: (row) => upper(row.status) as never,
  },
  PermissionRequest: {
    __resolveReference: ({ id }, { loaders }) => loaders.permissionRequest.load(id),
    subject: async (row, _args, { loaders }) => (await loaders.subject.load(row.subjectId))!,
    grantingRole: (row, _args, { loaders }) => loaders.role.load(row.grantingRoleId),
    context: ({ contextId }) => (contextId === null ? null : { id: contextId }),
    status: (row) => upper(row.status),
    approverRoles: (row) => [...row.approverRoles],
    approval: ({ approval }) => shapeApproval(approval),
  },
  Subject: {
    __resolveReference: ({ id }, { loaders }) => loaders.subject.load(id),
    type: (row) => (row.type === null ? null : (upper(row.type) as never)),
    attributes: ({ attributes }) => shapeSubjectAttributes(attributes),
    capabilities: (row) => row.capabilities.map(capability),
    roles: (row, { filter, ...page }, { loaders, scope }) => {
      scope.readTags.add(`Subject:${row.id}:roles`);
      return loaders.subjectAssignments.load(row.id, filter ?? null, page);
    },
    delegations: (row, { filter, ...page }, { loaders }) => loaders.delegations.load(row.id, filter ?? null, page),
  },
  Context: {
    __resolveReference: (reference) => reference,
    ownerRole: ({ ownerRoleId }, _args, { service, loaders, scope }) =>
      namedRole(ownerRoleId, { service, loaders, scope }),
    roleAssignments: ({ id }, { status, ...page }, { loaders, scope }) => {
      scope.readTags.add('role:assignments');
      return loaders.contextAssignments.load(id, { status }, page);
    },
  },
  Confirm: {
    __resolveReference: (reference) => reference,
    requestingRole: ({ requestedByRole }, _args, context) => namedRole(requestedByRole, context),
  },
  ConfirmDecision: {
    __resolveReference: (reference) => reference,
    decidingRole: ({ decidedByRole }, _args, context) => namedRole(decidedByRole, context),
  },
  RoleConnection: { edges: ({ edges }) => [...edges], nodes: ({ nodes }) => [...nodes], totalCount: total },
  RoleAssignmentConnection: { edges: ({ edges }) => [...edges], nodes: ({ nodes }) => [...nodes], totalCount: total },
  SubjectConnection: { edges: ({ edges }) => [...edges], nodes: ({ nodes }) => [...nodes], totalCount: total },
  RoleDelegationConnection: { edges: ({ edges }) => [...edges], nodes: ({ nodes }) => [...nodes], totalCount: total },
  PermissionRequestConnection: {
    edges: ({ edges }) => [...edges],
    nodes: ({ nodes }) => [...nodes],
    totalCount: total,
  },
  PermissionAuditEntry: { decidedAt: (row) => row.createdAt },
  PermissionDecision: {
    decision: ({ decision, granted }) => (granted ? 'PERMIT' : decision.decision),
    reason: ({ decision, granted }) => (granted ? 'permission_granted' : decision.reason),
    source: ({ decision, grantedByToken, isExplained }) =>
      grantedByToken || !isExplained ? null : (decision.source ?? null),
    nearest: ({ decision, granted, isExplained }) =>
      granted || !isExplained || decision.nearest === undefined
        ? null
        : { ...decision.nearest, failing: [...decision.nearest.failing] },
    failingConditions: ({ decision, granted, isExplained }) =>
      granted || !isExplained ? [] : [...decision.failingConditions],
    errors: ({ decision }) => [...decision.errors],
    constraints: ({ decision, isExplained }) => (isExplained ? [...decision.constraints] : []),
    limits: ({ decision }) => [...decision.limits],
    obligations: ({ decision, granted }) =>
      granted ? [] : decision.obligations.map((duty) => ({ ...duty, approverRoles: [...duty.approverRoles] })),
    overallAccess: ({ decision, granted }) => (granted ? 'FULL' : upper(decision.overallAccess)),
    approvedRequest: ({ decision: { approvedRequestId } }, _args, { loaders }) =>
      approvedRequestId === undefined ? null : loaders.permissionRequest.load(approvedRequestId),
    recommendations: (given) => recommend(given),
  },
  PermissionSource: {
    effect: ({ effect }) => upper(effect),
    grantType: ({ grantType }) => upper(grantType),
    expiresAt: ({ expiresAtMs }) => at(expiresAtMs) as never,
    grantingRole: ({ grantingRoleId }, _args, { loaders }) => loaders.role.load(grantingRoleId),
    path: ({ path }) => [...path],
    delegationIds: ({ delegationIds }) => [...delegationIds],
  },
  EffectivePermission: {
    resourceId: ({ resourceId }) => resourceId ?? null,
    deniedBy: ({ deniedBy }) => deniedBy ?? null,
  },
  RoleHierarchy: {
    role: async ({ roleId }, _args, { loaders }) => (await loaders.role.load(roleId))!,
    nodes: ({ nodes }) => [...nodes],
    edges: ({ edges }) => edges.map((edge) => ({ ...edge, type: upper(edge.type) as never })),
    conflicts: ({ conflicts }) =>
      conflicts.map(({ ruleId, severity, holds }) => ({
        ruleId,
        severity: upper(severity) as never,
        roleIds: holds.map(({ roleId }) => roleId),
      })),
  },
  RoleHierarchyNode: {
    role: ({ roleId }, _args, { loaders }) => loaders.role.load(roleId),
    directPermissions: ({ directPermissions }) => [...directPermissions],
    inheritedPermissions: ({ inheritedPermissions }) => [...inheritedPermissions],
    effectivePermissions: ({ effectivePermissions }) =>
      effectivePermissions.map(({ except, ...permission }) => ({ ...permission, except: [...except] })),
  },
  SubjectCapabilities: {
    subject: async ({ subjectId }, _args, { loaders }) => (await loaders.subject.load(subjectId))!,
    capabilities: ({ capabilities }) => capabilities.map(capability),
    tags: ({ tags }) => [...tags],
  },
  CapableSubject: {
    subject: async ({ subjectId }, _args, { loaders }) => (await loaders.subject.load(subjectId))!,
    gaps: ({ gaps }) =>
      gaps.map(({ name, required, held }) => ({
        name,
        required: upper(required),
        held: held === undefined ? null : upper(held),
      })),
  },
  RoleRecommendation: { role: ({ roleId }, _args, { loaders }) => loaders.role.load(roleId) },
  RoleHolderCount: { role: ({ roleId }, _args, { loaders }) => loaders.role.load(roleId) },
};
