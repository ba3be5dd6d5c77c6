import { openLoad } from '../budgets.ts';
import { type Measurement, measurementOf } from '../measurement.ts';
import { boundBy } from '../moduleMix.ts';
import type { PerfEnvironment, Scenario } from '../scenario.ts';
import { perfTenant } from '../seeds/context.ts';
import type { PerformanceParams } from '../workloads/performance.ts';
import { prepareMetrics } from './monitoring.ts';

const workload = new URL('../workloads/performance.ts', import.meta.url);
const besidePerSecond = 10;

async function open(environment: PerfEnvironment, row: string) {
  const { database, days } = await prepareMetrics(environment, environment.design(row));
  const server = await environment.startServer({ database });
  const token = await server.token({ tenant: perfTenant, subject: 'admin-1', roles: ['admin'] });
  const paramsOf = (mix: PerformanceParams['mix']): PerformanceParams => ({ days, token, mix });
  return { database, server, paramsOf };
}

/** One after the other, beside quantiles of single operations. */
async function measureHeavy(
  environment: PerfEnvironment,
  operation: 'performance_analysis' | 'optimization_recommendation',
): Promise<Measurement[]> {
  const row = `l1.performance.${operation}`;
  const design = environment.design(row);
  const { database, server, paramsOf } = await open(environment, row);
  const [result, light] = await Promise.all([
    environment.load({
      workload,
      params: paramsOf({ [operation]: 1 }),
      server,
      database,
      arrival: { kind: 'closed', concurrency: design.concurrency! },
      durationSeconds: design.durationSeconds,
    }),
    environment.load({
      workload,
      params: paramsOf({ metric_calculation: 1 }),
      server,
      arrival: { kind: 'open', ratePerSecond: besidePerSecond },
      durationSeconds: design.durationSeconds,
      seed: 4,
    }),
  ]);
  return [
    measurementOf(result, {
      row,
      operation,
      boundBy: boundBy(result),
      notes: [
        `${result.achievedPerSecond.toFixed(1)}/s beside ${light.achievedPerSecond.toFixed(0)} metric_calculation/s: their p95 ${light.latency.p95Ms.toFixed(1)} ms, ${light.errorCount} errors, ${light.wrong} wrong`,
        'held to what the seed says of each operation',
      ],
    }),
  ];
}

export const scenarios: readonly Scenario[] = [
  {
    rows: ['l1.performance.metric_calculation'],
    title: 'figures of operations',
    async run(environment) {
      const row = 'l1.performance.metric_calculation';
      const design = environment.design(row);
      const { database, server, paramsOf } = await open(environment, row);
      const result = await environment.load({
        workload,
        params: paramsOf(design.mix),
        server,
        database,
        ...openLoad(design),
      });
      const beside = ['performance_analysis', 'optimization_recommendation'].map(
        (name) => `${name} p95 ${result.operations[name]?.latency.p95Ms.toFixed(0) ?? '-'} ms`,
      );
      return [
        measurementOf(result, {
          row,
          operation: 'metric_calculation',
          boundBy: boundBy(result),
          notes: [`beside it ${beside.join(', ')}`, 'every quantile is held to the seed'],
        }),
      ];
    },
  },
  ...(['performance_analysis', 'optimization_recommendation'] as const).map(
    (operation): Scenario => ({
      rows: [`l1.performance.${operation}`],
      title: operation === 'performance_analysis' ? 'analysis of all operations' : 'recommendations of a day',
      run: (environment) => measureHeavy(environment, operation),
    }),
  ),
];
