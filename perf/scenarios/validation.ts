import { measurementOf } from '../measurement.ts';
import type { Scenario } from '../scenario.ts';

const operations = ['schema_validation', 'data_validation'] as const;

export const scenarios: readonly Scenario[] = [
  {
    rows: operations.map((operation) => `l1.validation.${operation}`),
    title: 'validators at the service boundary',
    async run(environment) {
      const design = environment.design('l1.validation.schema_validation');
      const result = await environment.load({
        workload: new URL('../workloads/validation.ts', import.meta.url),
        params: { inputs: environment.smoke ? 100 : 1_000 },
        arrival: { kind: 'open', ratePerSecond: design.ratePerSecond!, wake: 'spin' },
        durationSeconds: design.durationSeconds,
      });
      return operations.map((operation) =>
        measurementOf(result, {
          row: `l1.validation.${operation}`,
          variant: 'in the process',
          operation,
          boundBy: 'CPU',
          notes: ['timed by a spinning clock; its CPU is the clock’s', 'a tenth is broken in one place'],
        }),
      );
    },
  },
];
