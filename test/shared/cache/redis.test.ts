import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { TaggedCache } from '#shared/cache.ts';
import { createLink, type RedisServer, startRedisServer } from './redisServer.ts';
import { createGate, createSharedCache, until } from './rig.ts';

const load = (value: string | Buffer, tags: string[]) => async () => ({ value, tags });
const fail = async (): Promise<never> => {
  throw new Error('must not load');
};
const ttlMs = 30_000;

describe('two instances over one Redis', () => {
  let server: RedisServer;
  let admin: Redis;
  let here: TaggedCache;
  let there: TaggedCache;

  beforeAll(async () => {
    server = await startRedisServer();
    admin = new Redis(server.url);
  });
  beforeEach(async () => {
    await admin.flushall();
    here = await createSharedCache(server.url);
    there = await createSharedCache(server.url);
    return async () => {
      await here.close();
      await there.close();
    };
  });
  afterAll(async () => {
    admin.disconnect();
    await server.close();
  });

  it('shares what one has loaded, text as text and bytes as bytes', async () => {
    await here.getOrLoad('text', { ttlMs, load: load('grüße 🎈', ['T:1', 'list']) });
    await here.getOrLoad('bytes', { ttlMs, load: load(Buffer.from([0, 255, 10]), ['T:2']) });
    await until(() => here.stats().loads === 2);
    await delay(20);
    expect(await there.getOrLoad('text', { ttlMs, load: fail })).toMatchObject({
      value: 'grüße 🎈',
      hit: 'l2',
      tags: ['T:1', 'list'],
    });
    expect(await there.getOrLoad('bytes', { ttlMs, load: fail })).toMatchObject({
      value: Buffer.from([0, 255, 10]),
      hit: 'l2',
    });
    expect(await there.getOrLoad('text', { ttlMs, load: fail })).toMatchObject({ hit: 'l1' });
    expect(there.stats().l2).toMatchObject({ hits: 2, misses: 0 });
  });

  it('reads many keys in one round trip and loads only what neither level has', async () => {
    await here.getOrLoadMany(['a', 'b'], {
      ttlMs,
      load: async (indexes) => indexes.map((i) => ({ value: `v${i}`, tags: [`t${i}`] })),
    });
    await delay(20);
    const results = await there.getOrLoadMany(['a', 'x', 'b'], {
      ttlMs,
      load: async (indexes) => {
        expect(indexes).toEqual([1]);
        return [{ value: 'X', tags: ['x'] }];
      },
    });
    expect(results.map(({ value, hit }) => [value, hit])).toEqual([
      ['v0', 'l2'],
      ['X', 'miss'],
      ['v1', 'l2'],
    ]);
  });

  it('never reads back from Redis what another instance invalidated, though no message came', async () => {
    await here.getOrLoad('a', { ttlMs, load: load('old', ['T:1']) });
    await delay(20);
    await there.invalidate(['T:1']);
    expect(await there.getOrLoad('a', { ttlMs, load: load('new', ['T:1']) })).toMatchObject({
      value: 'new',
      hit: 'miss',
    });
    // The first instance has heard nothing: its own memory is what a lost message costs, until the TTL.
    expect(here.peek('a')).toMatchObject({ value: 'old' });
  });

  it('refuses the fill of a load that began before an invalidation elsewhere', async () => {
    const gate = createGate<{ value: string; tags: string[] }>();
    const reading = here.getOrLoad('a', { ttlMs, load: () => gate.promise });
    await delay(20);
    await there.invalidate(['T:1']);
    gate.open({ value: 'old', tags: ['T:1'] });
    expect(await reading).toMatchObject({ value: 'old' });
    await until(() => here.stats().l2.refusedStores === 1);
    expect(here.peek('a')).toBeUndefined();
    expect(await there.getOrLoad('a', { ttlMs, load: load('new', ['T:1']) })).toMatchObject({ value: 'new' });
    await delay(20);
    expect(await here.getOrLoad('a', { ttlMs, load: fail })).toMatchObject({ value: 'new', hit: 'l2' });
  });

  it('refuses a value composed of a part that another instance invalidated', async () => {
    const part = await here.getOrLoad('part', { ttlMs, load: load('old', ['T:1']) });
    await there.invalidate(['T:1']);
    // No message yet: this instance still has the old part and builds a whole of it, after the invalidation.
    const whole = await here.getOrLoad('whole', {
      ttlMs,
      load: async () => {
        const { value, tags, stamp } = await here.getOrLoad('part', { ttlMs, load: fail });
        return { value: `[${value}]`, tags, stamp };
      },
    });
    expect([part.value, whole.value]).toEqual(['old', '[old]']);
    await until(() => here.stats().l2.refusedStores === 1);
    expect(await there.getOrLoad('whole', { ttlMs, load: load('[new]', ['T:1']) })).toMatchObject({
      value: '[new]',
      hit: 'miss',
    });
  });

  it('does not share a value whose parts have no stamp', async () => {
    await here.getOrLoad('whole', { ttlMs, load: async () => ({ value: 'x', tags: ['T:1'], stamp: null }) });
    expect(here.peek('whole')).toBeDefined();
    await delay(20);
    expect(await there.getOrLoad('whole', { ttlMs, load: load('y', ['T:1']) })).toMatchObject({
      value: 'y',
      hit: 'miss',
    });
  });

  it('does not believe a read that overtook its own invalidation, whose script Redis had forgotten', async () => {
    await here.getOrLoad('a', { ttlMs, load: load('old', ['T:1']) });
    await delay(20);
    await admin.script('FLUSH');
    // Brings the script of reads back, not that of invalidations.
    await here.getOrLoad('b', { ttlMs, load: load('x', ['T:2']) });
    void there.invalidate(['T:1']);
    expect(await there.getOrLoad('a', { ttlMs, load: load('new', ['T:1']) })).toMatchObject({ value: 'new' });
  });

  it('does not believe Redis while that refuses its invalidation but still answers reads', async () => {
    await here.getOrLoad('a', { ttlMs, load: load('old', ['T:1']) });
    await delay(20);
    await admin.config('SET', 'maxmemory', '1');
    await there.invalidate(['T:1']);
    expect(await there.getOrLoad('a', { ttlMs, load: load('new', ['T:1']) })).toMatchObject({
      value: 'new',
      hit: 'miss',
    });
    expect(there.stats().l2.usable).toBe(false);
    await admin.config('SET', 'maxmemory', '0');
    await until(() => there.stats().l2.usable);
    const third = await createSharedCache(server.url);
    expect(await third.getOrLoad('a', { ttlMs, load: load('new', ['T:1']) })).toMatchObject({
      value: 'new',
      hit: 'miss',
    });
    await third.close();
  });

  it('applies an event in Redis once, whoever comes first', async () => {
    const event = { id: 'e1', tags: ['T:1'] };
    await here.invalidateEvents([event]);
    await here.getOrLoad('a', { ttlMs, load: load('new', ['T:1']) });
    await delay(20);
    await there.invalidateEvents([event]);
    expect(await there.getOrLoad('a', { ttlMs, load: fail })).toMatchObject({ value: 'new', hit: 'l2' });
  });

  it('does not take the loss of tag versions or of the sequence for freshness', async () => {
    await here.getOrLoad('a', { ttlMs, load: load('old', ['T:1']) });
    await delay(20);
    await there.invalidate(['T:1']);
    await admin.del('{mplp:}t:T:1', '{mplp:}seq');
    expect(await there.getOrLoad('a', { ttlMs, load: load('new', ['T:1']) })).toMatchObject({
      value: 'new',
      hit: 'miss',
    });
    await delay(20);
    await there.invalidate(['T:1']);
    expect(await there.getOrLoad('a', { ttlMs, load: load('newer', ['T:1']) })).toMatchObject({
      value: 'newer',
      hit: 'miss',
    });
  });

  it('drops 5,000 tags in calls that do not block Redis', async () => {
    const tags = Array.from({ length: 5_000 }, (_, i) => `T:${i}`);
    await here.getOrLoad('a', { ttlMs, load: load('old', ['T:4999']) });
    await delay(20);
    await there.invalidate(tags);
    expect(await there.getOrLoad('a', { ttlMs, load: load('new', ['T:4999']) })).toMatchObject({ hit: 'miss' });
  });
});

