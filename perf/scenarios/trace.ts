import { agentTokens, measureBeside, measureMix } from '../moduleMix.ts';
import type { PerfEnvironment, Scenario, SeedOptions } from '../scenario.ts';
import { seedContexts } from '../seeds/context.ts';
import { seedTraces, type TraceSeed } from '../seeds/trace.ts';
import type { RunningServer } from '../serverProcess.ts';
import type { TraceParams } from '../workloads/trace.ts';

const designRow = 'l2.trace_module.create_trace';
const mixed = ['create_trace', 'trace_query'] as const;
const heavy = ['trace_analysis', 'distributed_trace'] as const;
const callers = 50;
const lightRate = 500;
const workload = new URL('../workloads/trace.ts', import.meta.url);

function seedOf(environment: PerfEnvironment): TraceSeed {
  if (environment.smoke) return { contexts: 20, traces: 200, spansPerTrace: 5, large: 2, distributed: 4 };
  const { contexts = 0, traces = 0, spans = 0 } = environment.design(designRow).dataSet;
  return { contexts, traces, spansPerTrace: spans / traces, large: 50, distributed: 500 };
}

function seeding(seed: TraceSeed): SeedOptions {
  return {
    name: `traces${seed.traces}x${seed.spansPerTrace}`,
    version: 1,
    async load(sql, log) {
      await seedContexts(sql, seed.contexts, log);
      await seedTraces(sql, seed, log);
    },
  };
}

function paramsOf(seed: TraceSeed, mix: TraceParams['mix']) {
  return async (server: RunningServer): Promise<TraceParams> => ({
    seed,
    tokens: await agentTokens(server, callers),
    mix,
  });
}

export const scenarios: readonly Scenario[] = [
  {
    rows: [...mixed.map((name) => `l2.trace_module.${name}`), 'throughput.api_endpoints.trace_operations'],
    title: 'trace mix',
    run(environment) {
      const seed = seedOf(environment);
      return measureMix<TraceParams>(environment, {
        designRow,
        seed: seeding(seed),
        workload,
        params: paramsOf(seed, environment.design(designRow).mix),
        rows: Object.fromEntries(mixed.map((name) => [name, `l2.trace_module.${name}`])),
        throughputRow: 'throughput.api_endpoints.trace_operations',
        notes: ({ operations }) => ({
          create_trace: [
            `beside it add_spans p95 ${operations['add_spans']?.latency.p95Ms.toFixed(1)} ms, five spans a call`,
          ],
        }),
      });
    },
  },
  ...heavy.map(
    (operation): Scenario => ({
      rows: [`l2.trace_module.${operation}`],
      title: operation.replace('_', ' '),
      run(environment) {
        const seed = seedOf(environment);
        const mix = environment.design(designRow).mix;
        return measureBeside<TraceParams>(environment, {
          row: `l2.trace_module.${operation}`,
          operation,
          seed: seeding(seed),
          workload,
          params: paramsOf(seed, { [operation]: 100 }),
          beside: { workload, ratePerSecond: environment.smoke ? 50 : lightRate, params: paramsOf(seed, mix) },
        });
      },
    }),
  ),
];
