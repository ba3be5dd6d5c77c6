import type { Redis } from 'ioredis';
import { type CacheCounter, type CacheMetrics, type CacheStats, createCounters, ratio } from './cache/cacheStats.ts';
import { createFlight, type Flight, type Level, type Moment, type Outcome } from './cache/flight.ts';
import { createGroups, type GroupStats } from './cache/groupStats.ts';
import { createInvalidationLog, type TagInvalidation } from './cache/invalidationLog.ts';
import { type CacheValue, createMemoryLevel, type MemoryEntry } from './cache/memoryLevel.ts';
import { createRedisLevel, type RedisHit } from './cache/redisLevel.ts';

import { runForAll } from './cancellation.ts';
import { createLru } from './lru.ts';

export type { CacheMetrics, CacheStats } from './cache/cacheStats.ts';
export type { Level, Moment } from './cache/flight.ts';
export type { GroupStats } from './cache/groupStats.ts';
export type { TagInvalidation } from './cache/invalidationLog.ts';
export type { CacheValue } from './cache/memoryLevel.ts';

export interface TaggedCacheOptions {
  /** False: every call loads, nothing is kept. @default true */
  readonly enabled?: boolean;
  readonly l1: { readonly maxEntries: number; readonly maxBytes: number; readonly ttlMs: number };
  /** Second level; a connection of its own is opened with the settings of this one. */
  readonly redis?: Redis;
  /** Longest life in the second level, ms. @default 3_600_000 */
  readonly l2TtlMs?: number;
  /** Time a call to the second level may take, ms. @default 5 */
  readonly l2TimeoutMs?: number;
  /** @default 'mplp:' */
  readonly prefix?: string;
  /** Whether invalidations of other instances arrive at the moment (`bus.connected`). @default always */
  readonly connected?: () => boolean;
  /** Age up to which first-level entries are still served while they do not arrive, ms. @default 500 */
  readonly disconnectedTtlMs?: number;
  readonly metrics?: CacheMetrics;
  /** Names what a key is counted under in `groups()`. @default no groups */
  readonly groupOf?: (key: string) => string;
}

/** What a load found. Null instead: the result is for the caller alone and is not kept. */
export interface Loaded {
  readonly value: CacheValue;
  /** What makes it stale. Without any it is handed out but not kept. */
  readonly tags: readonly string[];
  /** For a result composed of cached parts: the least of their stamps; null when one of them had none. */
  readonly stamp?: number | null;
  /** Shorter life of this one, ms. */
  readonly ttlMs?: number;
}

export interface LoadOptions {
  readonly ttlMs: number;
  /** When the reading began, where that was before this call: a request whose loaders remember rows passes its start. */
  readonly since?: Moment;
}

export interface GetOptions extends LoadOptions {
  load(): Promise<Loaded | null>;
}

export interface GetManyOptions extends LoadOptions {
  /** Called at most twice; answers in the order of `indexes`, which point into the keys asked for. */
  load(indexes: readonly number[]): Promise<readonly (Loaded | null)[]>;
}

/** A value that was read on the way to another one. */
export interface Found extends Loaded {
  readonly key: string;
}

export interface Cached {
  /** Null when the load answered null to somebody else: load for yourself. */
  readonly value: CacheValue | null;
  readonly hit: Level;
  readonly tags: readonly string[];
  readonly stamp: number | null;
}

/**
 * Serialised values in two levels, found by key and dropped by tag.
 *
 * Why no reader gets a stale value after an invalidation reached this instance:
 * 1. `invalidate` drops the tagged entries and notes the tags before it returns to the event loop.
 * 2. A load is judged when it ends, by the tags it then has: were they invalidated since it began, it is not kept, and
 *    those who asked after the invalidation load again. Those who asked before may get the older value.
 * Why none comes back through Redis, whatever other instances do and whenever messages arrive:
 * 3. Redis counts invalidations. A load notes the count before it begins (its stamp), an invalidation gives its tags
 *    the next count, and storing and reading both check, in one script, that no tag is newer than the stamp. A load
 *    that began before the change was committed has a stamp below it and is refused, also when its instance has not
 *    heard of the change. A value composed of cached parts carries the least of their stamps.
 * 4. An invalidation Redis did not confirm is kept; until it is delivered this instance neither reads nor writes there.
 */
