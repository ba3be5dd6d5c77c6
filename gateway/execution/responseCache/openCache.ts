import { Counter, Gauge, type Registry } from 'prom-client';
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
  });
  exposeStats(cache, metrics.registry);
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

/** Read when somebody asks for the metrics: a look-up pays nothing for them. */
function exposeStats(cache: TaggedCache, registry: Registry): void {
  new Counter({
    name: 'mplp_cache_events_total',
    help: 'Hits, misses, loads and drops of the response cache',
    labelNames: ['event'],
    registers: [registry],
    collect() {
      const { l1, l2, loads, joined, staleDrops, invalidatedEntries } = cache.stats();
      const events = {
        ...{ l1_hit: l1.hits, l1_miss: l1.misses, l1_eviction: l1.evictions, l2_hit: l2.hits, l2_miss: l2.misses },
        ...{
          refused_store: l2.refusedStores,
          load: loads,
          joined,
          stale_drop: staleDrops,
          invalidated: invalidatedEntries,
        },
      };
      this.reset();
      for (const [event, count] of Object.entries(events)) this.inc({ event }, count);
    },
  });
  new Gauge({
    name: 'mplp_cache_entries',
    help: 'Entries of the response cache in memory',
    registers: [registry],
    collect() {
      this.set(cache.stats().l1.entries);
    },
  });
  new Gauge({
    name: 'mplp_cache_bytes',
    help: 'Bytes of the response cache in memory',
    registers: [registry],
    collect() {
      this.set(cache.stats().l1.bytes);
    },
  });
}
