import { createBeforeHooks } from '#shared/beforeHooks.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import { createActivations } from './activations.ts';
import { createAssignments } from './assignments.ts';
import { createRoleAuthorizer, findRoleAuthorizer } from './authorizer.ts';
import { createCapabilities } from './capabilities.ts';
import { createRoleCommands } from './commands.ts';
import { createContexts } from './contexts.ts';
import { createDecisions } from './decisions.ts';
import { createDelegations } from './delegations.ts';
import { createHierarchyQueries } from './hierarchyQueries.ts';
import { readRoleLimits } from './limits.ts';
import { createRoleLists } from './lists.ts';
import { createPermissionQueries } from './permissionQueries.ts';
import { createPermissionRequests } from './permissionRequests.ts';
import { createRoles } from './roles.ts';
import { createSubjects } from './subjects.ts';
import { createUpkeep } from './upkeep.ts';

export type RoleService = ReturnType<typeof createRoleService>;

export function createRoleService(runtime: ModuleRuntime) {
  const { sql, bus, logger, publisher } = runtime;
  const limits = readRoleLimits(runtime.config);
  // The process's authorizer and this module decide by the same replicas.
  const shared = findRoleAuthorizer(runtime.authorizer);
  const authorizer = shared ?? createRoleAuthorizer({ sql, bus, logger, publisher, ...limits });
  const { replicas, audit } = authorizer;
  const commands = createRoleCommands(runtime, replicas);
  const contexts = createContexts(runtime);
  const hooks = createBeforeHooks(runtime, 'role');

  return {
    sql,
    replicas,
    audit,
    contexts,
    roles: createRoles(runtime, { commands, limits }),
    hooks,
    assignments: createAssignments(commands, { contexts, hooks, limits }),
    activations: createActivations(commands, contexts),
    delegations: createDelegations(commands, contexts, limits),
    permissionRequests: createPermissionRequests(commands, contexts, limits),
    subjects: createSubjects(commands, limits),
    decisions: createDecisions(authorizer, limits),
    hierarchy: createHierarchyQueries(replicas),
    permissions: createPermissionQueries(replicas),
    capabilities: createCapabilities(replicas, limits),
    lists: createRoleLists(sql),
    upkeep: createUpkeep(runtime, { commands, replicas, limits }),

    /** Waits for what is being written, decisions included. */
    async drain(): Promise<void> {
      await commands.drain();
      await (shared === undefined ? authorizer.close() : audit.flush());
    },
  };
}
