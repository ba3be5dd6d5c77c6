import { agentTokens, measureBeside } from '../moduleMix.ts';
import type { PerfEnvironment, Scenario } from '../scenario.ts';
import { perfTenant } from '../seeds/context.ts';
import { seedCore } from '../seeds/core.ts';
import { type CoreHistorySeed, seedCoreHistory } from '../seeds/coreHistory.ts';
import type { CoreParams } from '../workloads/core.ts';
import type { CoreHeavyParams } from '../workloads/coreHeavy.ts';

const mixRow = 'l2.core_module.orchestration_decision';
const smokeHistory: CoreHistorySeed = { tuned: 1, steps: 100, executions: 20, stretches: 240 };
const fullHistory: CoreHistorySeed = { tuned: 3, steps: 100, executions: 1_000, stretches: 5_760 };

function heavyRow(
  environment: PerfEnvironment,
  row: string,
  operation: CoreHeavyParams['operation'],
  besideRate: number,
) {
  const history = environment.smoke ? smokeHistory : fullHistory;
  const core = environment.smoke
    ? { workflows: 40, nodes: 400, leases: 200, executions: 300 }
    : { workflows: 1_000, nodes: 1_000, leases: 10_000, executions: 10_000 };
  return measureBeside<CoreHeavyParams>(environment, {
    ...{ row, operation, env: { OPERATOR_TENANT: perfTenant } },
    seed: {
      ...{ name: `corehistory${history.stretches}and${history.executions}`, version: 3 },
      async load(sql, log) {
        await seedCore(sql, core, log);
        await seedCoreHistory(sql, history, log);
      },
    },
    workload: new URL('../workloads/coreHeavy.ts', import.meta.url),
    params: async (server) => ({
      ...{ seed: history, operation },
      admin: await server.token({ tenant: perfTenant, subject: 'core-admin', roles: ['admin'] }),
    }),
    beside: {
      workload: new URL('../workloads/core.ts', import.meta.url),
      ratePerSecond: besideRate,
      params: async (server): Promise<CoreParams> => ({
        ...{ seed: core, tokens: await agentTokens(server, 50), url: server.url },
        mix: environment.design(mixRow).mix,
      }),
    },
  });
}

export const scenarios: readonly Scenario[] = [
  {
    rows: ['l2.core_module.system_optimization'],
    title: 'system optimisation',
    run: (environment) => heavyRow(environment, 'l2.core_module.system_optimization', 'system_optimization', 50),
  },
  {
    rows: ['l3.workflow_manager.workflow_optimization'],
    title: 'workflow optimisation',
    run: (environment) =>
      heavyRow(environment, 'l3.workflow_manager.workflow_optimization', 'workflow_optimization', 10),
  },
];
