import type { Bus } from '#shared/bus.ts';
import { startCacheReports } from '#shared/cache/cacheReports.ts';
import { createTaggedCache, type TaggedCache } from '#shared/cache.ts';
import type { Config } from '#shared/config.ts';
import type { Sql } from '#shared/sql.ts';
import type { Logger, Metrics } from '#shared/telemetry.ts';
import { openRedis } from '../../quickRedis.ts';
import { cacheAreaOf, cacheGroupOf } from './cacheKey.ts';
import { invalidateByEvents } from './invalidation.ts';

export interface OpenCacheOptions {
  readonly config: Config;
  readonly bus: Bus;
  /** Database of the platform module, which is told what the cache counts. */
  readonly sql: Sql;
  /** Names the process. */
  readonly instance: string;
  readonly logger: Logger;
  readonly metrics: Metrics;
}

export interface OpenCache {
  readonly cache: TaggedCache;
  close(): Promise<void>;
}

const maxBytes = 256 * 1_048_576;

/** The response cache of a process: it follows the events, and its counts are kept. */
export async function openCache({ config, bus, sql, instance, logger, metrics }: OpenCacheOptions): Promise<OpenCache> {
  const redis = config.REDIS_URL && config.CACHE ? await openRedis(config.REDIS_URL, { lazyConnect: true }) : null;
  const cache = createTaggedCache({
    enabled: config.CACHE,
    l1: { maxEntries: config.CACHE_L1_ENTRIES, maxBytes, ttlMs: config.CACHE_TTL_MS },
    ...(redis === null ? {} : { redis }),
    connected: () => bus.connected,
    groupOf: cacheGroupOf,
    metrics: { count: (event, by) => metrics.cacheEvents.inc({ event }, by) },
  });
  const unfollow = invalidateByEvents(bus, cache);
  const reports = startCacheReports({ cache, name: 'responses', sql, instance, logger, areaOf: cacheAreaOf });
  return {
    cache,
    async close() {
      unfollow();
      await reports.close();
      await cache.close();
    },
  };
}
