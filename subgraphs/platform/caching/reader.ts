import { type CacheArea, type CacheReports, startCacheReports } from '#shared/cache/cacheReports.ts';
import { readConsistencyToken } from '#shared/cache/consistencyToken.ts';
import { createTaggedCache, type Level, type TaggedCache, type TagInvalidation } from '#shared/cache.ts';
import type { RequestScope } from '#shared/context.ts';
import { newId } from '#shared/ids.ts';
import { createLru } from '#shared/lru.ts';
import type { ModuleRuntime, StartedModule } from '#shared/subgraph.ts';
import { type CacheEntryRow, entryColumns } from './rows.ts';

export interface FoundEntry {
  readonly entry: CacheEntryRow;
  readonly level: 'MEMORY' | 'REDIS' | 'DATABASE';
}

/** Entries as they are read: from the memory of the process, then Redis, then the database. */
export interface EntryReader {
  find(scope: RequestScope, key: string): Promise<FoundEntry | null>;
  /** Drops tags of `entryTag` and `everyEntryTag`: here when it returns, in Redis when it resolves. */
  invalidate(tenantId: string, tags: readonly string[]): Promise<void>;
  /** Stores what this process has counted. */
  report(): Promise<void>;
  start(): Promise<StartedModule>;
}

export const entryTag = (key: string) => `CacheEntry:${key}`;
/** Of every entry of a tenant, where they are too many to name. */
export const everyEntryTag = 'CacheEntries';

const memoryLimits = { maxEntries: 1_000, maxBytes: 64 * 1_048_576, ttlMs: 300_000 };
const redisTtlMs = 3_600_000;
/** That nothing is kept under a key is remembered for a shorter time: any key can be asked for. */
const absentTtlMs = 5_000;
const absent = '';
/** While a token that could not name its changes is young enough to matter, ms. */
const everythingClaimMs = 60_000;
const maxCountedTenants = 5_000;

const levels: Readonly<Record<Level, FoundEntry['level']>> = { l1: 'MEMORY', l2: 'REDIS', miss: 'DATABASE' };

const tenantKey = (tenantId: string, rest: string) => `${encodeURIComponent(tenantId)}/${rest}`;
const tenantPart = (key: string) => key.slice(0, key.indexOf('/'));

function areaOf(group: string): CacheArea | null {
  return group === '' ? null : { tenantId: decodeURIComponent(group), area: 'entries' };
}

export function createEntryReader({ config, sql, keyedSql = sql, bus, logger }: ModuleRuntime): EntryReader {
  const instance = newId();
  const found = createLru<number>(maxCountedTenants);
  let reports: CacheReports | undefined;
  let opened: Promise<TaggedCache> | undefined;

  async function openCache(): Promise<TaggedCache> {
    // Its client is loaded only where there is one. The cache opens a connection of its own with these settings.
    const redis =
      config.REDIS_URL && config.CACHE
        ? new (await import('ioredis')).Redis(config.REDIS_URL, { lazyConnect: true })
        : undefined;
    return createTaggedCache({
      enabled: config.CACHE,
      l1: memoryLimits,
      ...(redis === undefined ? {} : { redis }),
      l2TtlMs: redisTtlMs,
      prefix: 'mplp:entries:',
      connected: () => bus.connected,
      groupOf: tenantPart,
    });
  }
  const open = () => {
    opened ??= openCache();
    return opened;
  };

  async function load(tenantId: string, key: string) {
    const [row] = (await keyedSql.unsafe(
      `SELECT ${entryColumns} FROM platform.cache_entry e WHERE e.tenant_id = $1 AND e.key = $2 AND e.expires_at > now()`,
      [tenantId, key],
      { prepare: true },
    )) as unknown as CacheEntryRow[];
    const tags = [entryTag(key), everyEntryTag].map((tag) => tenantKey(tenantId, tag));
    if (!row) return { value: absent, tags, ttlMs: absentTtlMs };
    const group = encodeURIComponent(tenantId);
    found.set(group, (found.get(group) ?? 0) + 1);
    return { value: JSON.stringify(row), tags, ttlMs: Math.max(1, Date.parse(row.expiresAt) - Date.now()) };
  }

  /** Whether the caller has written the entry through another instance, and this one may not have heard of it. */
  function isClaimed(cache: TaggedCache, token: string | undefined, key: string): boolean {
    if (token === undefined) return false;
    const claim = readConsistencyToken(token);
    if (claim.everything) return Date.now() - claim.issuedAtMs < everythingClaimMs;
    return claim.changes.some(
      ({ eventId, tags }) => (tags.includes(entryTag(key)) || tags.includes(everyEntryTag)) && !cache.hasSeen(eventId),
    );
  }

  return {
    async find(scope, key) {
      const cache = await open();
      const { tenantId } = scope.principal;
      if (isClaimed(cache, scope.consistencyToken, key)) await cache.invalidate([tenantKey(tenantId, entryTag(key))]);
      const cached = await cache.getOrLoad(tenantKey(tenantId, key), {
        ttlMs: redisTtlMs,
        load: () => load(tenantId, key),
      });
      const text = String(cached.value ?? absent);
      if (text === absent) return null;
      const entry = JSON.parse(text) as CacheEntryRow;
      // Its life in a level is counted from when it came there, by clocks that may differ.
      return Date.parse(entry.expiresAt) > Date.now() ? { entry, level: levels[cached.hit] } : null;
    },

    async invalidate(tenantId, tags) {
      const cache = await open();
      await cache.invalidate(tags.map((tag) => tenantKey(tenantId, tag)));
    },

    report: async () => reports?.report(),

    async start() {
      const cache = await open();
      const foundOf = (group: string) => found.get(group) ?? 0;
      reports = startCacheReports({ cache, name: 'entries', sql, instance, logger, areaOf, foundOf });
      const unfollow = bus.subscribe('platform', (messages) => {
        const events = messages.flatMap((event): TagInvalidation[] =>
          'eventId' in event && event.type.startsWith('cache.')
            ? [{ id: event.eventId, tags: event.tags.map((tag) => tenantKey(event.tenantId, tag)) }]
            : [],
        );
        void cache.invalidateEvents(events);
      });
      return {
        async close() {
          unfollow();
          await reports?.close();
          await cache.close();
        },
      };
    },
  };
}