export interface TaggedCache {
  getOrLoad(key: string, options: GetOptions): Promise<Cached>;
  /** Like `getOrLoad` for each key, with one round trip to the second level and one load for all that are missing. */
  getOrLoadMany(keys: readonly string[], options: GetManyOptions): Promise<Cached[]>;
  /** Keeps what is not kept yet of values read since a moment, as if each had been loaded then. */
  keep(found: readonly Found[], options: { readonly ttlMs: number; readonly since: Moment }): void;
  /** The first level alone, without waiting. */
  peek(key: string): Cached | undefined;
  /** Drops what carries a tag. Done here when it returns, everywhere in the second level when it resolves; never rejects. */
  invalidate(tags: readonly string[]): Promise<void>;
  /** The same by committed events; one already applied here costs nothing. Ids must come from the platform, not a client. */
  invalidateEvents(events: readonly TagInvalidation[]): Promise<void>;
  hasSeen(eventId: string): boolean;
  now(): Moment;
  stats(): CacheStats;
  /** The counts by `groupOf`. */
  groups(): ReadonlyMap<string, GroupStats>;
  readonly enabled: boolean;
  close(): Promise<void>;
}

const maxTagsPerEntry = 1_000;
const maxSeenEvents = 20_000;
const connectionCheckMs = 100;

