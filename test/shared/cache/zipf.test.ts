import { afterAll, beforeAll, expect, it } from 'vitest';
import { type RedisServer, startRedisServer } from './redisServer.ts';
import { createSharedCache } from './rig.ts';

const keyCount = 100_000;
const operations = 150_000;
const preloadBatch = 500;

let server: RedisServer;
beforeAll(async () => {
  server = await startRedisServer();
});
afterAll(async () => server.close());

/** Ranks by Zipf's law with s = 1, from a seed of its own (mulberry32), by inversion of the cumulated weights. */
function createZipf(count: number, seed: number): () => number {
  const cumulated = new Float64Array(count);
  let sum = 0;
  for (let rank = 0; rank < count; rank++) {
    sum += 1 / (rank + 1);
    cumulated[rank] = sum;
  }
  let state = seed;
  const random = () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
  return () => {
    const wanted = random() * sum;
    let low = 0;
    let high = count - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (cumulated[middle]! < wanted) low = middle + 1;
      else high = middle;
    }
    return low;
  };
}

it('answers most of a Zipf load with 5 % writes from two levels, and nothing stale', { timeout: 180_000 }, async () => {
  const cache = await createSharedCache(server.url, {
    l2TimeoutMs: 5_000,
    l1: { maxEntries: 10_000, maxBytes: 100_000_000, ttlMs: 300_000 },
  });
  const next = createZipf(keyCount, 7);
  const versions = new Uint32Array(keyCount);
  // Every key was read once before: the run measures the steady state, not the first visit.
  for (let from = 0; from < keyCount; from += preloadBatch) {
    const ids = Array.from({ length: preloadBatch }, (_, at) => from + at);
    await cache.getOrLoadMany(
      ids.map((id) => `k${id}`),
      { ttlMs: 300_000, load: async (indexes) => indexes.map((at) => ({ value: '0', tags: [`T:${ids[at]}`] })) },
    );
  }
  const before = cache.stats();
  let operation = 0;
  let stale = 0;

  const worker = async () => {
    while (operation < operations) {
      operation += 1;
      const key = next();
      if (operation % 20 === 0) {
        versions[key] = versions[key]! + 1;
        await cache.invalidate([`T:${key}`]);
        continue;
      }
      const least = versions[key]!;
      const { value } = await cache.getOrLoad(`k${key}`, {
        ttlMs: 300_000,
        load: async () => ({ value: String(versions[key]), tags: [`T:${key}`] }),
      });
      if (Number(value) < least) stale += 1;
    }
  };
  await Promise.all(Array.from({ length: 32 }, worker));

  const after = cache.stats();
  const hits1 = after.l1.hits - before.l1.hits;
  const hits2 = after.l2.hits - before.l2.hits;
  const joined = after.joined - before.joined;
  const loads = after.loads - before.loads;
  const total = hits1 + hits2 + joined + loads;
  const percent = (part: number) => `${((100 * part) / total).toFixed(1)} %`;
  console.log(
    `zipf s=1, ${keyCount} keys, 5 % writes, L1 10,000: l1 ${percent(hits1)}, l2 ${percent(hits2)}, joined ${percent(joined)}, loaded ${percent(loads)}`,
  );
  expect(stale).toBe(0);
  expect(hits1 / total).toBeGreaterThan(0.6);
  // The first read after each write has to load: 95 % is what 5 % writes leave.
  expect((hits1 + hits2 + joined) / total).toBeGreaterThan(0.9);
  await cache.close();
});
