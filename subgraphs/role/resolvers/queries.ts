import { isId } from '#shared/ids.ts';
import { parseInput } from '#shared/validation.ts';
import { readAnalytics } from '../analytics.ts';
import type { HolderPage } from '../hierarchyQueries.ts';
import * as inputs from '../inputs.ts';
import type { RoleLoaders } from '../loaders.ts';
import type { QueryResolvers } from '../resolvers.generated.ts';
import { listSubjects } from '../subjectList.ts';

export const queries: QueryResolvers = {
  role: (_parent, { roleId }, { loaders }) => (isId(roleId) ? loaders.role.load(roleId) : null),
  roles: (_parent, { filter, ...page }, { service, scope }) => {
    scope.readTags.add('roles');
    return service.lists.roles(scope.principal.tenantId, filter, page);
  },
  checkPermission: (_parent, { input }, { service, scope }) => service.decisions.check(scope, input),
  checkPermissions: async (_parent, args, { service, scope }) => {
    const decisions = await service.decisions.checkMany(scope, args.inputs);
    const granted = decisions.filter((given) => given.granted).length;
    const waiting = decisions.some(({ decision }) => decision.overallAccess === 'partial');
    return {
      decisions,
      overallAccess: granted === decisions.length ? 'FULL' : granted > 0 || waiting ? 'PARTIAL' : 'NONE',
      revision: decisions[0]!.revision,
    };
  },
  roleHierarchy: (_parent, { roleId, direction, depth }, { service, scope }) =>
    service.hierarchy.hierarchy(scope.principal.tenantId, roleId, { direction, depth }),
  roleHolders: async (_parent, { role, ...query }, { service, scope, loaders }) =>
    showHolders(await service.hierarchy.holders(scope.principal.tenantId, role, query), loaders),
  permissionHolders: async (_parent, { permission, ...query }, { service, scope, loaders }) =>
    showHolders(await service.permissions.holders(scope.principal.tenantId, permission, query), loaders),
  permissionStandings: (_parent, { permission, ...query }, { service, scope }) =>
    service.permissions.standings(scope.principal.tenantId, permission, query),
  userRoles: (_parent, { subjectId, filter, ...page }, { service, scope }) => {
    scope.readTags.add(`Subject:${subjectId}:roles`);
    return service.lists.assignments(scope.principal.tenantId, { ...filter, subjectId }, page);
  },
  effectivePermissions: async (_parent, { subjectId, contextId }, { service, scope }) => [
    ...(await service.decisions.effective(scope.principal.tenantId, subjectId, contextId)),
  ],
  subject: (_parent, { id }, { loaders }) => loaders.subject.load(parseInput(inputs.subjectId, id, ['id'])),
  subjects: async (_parent, { filter, ...page }, { service, scope }) => {
    // Who holds a role is listed, and assignments come and go.
    for (const tag of ['subjects', 'role:assignments']) scope.readTags.add(tag);
    const { edges, nodes, pageInfo } = await listSubjects(service.sql, scope.principal.tenantId, filter, page);
    return { edges: [...edges], nodes: [...nodes], pageInfo };
  },
  evaluateExpression: (_parent, { expression, facts }, { service, scope }) =>
    service.decisions.evaluate(scope.principal.subject, expression, facts),
  permissionAuditLog: async (_parent, { filter, ...page }, { service, scope }) => {
    // What this instance has decided a moment ago belongs to the answer.
    await service.audit.flush();
    const { edges, nodes, pageInfo } = await service.lists.auditLog(scope.principal.tenantId, filter, page);
    return { edges: [...edges], nodes: [...nodes], pageInfo };
  },
  permissionRequest: (_parent, { requestId }, { loaders }) => loaders.permissionRequest.load(requestId),
  permissionRequests: (_parent, { filter, ...page }, { service, scope }) => {
    scope.readTags.add('role:permissionRequests');
    return service.lists.permissionRequests(scope.principal.tenantId, filter, page);
  },
  userCapabilities: (_parent, { subjectId }, { service, scope }) =>
    service.capabilities.ofSubject(scope.principal.tenantId, subjectId),
  findAgentsWithCapabilities: (_parent, { capabilities, minScore, first }, { service, scope }) =>
    service.capabilities.find(scope.principal.tenantId, capabilities, { minScore, limit: first }),
  recommendRoles: (_parent, { subjectId, contextId, first }, { service, scope }) =>
    service.capabilities.recommend(scope.principal.tenantId, subjectId, { contextId, limit: first }),
  roleAnalytics: async (_parent, period, { service, scope, loaders }) => {
    await service.audit.flush();
    const { unusedIds, ...analytics } = await readAnalytics(service, scope.principal.tenantId, period);
    const unused = await Promise.all(unusedIds.map((id) => loaders.role.load(id)));
    return { ...analytics, unused: unused.filter((row) => row !== null) };
  },
};

async function showHolders({ ids, distances, total, connection }: HolderPage, loaders: RoleLoaders) {
  const subjects = await Promise.all(ids.map(async (id) => (await loaders.subject.load(id))!));
  return {
    edges: connection.edges.map(({ cursor }, at) => ({ cursor, node: subjects[at]!, distance: distances[at]! })),
    nodes: subjects,
    pageInfo: connection.pageInfo,
    count: async () => total,
  };
}
