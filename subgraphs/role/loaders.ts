import { createChildPageLoader } from '#shared/childPages.ts';
import type { RequestScope } from '#shared/context.ts';
import { createRowLoader } from '#shared/loaders.ts';
import { findInherited, readInheritedId } from './inheritedAssignments.ts';
import { type AssignmentFilterInput, assignmentsBelow, type DelegationFilterInput, delegationsOf } from './lists.ts';
import type { PermissionRequestRow, RoleAssignmentRow, RoleDelegationRow, RoleRow, SubjectRow } from './rows.ts';
import type { RoleService } from './service.ts';
import { findAssignments, findDelegations, findPermissionRequests, findRoles, findSubjects } from './store.ts';
import { unknownSubject } from './subjects.ts';

export type RoleLoaders = ReturnType<typeof createRoleLoaders>;

export function createRoleLoaders({ sql, replicas }: Pick<RoleService, 'sql' | 'replicas'>, scope: RequestScope) {
  const { tenantId } = scope.principal;

  /** Assignments by their ids, also of those that come with others. */
  async function findAllAssignments(ids: readonly string[]): Promise<RoleAssignmentRow[]> {
    const inherited = ids.flatMap((id) => readInheritedId(id) ?? []);
    if (inherited.length === 0) return [...(await findAssignments(sql, tenantId, ids))];
    // What comes with an assignment changes with the roles above it.
    scope.readTags.add('roles');
    const sources = inherited.map(({ assignmentId }) => assignmentId);
    const [rows, { snapshot }] = await Promise.all([
      findAssignments(sql, tenantId, [...new Set([...ids, ...sources])]),
      replicas.peek(tenantId) ?? replicas.load(tenantId),
    ]);
    const byId = new Map(rows.map((row) => [row.id, row]));
    return [
      ...rows,
      ...inherited.flatMap(({ assignmentId, roleId }) => {
        const source = byId.get(assignmentId);
        return (source && findInherited(snapshot.graph, source, roleId)) ?? [];
      }),
    ];
  }
  return {
    roleAssignments: createChildPageLoader(sql, (filter: AssignmentFilterInput | null) =>
      assignmentsBelow('role_id', tenantId, filter),
    ),
    subjectAssignments: createChildPageLoader(sql, (filter: AssignmentFilterInput | null) =>
      assignmentsBelow('subject_id', tenantId, filter),
    ),
    delegations: createChildPageLoader(sql, (filter: DelegationFilterInput | null) => delegationsOf(tenantId, filter)),
    contextAssignments: createChildPageLoader(sql, (filter: AssignmentFilterInput | null) =>
      assignmentsBelow('context_id', tenantId, filter),
    ),
    role: createRowLoader<string, RoleRow>({
      scope,
      fetch: (ids) => findRoles(sql, tenantId, ids),
      keyOf: (row) => row.id,
      tagOf: (id) => `Role:${id}`,
    }),
    assignment: createRowLoader<string, RoleAssignmentRow>({
      scope,
      fetch: findAllAssignments,
      keyOf: (row) => row.id,
      tagOf: (id) => `RoleAssignment:${readInheritedId(id)?.assignmentId ?? id}`,
    }),
    delegation: createRowLoader<string, RoleDelegationRow>({
      scope,
      fetch: (ids) => findDelegations(sql, tenantId, ids),
      keyOf: (row) => row.id,
      tagOf: (id) => `RoleDelegation:${id}`,
    }),
    permissionRequest: createRowLoader<string, PermissionRequestRow>({
      scope,
      fetch: (ids) => findPermissionRequests(sql, tenantId, ids),
      keyOf: (row) => row.id,
      tagOf: (id) => `PermissionRequest:${id}`,
    }),
    /** Every id is somebody's: of one nothing was recorded of, the id is all there is. */
    subject: createRowLoader<string, SubjectRow>({
      scope,
      async fetch(ids) {
        const rows = new Map((await findSubjects(sql, tenantId, ids)).map((row) => [row.id, row]));
        return ids.map((id) => rows.get(id) ?? unknownSubject(tenantId, id));
      },
      keyOf: (row) => row.id,
      tagOf: (id) => `Subject:${id}`,
    }),
  };
}
