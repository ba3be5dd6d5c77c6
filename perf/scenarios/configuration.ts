import { measureMix } from '../moduleMix.ts';
import type { Scenario } from '../scenario.ts';
import { type ConfigurationSeed, seedConfiguration } from '../seeds/configuration.ts';
import { perfTenant } from '../seeds/context.ts';
import type { ConfigurationParams } from '../workloads/configuration.ts';

const operations = ['config_read', 'config_update', 'config_validation'] as const;

export const scenarios: readonly Scenario[] = [
  {
    rows: operations.map((name) => `l1.configuration.${name}`),
    title: 'configuration mix',
    run(environment) {
      const designRow = 'l1.configuration.config_read';
      const design = environment.design(designRow);
      const seed: ConfigurationSeed = { entries: environment.smoke ? 200 : design.dataSet['config_entries']! };
      return measureMix<ConfigurationParams>(environment, {
        designRow,
        seed: { name: `config${seed.entries}`, version: 1, load: (sql, log) => seedConfiguration(sql, seed, log) },
        workload: new URL('../workloads/configuration.ts', import.meta.url),
        params: async (server) => ({
          seed,
          admin: await server.token({ tenant: perfTenant, subject: 'admin-1', roles: ['admin'] }),
          mix: design.mix,
        }),
        rows: Object.fromEntries(operations.map((name) => [name, `l1.configuration.${name}`])),
        notes: () => ({}),
      });
    },
  },
];
