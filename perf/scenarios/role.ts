import { type Measurement, measurementOf } from '../measurement.ts';
import { profilingEnvironment } from '../profiling.ts';
import type { Scenario } from '../scenario.ts';
import { perfTenant } from '../seeds/context.ts';
import { type RoleSeed, seedRoles } from '../seeds/role.ts';
import type { RoleParams } from '../workloads/role.ts';
import { agentTokens, boundBy, closedLoop, throughputMargin } from './context.ts';

const operations = ['create_role', 'assign_role', 'check_permission', 'role_hierarchy_query'] as const;
const callers = 50;

export const scenarios: readonly Scenario[] = [
  {
    rows: [...operations.map((name) => `l2.role_module.${name}`), 'throughput.api_endpoints.role_operations'],
    title: 'role mix',
    async run(environment) {
      const design = environment.design('l2.role_module.check_permission');
      const { roles = 0, subjects = 0, role_assignments: assignments = 0 } = design.dataSet;
      const seed: RoleSeed = environment.smoke
        ? { roles: 60, subjects: 20, assignments: 100 }
        : { roles, subjects, assignments };
      const database = await environment.prepareDatabase({
        name: `roles${seed.roles}x${seed.assignments}`,
        version: 2,
        load: (sql, log) => seedRoles(sql, seed, log),
      });
      const server = await environment.startServer({ database, env: profilingEnvironment() });
      const params: RoleParams = {
        seed,
        tokens: await agentTokens(server, callers),
        admin: await server.token({ tenant: perfTenant, subject: 'admin-1', roles: ['admin'] }),
        mix: design.mix,
      };
      const load = { workload: new URL('../workloads/role.ts', import.meta.url), params, server, database };
      const result = await environment.load({
        ...load,
        arrival: { kind: 'open', ratePerSecond: design.ratePerSecond! * throughputMargin },
        durationSeconds: design.durationSeconds,
      });
      const { checks = 0, granted = 0 } = result.facts;
      const shared = { boundBy: boundBy(result) };
      const notes = [`${((100 * granted) / Math.max(1, checks)).toFixed(0)} % of the decisions granted`];
      const measurements: Measurement[] = operations.map((operation) =>
        measurementOf(result, {
          ...shared,
          row: `l2.role_module.${operation}`,
          operation,
          ...(operation === 'check_permission' ? { notes } : {}),
        }),
      );
      measurements.push(
        measurementOf(result, {
          ...shared,
          row: 'throughput.api_endpoints.role_operations',
          achieved: result.achievedPerSecond,
          notes: await closedLoop(environment, load),
        }),
      );
      await server.stop();
      return measurements;
    },
  },
];
