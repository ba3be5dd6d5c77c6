import { agentTokens, measureMix } from '../moduleMix.ts';
import type { Scenario, SeedOptions } from '../scenario.ts';
import { perfTenant } from '../seeds/context.ts';
import { type RoleSeed, seedRoles } from '../seeds/role.ts';
import type { RoleParams } from '../workloads/role.ts';

const operations = ['create_role', 'assign_role', 'check_permission', 'role_hierarchy_query'] as const;
const callers = 50;

export function roleSeed(seed: RoleSeed): SeedOptions {
  return {
    name: `roles${seed.roles}x${seed.assignments}`,
    version: 3,
    load: (sql, log) => seedRoles(sql, seed, log),
  };
}

export const scenarios: readonly Scenario[] = [
  {
    rows: [...operations.map((name) => `l2.role_module.${name}`), 'throughput.api_endpoints.role_operations'],
    title: 'role mix',
    run(environment) {
      const designRow = 'l2.role_module.check_permission';
      const design = environment.design(designRow);
      const { roles = 0, subjects = 0, role_assignments: assignments = 0 } = design.dataSet;
      const seed: RoleSeed = environment.smoke
        ? { roles: 60, subjects: 20, assignments: 100 }
        : { roles, subjects, assignments };
      return measureMix<RoleParams>(environment, {
        designRow,
        seed: roleSeed(seed),
        workload: new URL('../workloads/role.ts', import.meta.url),
        params: async (server) => ({
          seed,
          tokens: await agentTokens(server, callers),
          admin: await server.token({ tenant: perfTenant, subject: 'admin-1', roles: ['admin'] }),
          mix: design.mix,
        }),
        rows: Object.fromEntries(operations.map((name) => [name, `l2.role_module.${name}`])),
        throughputRow: 'throughput.api_endpoints.role_operations',
        notes: ({ facts: { checks = 0, granted = 0 } }) => ({
          check_permission: [`${((100 * granted) / Math.max(1, checks)).toFixed(0)} % of the decisions granted`],
        }),
      });
    },
  },
];
