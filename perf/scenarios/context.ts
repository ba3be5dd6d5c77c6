import type { LoadDesign } from '../budgets.ts';
import { type MeasuredLoad, type Measurement, measurementOf } from '../measurement.ts';
import { type MetricSamples, metricGrowth, scrapeMetrics } from '../metricsText.ts';
import { cachesOff } from '../profile.ts';
import { profilingEnvironment } from '../profiling.ts';
import type { EnvironmentLoad, PerfEnvironment, Scenario, SeedOptions } from '../scenario.ts';
import { perfTenant, seedContexts } from '../seeds/context.ts';
import type { RunningServer } from '../serverProcess.ts';
import type { ContextParams } from '../workloads/context.ts';
import type { ContextBulkParams } from '../workloads/contextBulk.ts';

const workload = new URL('../workloads/context.ts', import.meta.url);
const operations = ['get_context', 'search_contexts', 'update_context', 'create_context'] as const;
const callers = 50;
/** So much more is asked for than a throughput row wants: a Poisson process alone falls short of its rate half of the time. */
export const throughputMargin = 1.02;
const closedConcurrency = 32;
const closedSeconds = 10;
const warmSearchSeconds = 12;
export const variants = ['caches on', 'caches off'] as const;

export function contextSeed(
  environment: PerfEnvironment,
  design: LoadDesign,
): SeedOptions & { readonly contexts: number } {
  const contexts = environment.smoke ? 500 : design.dataSet['contexts']!;
  return { contexts, name: `contexts${contexts}`, version: 1, load: (sql, log) => seedContexts(sql, contexts, log) };
}

export function agentTokens(server: RunningServer, count: number): Promise<string[]> {
  const token = (index: number) => server.token({ tenant: perfTenant, subject: `agent-${index}`, roles: ['agent'] });
  return Promise.all(Array.from({ length: count }, (_, index) => token(index)));
}

/** Reads the server's cache counters as the window opens and closes. */
export function watchCache(server: RunningServer) {
  const samples: Promise<MetricSamples>[] = [];
  return {
    onWindow: () => void samples.push(scrapeMetrics(server.origin)),
    /** Part of the asked entries that were there; undefined where nothing was asked. */
    async share(): Promise<number | undefined> {
      const [before, after] = await Promise.all(samples);
      if (!before || !after) return undefined;
      const asked = metricGrowth(before, after, 'mplp_cache_requests_total');
      const missed = metricGrowth(before, after, 'mplp_cache_requests_total', 'result="miss"');
      return asked === 0 ? undefined : (asked - missed) / asked;
    },
  };
}

/** What the cores were busy with: the server's one thread, PostgreSQL, the clients. */
export function boundBy({ cpu, achievedPerSecond }: MeasuredLoad): string {
  const cores = (us: number | null) => (((us ?? 0) * achievedPerSecond) / 1e6).toFixed(2);
  return `cores in use: server ${cores(cpu.serverUs)}, PostgreSQL ${cores(cpu.databaseUs)}, clients ${cores(cpu.clientUs)}`;
}

/** The highest rate the server holds, found beside the row's own load. */
export async function closedLoop(
  environment: PerfEnvironment,
  options: Omit<EnvironmentLoad, 'arrival' | 'durationSeconds'>,
): Promise<string[]> {
  if (environment.smoke) return [];
  const result = await environment.load({
    ...options,
    arrival: { kind: 'closed', concurrency: closedConcurrency },
    durationSeconds: closedSeconds,
    warmupSeconds: 1,
    seed: 2,
  });
  const wrong = result.wrong > 0 ? `, ${result.wrong} WRONG: ${result.wrongExamples[0]}` : '';
  return [
    `closed loop of ${closedConcurrency}: ${Math.round(result.achievedPerSecond)}/s, p95 ${result.latency.p95Ms.toFixed(1)} ms, ${result.errorCount} errors${wrong}; ${boundBy(result)}`,
  ];
}

/** A tenant's search index is built at its first search; a server that has run for a minute has it. */
async function warmSearch(
  environment: PerfEnvironment,
  load: { readonly params: ContextParams } & Omit<EnvironmentLoad, 'params' | 'arrival' | 'durationSeconds'>,
): Promise<void> {
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
    async run(environment) {
      const design = environment.design('l2.context_module.get_context');
      const seed = contextSeed(environment, design);
      const measurements: Measurement[] = [];
      for (const variant of variants) {
        const database = await environment.prepareDatabase(seed);
        const env = { ...profilingEnvironment(), ...(variant === 'caches off' ? cachesOff : {}) };
        const server = await environment.startServer({ database, env });
        const params: ContextParams = {
          contexts: seed.contexts,
          tokens: await agentTokens(server, callers),
          mix: design.mix,
        };
        const cache = watchCache(server);
        const load = { workload, params, server, database };
        await warmSearch(environment, load);
        const result = await environment.load({
          ...load,
          arrival: { kind: 'open', ratePerSecond: design.ratePerSecond! * throughputMargin },
          durationSeconds: design.durationSeconds,
          onWindow: cache.onWindow,
        });
        const cachedShare = await cache.share();
        const { searches = 0, matches = 0, updates = 0, conflicts = 0 } = result.facts;
        const shared = { variant, boundBy: boundBy(result), ...(cachedShare === undefined ? {} : { cachedShare }) };
        const notes: Partial<Record<(typeof operations)[number], string[]>> = {
          search_contexts: [
            `a search matches ${(matches / Math.max(1, searches)).toFixed(0)} contexts on average; the index stands when the window opens`,
          ],
          update_context: [`${conflicts} of ${updates} met a newer version and were read again`],
        };
        for (const operation of operations) {
          measurements.push(
            measurementOf(result, {
              ...shared,
              row: `l2.context_module.${operation}`,
              operation,
              notes: notes[operation] ?? [],
            }),
          );
        }
        measurements.push(
          measurementOf(result, {
            ...shared,
            row: 'throughput.api_endpoints.context_operations',
            achieved: result.achievedPerSecond,
            notes: await closedLoop(environment, load),
          }),
        );
        await server.stop();
      }
      return measurements;
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
        await warmSearch(environment, { workload, params: { ...params, deleting: undefined }, server, database });
        const result = await environment.load({
          workload,
          params,
          server,
          database,
          arrival: { kind: 'open', ratePerSecond: design.ratePerSecond! },
          durationSeconds: design.durationSeconds,
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
