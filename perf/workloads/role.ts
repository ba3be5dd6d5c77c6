import { randomUUID } from 'node:crypto';
import { createZipf } from '../load/sampler.ts';
import {
  type CreateWorkload,
  type GraphqlCall,
  type RequestOperation,
  readPath,
  withoutUserErrors,
} from '../load/workload.ts';
import { actions, isGrantable, type RoleSeed, resourceTypes, roleIdOf, subjectOf } from '../seeds/role.ts';

export interface RoleParams {
  readonly seed: RoleSeed;
  /** Bearer tokens of agents, who ask for others as well. */
  readonly tokens: readonly string[];
  readonly admin: string;
  /** Weights by operation. */
  readonly mix: Readonly<Record<string, number>>;
}

const checkPermission = `query Check($input: CheckPermissionInput!) {
  checkPermission(input: $input) { granted decision reason grantedByToken source { grantingRoleId path } failingConditions }
}`;
const roleHierarchy = `query Hierarchy($id: ID!) {
  roleHierarchy(roleId: $id) {
    nodes { roleId relation level directPermissions inheritedPermissions { permission fromRoleId } }
    edges { roleId parentId type redundant }
  }
}`;
const assignRole = `mutation Assign($input: AssignRoleInput!) {
  assignRole(input: $input) { existed assignment { id status expiresAt } userErrors { code message } }
}`;
const createRole = `mutation Create($input: CreateRoleInput!) {
  createRole(input: $input) { role { id name version } userErrors { code message } }
}`;

const bearer = (token: string) => ({ authorization: `Bearer ${token}` });

/** Decisions, hierarchies, assignments and new roles, subjects by Zipf. */
export const createWorkload: CreateWorkload<RoleParams> = async ({ seed, tokens, admin, mix }) => {
  const zipf = createZipf(seed.subjects);
  const callers = tokens.map(bearer);
  const administrator = bearer(admin);
  const facts = { checks: 0, granted: 0 };

  const next: Readonly<Record<string, RequestOperation['next']>> = {
    check_permission(random): GraphqlCall {
      const subjectId = subjectOf(zipf.sample(random));
      const action = random.pick(actions);
      const type = random.pick(resourceTypes);
      return {
        query: checkPermission,
        variables: { input: { subjectId, action, resource: { type, id: `r${random.integer(100)}` } } },
        headers: random.pick(callers),
        check({ data }) {
          const granted = readPath(data, 'checkPermission', 'granted');
          facts.checks += 1;
          if (granted === true) facts.granted += 1;
          if (granted !== true) return granted === false || 'no decision';
          // A caller may come upon itself as the subject: then the scopes of its token count.
          if (readPath(data, 'checkPermission', 'grantedByToken') === true) return true;
          if (!isGrantable(type, action)) return `${type}:${action} was granted, which no role has`;
          return (
            typeof readPath(data, 'checkPermission', 'source', 'grantingRoleId') === 'string' || 'granted by nobody'
          );
        },
      };
    },
    role_hierarchy_query(random): GraphqlCall {
      const id = roleIdOf(random.integer(seed.roles));
      return {
        query: roleHierarchy,
        variables: { id },
        headers: random.pick(callers),
        check: ({ data }) =>
          readPath(data, 'roleHierarchy', 'nodes', 0, 'roleId') === id || 'the hierarchy does not begin with the role',
      };
    },
    assign_role: (random): GraphqlCall => ({
      query: assignRole,
      variables: {
        input: {
          roleId: roleIdOf(random.integer(seed.roles)),
          // Subjects of the run's own: those seeded would soon hold all they may.
          subjectId: `new-${randomUUID()}`,
          idempotencyKey: randomUUID(),
        },
      },
      headers: administrator,
      check: (response) => withoutUserErrors(response, 'assignRole'),
    }),
    create_role: (random): GraphqlCall => ({
      query: createRole,
      variables: {
        input: {
          name: `new_${randomUUID().replaceAll('-', '')}`,
          parents: [{ roleId: roleIdOf(random.integer(seed.roles)) }],
          permissions: [{ resourceType: random.pick(resourceTypes), actions: [random.pick(actions)] }],
          idempotencyKey: randomUUID(),
        },
      },
      headers: administrator,
      check: (response) => withoutUserErrors(response, 'createRole'),
    }),
  };
  return {
    operations: Object.entries(mix).map(([name, weight]): RequestOperation => ({ name, weight, next: next[name]! })),
    facts: () => facts,
  };
};
