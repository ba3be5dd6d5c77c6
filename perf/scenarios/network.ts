import { agentTokens, measureBeside, measureMix, variants } from '../moduleMix.ts';
import type { PerfEnvironment, Scenario, SeedOptions } from '../scenario.ts';
import { perfTenant, seedContexts } from '../seeds/context.ts';
import { type NetworkSeed, seedNetworks } from '../seeds/network.ts';
import type { RunningServer } from '../serverProcess.ts';
import type { NetworkParams } from '../workloads/network.ts';
import type { NetworkHeavyParams } from '../workloads/networkHeavy.ts';

const mixRow = 'l2.network_module.create_topology';
const callers = 50;
const besideRate = 25;
const smokeNetworks: NetworkSeed = { contexts: 50, networks: 8, nodes: 200, edges: 1_000 };
const mixWorkload = new URL('../workloads/network.ts', import.meta.url);
const heavyWorkload = new URL('../workloads/networkHeavy.ts', import.meta.url);

const adminToken = (server: RunningServer) =>
  server.token({ tenant: perfTenant, subject: 'network-admin', roles: ['admin'] });

function networkSeed(seed: NetworkSeed): SeedOptions {
  return {
    name: `networks${seed.networks}and${seed.nodes}`,
    version: 1,
    async load(sql, log) {
      await seedContexts(sql, seed.contexts, log);
      await seedNetworks(sql, seed, log);
    },
  };
}

function seedOf(environment: PerfEnvironment, row: string): NetworkSeed {
  const { nodes = 0, edges = 0 } = environment.design(row).dataSet;
  return environment.smoke ? smokeNetworks : { contexts: 500, networks: 100, nodes, edges };
}

function heavyRow(
  environment: PerfEnvironment,
  operation: NetworkHeavyParams['operation'],
  notes?: (facts: Readonly<Record<string, number>>) => string[],
) {
  const row = `l2.network_module.${operation}`;
  const seed = seedOf(environment, row);
  const { mix } = environment.design(mixRow);
  return measureBeside<NetworkHeavyParams>(environment, {
    row,
    operation,
    seed: networkSeed(seed),
    workload: heavyWorkload,
    params: async (server) => ({ seed, admin: await adminToken(server), operation }),
    beside: {
      workload: mixWorkload,
      ratePerSecond: besideRate,
      params: async (server): Promise<NetworkParams> => ({
        seed,
        tokens: await agentTokens(server, callers),
        admin: await adminToken(server),
        mix,
      }),
    },
    ...(notes === undefined ? {} : { notes: ({ facts }) => notes(facts) }),
  });
}

export const scenarios: readonly Scenario[] = [
  {
    rows: [mixRow, 'l2.network_module.establish_connection', 'throughput.api_endpoints.network_operations'],
    title: 'network mix',
    run(environment) {
      const { mix } = environment.design(mixRow);
      const seed = seedOf(environment, mixRow);
      return measureMix<NetworkParams>(environment, {
        designRow: mixRow,
        seed: networkSeed(seed),
        workload: mixWorkload,
        params: async (server) => ({
          seed,
          tokens: await agentTokens(server, callers),
          admin: await adminToken(server),
          mix,
        }),
        rows: { create_topology: mixRow, establish_connection: 'l2.network_module.establish_connection' },
        throughputRow: 'throughput.api_endpoints.network_operations',
        smokeVariants: variants.slice(0, 1),
        notes({ operations, facts: { connected = 0, hops = 0 } }) {
          return {
            create_topology: [
              `beside it read_topology p95 ${operations['read_topology']?.latency.p95Ms.toFixed(1)} ms`,
            ],
            establish_connection: [`${(hops / Math.max(1, connected)).toFixed(1)} hops of ${seed.nodes} nodes`],
          };
        },
      });
    },
  },
  {
    rows: ['l2.network_module.route_optimization'],
    title: 'route optimisation',
    run: (environment) =>
      heavyRow(environment, 'route_optimization', ({ gaps = 0, answers = 0, tight = 0 }) => [
        `mean gap to the bound ${((100 * gaps) / Math.max(1, answers)).toFixed(1)} %, ${tight} of ${answers} bounds tight`,
      ]),
  },
  {
    rows: ['l2.network_module.network_analysis'],
    title: 'network analysis',
    run: (environment) => heavyRow(environment, 'network_analysis'),
  },
];
