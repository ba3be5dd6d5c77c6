import { createChildPageLoader } from '#shared/childPages.ts';
import type { RequestScope } from '#shared/context.ts';
import { isId } from '#shared/ids.ts';
import { createRowLoader } from '#shared/loaders.ts';
import { type AssignmentFilterInput, assignmentsBelow } from './lists.ts';
import type { RoleAssignmentRow, RoleDelegationRow, RoleRow, SubjectRow } from './rows.ts';
import type { RoleService } from './service.ts';
import { findAssignments, findDelegations, findRoles, findSubjects } from './store.ts';
import { unknownSubject } from './subjects.ts';

export type RoleLoaders = ReturnType<typeof createRoleLoaders>;

export function createRoleLoaders({ sql }: Pick<RoleService, 'sql'>, scope: RequestScope) {
  const { tenantId } = scope.principal;
  return {
    roleAssignments: createChildPageLoader(sql, (filter: AssignmentFilterInput | null) =>
      assignmentsBelow('role_id', tenantId, filter),
    ),
    subjectAssignments: createChildPageLoader(sql, (filter: AssignmentFilterInput | null) =>
      assignmentsBelow('subject_id', tenantId, filter),
    ),
    contextAssignments: createChildPageLoader(sql, (filter: AssignmentFilterInput | null) =>
      assignmentsBelow('context_id', tenantId, filter),
    ),
    role: createRowLoader<string, RoleRow>({
      scope,
      fetch: (ids) => findRoles(sql, tenantId, ids.filter(isId)),
      keyOf: (row) => row.id,
      tagOf: (id) => `Role:${id}`,
    }),
    assignment: createRowLoader<string, RoleAssignmentRow>({
      scope,
      fetch: (ids) => findAssignments(sql, tenantId, ids.filter(isId)),
      keyOf: (row) => row.id,
      tagOf: (id) => `RoleAssignment:${id}`,
    }),
    delegation: createRowLoader<string, RoleDelegationRow>({
      scope,
      fetch: (ids) => findDelegations(sql, tenantId, ids.filter(isId)),
      keyOf: (row) => row.id,
      tagOf: (id) => `RoleDelegation:${id}`,
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
