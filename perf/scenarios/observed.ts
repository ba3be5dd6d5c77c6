import { type Measurement, measurementOf } from '../measurement.ts';
import type { PerfEnvironment, Scenario } from '../scenario.ts';
import { seedErrors, seedLogs } from '../seeds/observed.ts';
import type { ObservedParams } from '../workloads/observed.ts';

/** Rows that are measured here; the other operations of the mix are there for what they do to them. */
const operationsOf = {
  logging: ['log_write'],
  errors: ['error_capture', 'error_processing'],
} as const;

/** A concern's mix at the service boundary, timed by a spinning clock. */
async function measure(
  environment: PerfEnvironment,
  concern: keyof typeof operationsOf,
  designRow: string,
): Promise<Measurement[]> {
  const design = environment.design(designRow);
  const records = environment.smoke ? 2_000 : Object.values(design.dataSet)[0]!;
  const database = await environment.prepareDatabase({
    name: `${concern}${records}`,
    version: 1,
    load: (sql) => (concern === 'logging' ? seedLogs(sql, records) : seedErrors(sql, records)),
  });
  const params: ObservedParams = { databaseUrl: database.url, concern, mix: design.mix };
  const result = await environment.load({
    workload: new URL('../workloads/observed.ts', import.meta.url),
    params,
    arrival: { kind: 'open', ratePerSecond: design.ratePerSecond!, wake: 'spin' },
    durationSeconds: design.durationSeconds,
    database,
  });
  const { durableP50Ms = 0, durableP95Ms = 0, waitingMost = 0, dropped = 0 } = result.facts;
  const [first] = operationsOf[concern];
  return operationsOf[concern]
    .filter((operation) => result.operations[operation] !== undefined)
    .map((operation) =>
      measurementOf(result, {
        row: `l1.${concern === 'logging' ? 'logging' : 'error_handling'}.${operation}`,
        variant: 'at the service',
        operation,
        boundBy: operation === first ? 'CPU' : 'a read by key',
        notes: [
          'timed by a spinning clock; its CPU is the clock’s',
          ...(operation === first
            ? [
                `durable after ${durableP50Ms.toFixed(0)} ms at p50, ${durableP95Ms.toFixed(0)} ms at p95; dropped ${dropped}`,
                ...(concern === 'logging' ? [`a kill -9 loses what waits: ${waitingMost} records at most`] : []),
              ]
            : []),
        ],
      }),
    );
}

export const scenarios: readonly Scenario[] = [
  {
    rows: operationsOf.logging.map((operation) => `l1.logging.${operation}`),
    title: 'log at the service boundary',
    run: (environment) => measure(environment, 'logging', 'l1.logging.log_write'),
  },
  {
    rows: operationsOf.errors.map((operation) => `l1.error_handling.${operation}`),
    title: 'error capture at the service boundary',
    run: (environment) => measure(environment, 'errors', 'l1.error_handling.error_capture'),
  },
];
