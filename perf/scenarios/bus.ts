import { type Measurement, measurementOf } from '../measurement.ts';
import { startRedisProcess } from '../redisProcess.ts';
import type { Scenario } from '../scenario.ts';
import type { BusParams } from '../workloads/bus.ts';

const operations = ['event_publish', 'event_delivery'] as const;

export const scenarios: readonly Scenario[] = [
  {
    rows: operations.map((operation) => `l1.event_system.${operation}`),
    title: 'event bus at the service boundary',
    async run(environment) {
      const design = environment.design('l1.event_system.event_delivery');
      const redis = await startRedisProcess();
      if (redis) environment.defer(() => redis.stop());
      else environment.log('redis-server is not installed: the column of other instances is left out');
      const measurements: Measurement[] = [];
      for (const variant of redis ? ['in the process', 'Redis'] : ['in the process']) {
        const params: BusParams = {
          streams: design.dataSet['streams']!,
          listeners: design.dataSet['listeners']!,
          ...(redis && variant === 'Redis' ? { redisUrl: redis.url } : {}),
        };
        const result = await environment.load({
          workload: new URL('../workloads/bus.ts', import.meta.url),
          params,
          arrival: { kind: 'open', ratePerSecond: design.ratePerSecond!, wake: 'spin' },
          durationSeconds: design.durationSeconds,
        });
        for (const operation of operations) {
          measurements.push(
            measurementOf(result, {
              row: `l1.event_system.${operation}`,
              variant,
              operation,
              boundBy:
                variant === 'Redis'
                  ? 'a PUBLISH and its parsing by the other instance'
                  : 'the event loop it shares with the load',
              notes: ['timed by a spinning clock; its CPU is the clock’s'],
            }),
          );
        }
      }
      return measurements;
    },
  },
];