export function createTaggedCache(options: TaggedCacheOptions): TaggedCache {
  const enabled = options.enabled ?? true;
  const disconnectedTtlMs = options.disconnectedTtlMs ?? 500;
  const groups = options.groupOf === undefined ? undefined : createGroups(options.groupOf);
  const memory = createMemoryLevel({ ...options.l1, observer: groups });
  const log = createInvalidationLog();
  const counters = createCounters(options.metrics);
  const count = (counter: CacheCounter, key: string) => {
    counters.add(counter);
    groups?.add(key, counter);
  };
  const flights = new Map<string, Flight>();
  const seen = createLru<true>(maxSeenEvents);
  let connected = true;

  /** Messages may have been missed: whatever is older than this point cannot be trusted. */
  function forgetMemory(): void {
    memory.clear();
    log.recordAll();
  }

  const shared =
    enabled && options.redis
      ? createRedisLevel({
          redis: options.redis,
          prefix: options.prefix ?? 'mplp:',
          ttlMs: options.l2TtlMs ?? 3_600_000,
          timeoutMs: options.l2TimeoutMs ?? 5,
          onReconnect: forgetMemory,
        })
      : undefined;

  function isConnected(): boolean {
    const now = options.connected?.() ?? true;
    if (now && !connected) forgetMemory();
    connected = now;
    return now;
  }
  // An interruption between two reads has to be noticed too.
  const connectionCheck = options.connected ? setInterval(isConnected, connectionCheckMs).unref() : undefined;

  function fromMemory(key: string): MemoryEntry | undefined {
    // First, because being connected again empties the level.
    const live = isConnected();
    const entry = memory.get(key);
    if (entry && !live && performance.now() - entry.storedAtMs > disconnectedTtlMs) return undefined;
    return entry;
  }

  /** Ends a flight: keeps the value unless it became stale on the way. */
  function land(flight: Flight, outcome: Omit<Outcome, 'stale'>, ttlMs: number): MemoryEntry | undefined {
    const stale = log.hasAfter(flight.start, outcome.tags);
    if (flights.get(flight.key) === flight) flights.delete(flight.key);
    flight.settle({ ...outcome, stale });
    if (stale) {
      counters.add('staleDrops');
      return undefined;
    }
    if (outcome.value === null || !storable(outcome.tags)) return undefined;
    const { value, tags, stamp } = outcome;
    const entry = { key: flight.key, value, tags, stamp, ttlMs, storedAtMs: performance.now() };
    memory.set(entry);
    return entry;
  }

  async function fly(own: readonly Flight[], indexes: readonly number[], get: GetManyOptions): Promise<void> {
    try {
      const read = shared ? await shared.read(own.map((flight) => flight.key)) : null;
      const missing: number[] = [];
      own.forEach((flight, at) => {
        const hit: RedisHit | null | undefined = read?.hits[at];
        if (read) count(hit ? 'l2Hits' : 'l2Misses', flight.key);
        if (hit)
          land(
            flight,
            { value: hit.value, tags: hit.tags, stamp: hit.stamp, hit: 'l2' },
            Math.min(get.ttlMs, hit.remainingMs),
          );
        else missing.push(at);
      });
      if (missing.length === 0) return;
      for (const at of missing) {
        own[at]!.start = get.since?.position ?? log.position;
        count('loads', own[at]!.key);
      }
      const loaded = await runForAll(() => get.load(missing.map((at) => indexes[at]!)));
      const taken = get.since ? get.since.stamp : (read?.stamp ?? null);
      landAll(own, missing, loaded, { taken, ttlMs: get.ttlMs });
    } catch (error) {
      for (const flight of own) {
        if (flights.get(flight.key) === flight) flights.delete(flight.key);
        flight.fail(error);
      }
    }
  }

  function landAll(
    own: readonly Flight[],
    missing: readonly number[],
    loaded: readonly (Loaded | null)[],
    { taken, ttlMs }: { taken: number | null; ttlMs: number },
  ): void {
    const entries: MemoryEntry[] = [];
    missing.forEach((at, position) => {
      const result = loaded[position];
      const stamp = leastStamp(taken, result?.stamp);
      const outcome = { value: result?.value ?? null, tags: result?.tags ?? [], stamp, hit: 'miss' as const };
      const entry = land(own[at]!, outcome, Math.min(ttlMs, result?.ttlMs ?? ttlMs));
      if (entry) entries.push(entry);
    });
    if (shared) void store(entries);
  }

  async function store(entries: readonly MemoryEntry[]): Promise<void> {
    const storing = entries.flatMap((entry) => (entry.stamp === null ? [] : [{ ...entry, stamp: entry.stamp }]));
    if (storing.length === 0) return;
    const stored = await shared?.store(storing);
    let at = 0;
    for (const entry of entries) {
      if (entry.stamp === null || stored?.[at++] !== false) continue;
      // Somebody invalidated one of its tags, and the message has not reached us yet.
      counters.add('refusedStores');
      memory.remove(entry);
    }
  }

  async function getOrLoadMany(keys: readonly string[], get: GetManyOptions): Promise<Cached[]> {
    if (!enabled) return loadAll(keys, get);
    const results = new Array<Cached>(keys.length);
    const arrival = log.position;
    let remaining = [...keys.keys()];
    for (let first = true; remaining.length > 0; first = false) {
      const own: Flight[] = [];
      const ownIndexes: number[] = [];
      const waiting: { index: number; flight: Flight }[] = [];
      for (const index of remaining) {
        const key = keys[index]!;
        const entry = fromMemory(key);
        if (entry) {
          count('l1Hits', key);
          results[index] = { value: entry.value, hit: 'l1', tags: entry.tags, stamp: entry.stamp };
          continue;
        }
        let flight = flights.get(key);
        if (flight && (first || flight.start >= arrival)) {
          count('joined', key);
        } else {
          count('l1Misses', key);
          flight = createFlight(key, get.since?.position ?? log.position);
          flights.set(key, flight);
          own.push(flight);
          ownIndexes.push(index);
        }
        waiting.push({ index, flight });
      }
      if (own.length > 0) void fly(own, ownIndexes, get);
      remaining = [];
      for (const { index, flight } of waiting) {
        const { stale, ...outcome } = await flight.outcome;
        // Loaded before we asked, and invalidated, perhaps before we asked: not for us.
        if (stale && arrival > flight.start && !own.includes(flight)) remaining.push(index);
        else results[index] = outcome;
      }
    }
    return results;
  }

  async function loadAll(keys: readonly string[], get: GetManyOptions): Promise<Cached[]> {
    for (const key of keys) count('loads', key);
    const loaded = await get.load([...keys.keys()]);
    return loaded.map((result) => ({
      value: result?.value ?? null,
      hit: 'miss',
      tags: result?.tags ?? [],
      stamp: null,
    }));
  }

  function keep(found: readonly Found[], { ttlMs, since }: { ttlMs: number; since: Moment }): void {
    if (!enabled) return;
    const entries: MemoryEntry[] = [];
    for (const { key, value, tags, ...own } of found) {
      if (!storable(tags) || fromMemory(key) !== undefined) continue;
      if (log.hasAfter(since.position, tags)) {
        counters.add('staleDrops');
        continue;
      }
      const stamp = leastStamp(since.stamp, own.stamp);
      const life = Math.min(ttlMs, own.ttlMs ?? ttlMs);
      const entry = { key, value, tags, stamp, ttlMs: life, storedAtMs: performance.now() };
      memory.set(entry);
      entries.push(entry);
    }
    if (shared) void store(entries);
  }

  async function drop(events: readonly TagInvalidation[]): Promise<void> {
    if (!enabled || events.length === 0) return;
    const tags = new Set(events.flatMap((event) => event.tags.filter(validTag)));
    log.record(tags);
    counters.add('invalidatedEntries', memory.invalidate(tags));
    await shared?.invalidate(events.map((event) => ({ ...event, tags: event.tags.filter(validTag) })));
  }

  return {
    enabled,
    getOrLoadMany,
    keep,
    async getOrLoad(key, get) {
      const entry = enabled ? fromMemory(key) : undefined;
      if (entry) {
        count('l1Hits', key);
        return { value: entry.value, hit: 'l1', tags: entry.tags, stamp: entry.stamp };
      }
      const load = async () => [await get.load()];
      const [cached] = await getOrLoadMany(
        [key],
        get.since ? { ttlMs: get.ttlMs, since: get.since, load } : { ttlMs: get.ttlMs, load },
      );
      return cached!;
    },
    peek(key) {
      const entry = enabled ? fromMemory(key) : undefined;
      if (!entry) return undefined;
      count('l1Hits', key);
      return { value: entry.value, hit: 'l1', tags: entry.tags, stamp: entry.stamp };
    },
    invalidate: (tags) => drop([{ tags }]),
    invalidateEvents(events) {
      const fresh = events.filter((event) => event.id === undefined || !seen.has(event.id));
      for (const event of fresh) if (event.id !== undefined) seen.set(event.id, true);
      // One already noted may still be on its way to the second level.
      return fresh.length > 0 ? drop(fresh) : (shared?.delivered() ?? Promise.resolve());
    },
    hasSeen: (eventId) => seen.has(eventId),
    now: () => ({ position: log.position, stamp: shared?.stamp ?? null }),
    stats() {
      const { l1Hits, l1Misses, l2Hits, l2Misses, loads, joined, staleDrops, refusedStores, invalidatedEntries } =
        counters.values;
      const { entries, bytes, tags, evictions } = memory;
      return {
        l1: { hits: l1Hits, misses: l1Misses, ratio: ratio(l1Hits, l1Misses), entries, bytes, tags, evictions },
        l2: {
          hits: l2Hits,
          misses: l2Misses,
          ratio: ratio(l2Hits, l2Misses),
          usable: shared?.usable ?? false,
          refusedStores,
        },
        ratio: ratio(l1Hits + l2Hits + joined, loads),
        loads,
        joined,
        staleDrops,
        invalidatedEntries,
      };
    },
    groups: () => groups?.all() ?? new Map(),
    async close() {
      clearInterval(connectionCheck);
      memory.clear();
      await shared?.close();
    },
  };
}

/** A tag travels in a list separated by line ends. */
function validTag(tag: string): boolean {
  return tag !== '' && !tag.includes('\n');
}

function storable(tags: readonly string[]): boolean {
  return tags.length > 0 && tags.length <= maxTagsPerEntry && tags.every(validTag);
}

function leastStamp(taken: number | null, parts: number | null | undefined): number | null {
  if (taken === null || parts === null) return null;
  return parts === undefined ? taken : Math.min(taken, parts);
}