describe('without Redis', () => {
  it('goes on with memory, and does not believe Redis before it has heard what it missed', async () => {
    const server = await startRedisServer();
    const here = await createSharedCache(server.url, { l2TimeoutMs: 5 });
    const there = await createSharedCache(server.url, { l2TimeoutMs: 5 });
    await here.getOrLoad('a', { ttlMs, load: load('old', ['T:1']) });
    await delay(30);

    server.freeze();
    await there.invalidate(['T:1']);
    for (let i = 0; i < 50; i++) {
      expect(await there.getOrLoad(`k${i}`, { ttlMs, load: load('x', ['x']) })).toMatchObject({ value: 'x' });
    }

    server.thaw();
    await until(() => there.stats().l2.usable);
    expect(await there.getOrLoad('a', { ttlMs, load: load('new', ['T:1']) })).toMatchObject({
      value: 'new',
      hit: 'miss',
    });
    await here.close();
    await there.close();
    await server.close();
  });

  it('tells Redis what it could not tell it while cut off, also when nobody asks it anything', async () => {
    const server = await startRedisServer();
    const link = await createLink(server.url);
    const here = await createSharedCache(server.url);
    const cutOff = await createSharedCache(link.url);
    await here.getOrLoad('a', { ttlMs, load: load('old', ['T:1']) });
    await delay(20);
    link.cut();
    await until(() => !cutOff.stats().l2.usable);
    await cutOff.invalidate(['T:1']);
    expect(await cutOff.getOrLoad('a', { ttlMs, load: load('new', ['T:1']) })).toMatchObject({
      value: 'new',
      hit: 'miss',
    });
    link.mend();
    await until(() => cutOff.stats().l2.usable);
    const third = await createSharedCache(server.url);
    expect(await third.getOrLoad('a', { ttlMs, load: load('new', ['T:1']) })).toMatchObject({
      value: 'new',
      hit: 'miss',
    });
    await Promise.all([here, cutOff, third].map((cache) => cache.close()));
    await link.close();
    await server.close();
  });

  it('works from the start, and takes Redis up when it comes', async () => {
    const server = await startRedisServer();
    await server.kill();
    const redis = new Redis(server.url, { lazyConnect: true });
    const { createTaggedCache } = await import('#shared/cache.ts');
    const cache = createTaggedCache({ l1: { maxEntries: 10, maxBytes: 1_000_000, ttlMs }, redis });
    expect(await cache.getOrLoad('a', { ttlMs, load: load('1', ['T:1']) })).toMatchObject({ value: '1' });
    expect(cache.peek('a')).toBeDefined();
    await cache.invalidate(['T:1']);
    expect(cache.peek('a')).toBeUndefined();
    await server.restart();
    await until(() => cache.stats().l2.usable);
    await cache.close();
    await server.close();
  });

  it('empties its memory when the lost connection is back: messages may have been missed', async () => {
    const server = await startRedisServer();
    const cache = await createSharedCache(server.url);
    await cache.getOrLoad('a', { ttlMs, load: load('1', ['T:1']) });
    await server.kill();
    await until(() => !cache.stats().l2.usable);
    expect(cache.peek('a')).toBeDefined();
    await server.restart();
    await until(() => cache.stats().l2.usable);
    expect(cache.peek('a')).toBeUndefined();
    await cache.close();
    await server.close();
  });

  it('costs a miss, not a stale answer, when Redis evicts for want of memory', async () => {
    const server = await startRedisServer(['--maxmemory', '4mb', '--maxmemory-policy', 'allkeys-random']);
    const here = await createSharedCache(server.url);
    const there = await createSharedCache(server.url, { l1: { maxEntries: 1, maxBytes: 1_000_000, ttlMs } });
    const rows = new Map<string, number>();
    for (let i = 0; i < 3_000; i++) {
      const id = `T:${i % 700}`;
      if (i % 3 === 0) {
        rows.set(id, i);
        await here.invalidate([id]);
      }
      const read = async () => ({ value: `${rows.get(id) ?? 0}`.padEnd(6_000), tags: [id] });
      const { value } = await there.getOrLoad(id, { ttlMs, load: read });
      expect(Number(value)).toBe(rows.get(id) ?? 0);
    }
    const admin = new Redis(server.url);
    expect(Number(/evicted_keys:(\d+)/.exec(await admin.info('stats'))?.[1])).toBeGreaterThan(100);
    admin.disconnect();
    await here.close();
    await there.close();
    await server.close();
  });
});

