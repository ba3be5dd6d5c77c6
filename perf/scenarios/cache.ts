import { type Measurement, measurementOf } from '../measurement.ts';
import { startRedisProcess } from '../redisProcess.ts';
import type { Scenario } from '../scenario.ts';
import type { CacheParams } from '../workloads/cache.ts';

const operations = ['cache_read', 'cache_write', 'cache_invalidation'] as const;

export const scenarios: readonly Scenario[] = [
  {
    rows: operations.map((operation) => `l1.caching.${operation}`),
    title: 'response cache at the service boundary',
    async run(environment) {
      const design = environment.design('l1.caching.cache_read');
      const redis = await startRedisProcess();
      if (redis) environment.defer(() => redis.stop());
      else environment.log('redis-server is not installed: the column of the second level is left out');
      const measurements: Measurement[] = [];
      for (const variant of redis ? ['in the process', 'Redis'] : ['in the process']) {
        const params: CacheParams = {
          entries: environment.smoke ? 500 : design.dataSet['entries']!,
          ...(redis && variant === 'Redis' ? { redisUrl: redis.url } : {}),
        };
        const result = await environment.load({
          workload: new URL('../workloads/cache.ts', import.meta.url),
          params,
          arrival: { kind: 'open', ratePerSecond: design.ratePerSecond!, wake: 'spin' },
          durationSeconds: design.durationSeconds,
        });
        const { reads = 0, hits = 0 } = result.facts;
        for (const operation of operations) {
          measurements.push(
            measurementOf(result, {
              row: `l1.caching.${operation}`,
              variant,
              operation,
              ...(operation === 'cache_read' && reads > 0 ? { cachedShare: hits / reads } : {}),
              boundBy:
                variant === 'Redis'
                  ? 'a round trip to Redis on the same machine'
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
