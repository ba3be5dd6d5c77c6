import { type LoadDesign, openLoad } from '../budgets.ts';
import { type Measurement, measurementOf } from '../measurement.ts';
import { agentTokens, boundBy, type MixLoad, measureMix, variants, warmMix } from '../moduleMix.ts';
import { cachesOff } from '../profile.ts';
import type { PerfEnvironment, Scenario, SeedOptions } from '../scenario.ts';
import { perfTenant, seedContexts } from '../seeds/context.ts';
import type { ContextParams } from '../workloads/context.ts';
import type { ContextBulkParams } from '../workloads/contextBulk.ts';

const workload = new URL('../workloads/context.ts', import.meta.url);
const operations = ['get_context', 'search_contexts', 'update_context', 'create_context'] as const;
const callers = 50;
const warmSearchSeconds = 12;

export function contextSeed(
  environment: PerfEnvironment,
  design: LoadDesign,
): SeedOptions & { readonly contexts: number } {
  const contexts = environment.smoke ? 500 : design.dataSet['contexts']!;
  return { contexts, name: `contexts${contexts}`, version: 1, load: (sql, log) => seedContexts(sql, contexts, log) };
}

/** A tenant's search index is built at its first search; a server that has run for a minute has it. */
export async function warmSearch(environment: PerfEnvironment, load: MixLoad<ContextParams>): Promise<void> {
  if (environment.smoke) return;
  await environment.load({
    ...load,
    params: { ...load.params, mix: { search_contexts: 1 } },
    arrival: { kind: 'closed', concurrency: 2 },
    durationSeconds: warmSearchSeconds,
    warmupSeconds: 0,
    seed: 3,
  });
}

export const scenarios: readonly Scenario[] = [
  {
    rows: [...operations.map((name) => `l2.context_module.${name}`), 'throughput.api_endpoints.context_operations'],
    title: 'context mix',
    run(environment) {
      const designRow = 'l2.context_module.get_context';
      const design = environment.design(designRow);
      const seed = contextSeed(environment, design);
      return measureMix<ContextParams>(environment, {
        designRow,
        seed,
        workload,
        params: async (server) => ({
          contexts: seed.contexts,
          tokens: await agentTokens(server, callers),
          mix: design.mix,
        }),
        warm: (load) => warmSearch(environment, load),
        rows: Object.fromEntries(operations.map((name) => [name, `l2.context_module.${name}`])),
        throughputRow: 'throughput.api_endpoints.context_operations',
        notes({ facts: { searches = 0, matches = 0, updates = 0, conflicts = 0 } }) {
          return {
            search_contexts: [
              `a search matches ${(matches / Math.max(1, searches)).toFixed(0)} contexts on average; the index stands when the window opens`,
            ],
            update_context: [`${conflicts} of ${updates} met a newer version and were read again`],
          };
        },
      });
    },
  },
  {
    rows: ['l2.context_module.delete_context'],
    title: 'context mix with deletes',
    async run(environment) {
      const design = environment.design('l2.context_module.delete_context');
      const seed = contextSeed(environment, design);
      const measurements: Measurement[] = [];
      for (const variant of environment.smoke ? variants.slice(0, 1) : variants) {
        const database = await environment.prepareDatabase(seed);
        const server = await environment.startServer({ database, env: variant === 'caches off' ? cachesOff : {} });
        const admin = await server.token({ tenant: perfTenant, subject: 'admin-1', roles: ['admin'] });
        const params: ContextParams = {
          contexts: seed.contexts,
          tokens: await agentTokens(server, callers),
          mix: design.mix,
          deleting: { token: admin, url: server.url },
        };
        const load: MixLoad<ContextParams> = { workload, params: { ...params, deleting: undefined }, server, database };
        await warmSearch(environment, load);
        const { delete_context: _deletes, ...mix } = params.mix;
        await warmMix(environment, { ...load, params: { ...load.params, mix } }, design.ratePerSecond!);
        const result = await environment.load({
          workload,
          params,
          server,
          database,
          ...openLoad(design),
        });
        measurements.push(
          measurementOf(result, {
            row: 'l2.context_module.delete_context',
            variant,
            operation: 'delete_context',
            boundBy: boundBy(result),
          }),
        );
        await server.stop();
      }
      return measurements;
    },
  },
  {
    rows: ['throughput.batch_operations.bulk_context_creation'],
    title: 'bulk creation of contexts',
    async run(environment) {
      const row = 'throughput.batch_operations.bulk_context_creation';
      const design = environment.design(row);
      const database = await environment.prepareDatabase(contextSeed(environment, design));
      const server = await environment.startServer({ database });
      const contextsPerRequest = 100;
      const params: ContextBulkParams = { token: (await agentTokens(server, 1))[0]!, contextsPerRequest };
      const result = await environment.load({
        workload: new URL('../workloads/contextBulk.ts', import.meta.url),
        params,
        server,
        database,
        arrival: { kind: 'closed', concurrency: design.concurrency! },
        durationSeconds: design.durationSeconds,
      });
      return [
        measurementOf(result, {
          row,
          achieved: result.achievedPerSecond * contextsPerRequest * 60,
          boundBy: boundBy(result),
          notes: [
            `requests of ${contextsPerRequest} contexts, p95 ${result.latency.p95Ms.toFixed(0)} ms; CPU is that of a request`,
          ],
        }),
      ];
    },
  },
];