describe('a Redis in cluster mode', () => {
  let server: RedisServer;
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'mplp-cluster-'));
    server = await startRedisServer(['--cluster-enabled', 'yes', '--dir', folder]);
    const admin = new Redis(server.url);
    await admin.call('CLUSTER', 'ADDSLOTSRANGE', '0', '16383');
    while (!String(await admin.call('CLUSTER', 'INFO')).includes('cluster_state:ok')) await delay(20);
    admin.disconnect();
  });
  afterAll(async () => {
    await server.close();
    await rm(folder, { recursive: true, force: true });
  });

  it('refuses keys of two slots in one call, and takes ours', async () => {
    const admin = new Redis(server.url);
    await expect(admin.mget('one', 'two')).rejects.toThrow('CROSSSLOT');
    const here = await createSharedCache(server.url);
    const there = await createSharedCache(server.url);
    const tags = Array.from({ length: 20 }, (_, index) => `T:${index}`);
    const keys = tags.map((tag) => `entry of ${tag}`);
    const loaded = async (indexes: readonly number[]) => indexes.map((at) => ({ value: `v${at}`, tags: [tags[at]!] }));
    await here.getOrLoadMany(keys, { ttlMs, load: loaded });
    // Entries, their tags and the sequence.
    while ((await admin.dbsize()) < keys.length + tags.length + 1) await delay(5);
    expect((await there.getOrLoadMany(keys, { ttlMs, load: fail })).map(({ hit }) => hit)).toEqual(
      keys.map(() => 'l2'),
    );
    await here.invalidate(tags.slice(0, 5));
    const third = await createSharedCache(server.url);
    const hits = (await third.getOrLoadMany(keys, { ttlMs, load: loaded })).map(({ hit }) => hit);
    expect(hits).toEqual(keys.map((_, at) => (at < 5 ? 'miss' : 'l2')));
    admin.disconnect();
    await Promise.all([here, there, third].map((cache) => cache.close()));
  });
});
