import { setTimeout as delay } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { createTaggedCache, type TaggedCache, type TaggedCacheOptions } from '#shared/cache.ts';

export function createMemoryCache(options: Partial<TaggedCacheOptions> = {}): TaggedCache {
  return createTaggedCache({ l1: { maxEntries: 1_000, maxBytes: 10_000_000, ttlMs: 60_000 }, ...options });
}

/** A cache over Redis, once it has reached it. */
export async function createSharedCache(url: string, options: Partial<TaggedCacheOptions> = {}): Promise<TaggedCache> {
  const redis = new Redis(url, { lazyConnect: true });
  const cache = createMemoryCache({ redis, l2TimeoutMs: 200, ...options });
  await until(() => cache.stats().l2.usable);
  return cache;
}

/** @throws {Error} when the condition does not become true within the time. */
export async function until(condition: () => boolean, timeoutMs = 10_000): Promise<void> {
  const end = performance.now() + timeoutMs;
  while (!condition()) {
    if (performance.now() > end) throw new Error(`not within ${timeoutMs} ms: ${condition}`);
    await delay(5);
  }
}

/** A load that waits to be told what to answer. */
export function createGate<T>(): { promise: Promise<T>; open(value: T): void; fail(error: Error): void } {
  const { promise, resolve, reject } = Promise.withResolvers<T>();
  return { promise, open: resolve, fail: reject };
}
