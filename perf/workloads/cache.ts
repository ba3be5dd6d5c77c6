import { Redis } from 'ioredis';
import { createTaggedCache } from '#shared/cache.ts';
import { createZipf } from '../load/sampler.ts';
import type { CreateWorkload, Verdict } from '../load/workload.ts';

export interface CacheParams {
  readonly entries: number;
  /** With it reads are of the second level: another instance has loaded what this one asks for. */
  readonly redisUrl?: string;
}

const groups = 40;
const entriesPerGroup = 50;
const ttlMs = 300_000;
/** Values of 1 KiB that say which key they belong to. */
const textOf = (key: string): string => key.padEnd(1_024, '.');

/** The response cache itself, called as the gateway calls it. */
export const createWorkload: CreateWorkload<CacheParams> = async ({ entries, redisUrl }) => {
  const redis = redisUrl === undefined ? undefined : new Redis(redisUrl);
  const shared = redis === undefined ? {} : { redis };
  const cache = createTaggedCache({ l1: { maxEntries: entries + 10_000, maxBytes: 268_435_456, ttlMs }, ...shared });
  // An instance that keeps one entry finds everything else in Redis.
  const reader = redis ? createTaggedCache({ l1: { maxEntries: 1, maxBytes: 1_048_576, ttlMs }, redis }) : cache;
  const zipf = createZipf(entries);
  const load = (key: string, tag: string) => async () => ({ value: textOf(key), tags: [tag] });
  const judge = (key: string, value: unknown): Verdict =>
    value === textOf(key) || `expected the value of ${key}, got ${String(value).slice(0, 40)}`;

  for (let item = 0; item < entries; item += 1) {
    await cache.getOrLoad(`item:${item}`, { ttlMs, load: load(`item:${item}`, `Item:${item}`) });
  }
  const fillGroup = async (group: number): Promise<void> => {
    const keys = Array.from({ length: entriesPerGroup }, (_, member) => `group:${group}:${member}`);
    const all = async (indexes: readonly number[]) =>
      indexes.map((index) => ({ value: textOf(keys[index]!), tags: [`Group:${group}`] }));
    await cache.getOrLoadMany(keys, { ttlMs, load: all });
  };
  for (let group = 0; group < groups; group += 1) await fillGroup(group);

  let reads = 0;
  let hits = 0;
  let written = 0;
  let nextGroup = 0;
  return {
    operations: [
      {
        name: 'cache_read',
        weight: 90,
        async call(random) {
          const key = `item:${zipf.sample(random)}`;
          const found = await reader.getOrLoad(key, { ttlMs, load: load(key, key.replace('item', 'Item')) });
          reads += 1;
          if (found.hit !== 'miss') hits += 1;
          return judge(key, found.value);
        },
      },
      {
        name: 'cache_write',
        weight: 9,
        async call() {
          const key = `new:${written++}`;
          await cache.getOrLoad(key, { ttlMs, load: load(key, `New:${written}`) });
          return judge(key, cache.peek(key)?.value);
        },
      },
      {
        name: 'cache_invalidation',
        weight: 1,
        async call() {
          const group = nextGroup;
          nextGroup = (nextGroup + 1) % groups;
          const before = cache.peek(`group:${group}:0`);
          await cache.invalidate([`Group:${group}`]);
          const after = cache.peek(`group:${group}:0`);
          // Filled again outside of what is timed.
          setImmediate(() => void fillGroup(group));
          if (!before) return `group ${group} was not there to invalidate`;
          return after === undefined || `group ${group} is still there after its invalidation`;
        },
      },
    ],
    facts: () => ({ reads, hits }),
    async close() {
      await cache.close();
      if (reader !== cache) await reader.close();
      redis?.disconnect();
    },
  };
};
