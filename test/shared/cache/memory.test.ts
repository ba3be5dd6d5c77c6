import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { createGroups } from '#shared/cache/groupStats.ts';
import { createGate, createMemoryCache } from './rig.ts';

const load = (value: string, tags: string[]) => async () => ({ value, tags });

describe('one instance', () => {
  it('loads once and answers from memory', async () => {
    const cache = createMemoryCache();
    expect(await cache.getOrLoad('a', { ttlMs: 1_000, load: load('1', ['T:1']) })).toMatchObject({
      value: '1',
      hit: 'miss',
    });
    expect(await cache.getOrLoad('a', { ttlMs: 1_000, load: load('2', ['T:1']) })).toMatchObject({
      value: '1',
      hit: 'l1',
    });
    expect(cache.peek('a')).toMatchObject({ value: '1', tags: ['T:1'] });
    expect(cache.stats()).toMatchObject({ loads: 1, l1: { hits: 2, misses: 1, entries: 1, tags: 1 } });
    await cache.close();
  });

  it('shares one load between all who ask meanwhile', async () => {
    const cache = createMemoryCache();
    const gate = createGate<{ value: string; tags: string[] }>();
    let loads = 0;
    const options = {
      ttlMs: 1_000,
      load: () => {
        loads += 1;
        return gate.promise;
      },
    };
    const asking = Array.from({ length: 50 }, () => cache.getOrLoad('a', options));
    gate.open({ value: '1', tags: ['T:1'] });
    expect((await Promise.all(asking)).map((result) => result.value)).toEqual(Array(50).fill('1'));
    expect(loads).toBe(1);
    await cache.close();
  });

  it('rejects everyone who waited for a load that failed, and keeps nothing of it', async () => {
    const cache = createMemoryCache();
    const gate = createGate<{ value: string; tags: string[] }>();
    const asking = [1, 2].map(() => cache.getOrLoad('a', { ttlMs: 1_000, load: () => gate.promise }));
    gate.fail(new Error('no database'));
    for (const result of await Promise.allSettled(asking)) {
      expect(result).toMatchObject({ status: 'rejected', reason: { message: 'no database' } });
    }
    expect(await cache.getOrLoad('a', { ttlMs: 1_000, load: load('2', ['T:1']) })).toMatchObject({
      value: '2',
      hit: 'miss',
    });
    await cache.close();
  });

  it('gives a value that became stale while it was loaded only to those who had asked before', async () => {
    const cache = createMemoryCache();
    const gate = createGate<{ value: string; tags: string[] }>();
    const before = cache.getOrLoad('a', { ttlMs: 1_000, load: () => gate.promise });
    await cache.invalidate(['T:1']);
    const after = cache.getOrLoad('a', { ttlMs: 1_000, load: load('new', ['T:1']) });
    gate.open({ value: 'old', tags: ['T:1'] });
    expect(await before).toMatchObject({ value: 'old' });
    expect(await after).toMatchObject({ value: 'new' });
    expect(cache.peek('a')).toMatchObject({ value: 'new' });
    expect(cache.stats().staleDrops).toBe(1);
    await cache.close();
  });

  it('lets an invalidation of something else pass without a second load', async () => {
    const cache = createMemoryCache();
    const gate = createGate<{ value: string; tags: string[] }>();
    const before = cache.getOrLoad('a', { ttlMs: 1_000, load: () => gate.promise });
    await cache.invalidate(['T:2']);
    const after = cache.getOrLoad('a', { ttlMs: 1_000, load: load('never', ['T:1']) });
    gate.open({ value: 'one', tags: ['T:1'] });
    expect(await Promise.all([before, after])).toMatchObject([{ value: 'one' }, { value: 'one' }]);
    expect(cache.peek('a')).toMatchObject({ value: 'one' });
    await cache.close();
  });

  it('does not keep what was read with rows remembered from before an invalidation', async () => {
    const cache = createMemoryCache();
    const since = cache.now();
    await cache.invalidate(['T:1']);
    await cache.getOrLoad('a', { ttlMs: 1_000, since, load: load('remembered', ['T:1']) });
    expect(cache.peek('a')).toBeUndefined();
    await cache.close();
  });

  it('drops by tag, forgets tags nobody carries, and respects entries, bytes and time', async () => {
    const cache = createMemoryCache({ l1: { maxEntries: 10, maxBytes: 100_000, ttlMs: 60_000 } });
    for (let i = 0; i < 25; i++) await cache.getOrLoad(`k${i}`, { ttlMs: 1_000, load: load('x', [`T:${i}`, 'list']) });
    expect(cache.stats().l1).toMatchObject({ entries: 10, tags: 11, evictions: 15 });
    await cache.invalidate(['list']);
    expect(cache.stats().l1).toMatchObject({ entries: 0, tags: 0, bytes: 0 });

    for (let i = 0; i < 25; i++)
      await cache.getOrLoad(`b${i}`, { ttlMs: 1_000, load: load('x'.repeat(11_000), ['list']) });
    expect(cache.stats().l1.bytes).toBeLessThanOrEqual(100_000);
    expect(cache.stats().l1.entries).toBeGreaterThan(4);
    await cache.getOrLoad('huge', { ttlMs: 1_000, load: load('x'.repeat(50_000), ['list']) });
    expect(cache.peek('huge')).toBeUndefined();

    await cache.getOrLoad('short', { ttlMs: 20, load: load('x', ['list']) });
    expect(cache.peek('short')).toBeDefined();
    await delay(40);
    expect(cache.peek('short')).toBeUndefined();
    await cache.close();
  });

  it('hands out but does not keep what has no tags, and keeps nothing for a load that answers null', async () => {
    const cache = createMemoryCache();
    expect(await cache.getOrLoad('a', { ttlMs: 1_000, load: load('1', []) })).toMatchObject({ value: '1' });
    expect(await cache.getOrLoad('b', { ttlMs: 1_000, load: async () => null })).toMatchObject({ value: null });
    expect(await cache.getOrLoad('c', { ttlMs: 1_000, load: load('1', ['a\nb']) })).toMatchObject({ value: '1' });
    expect(cache.stats().l1.entries).toBe(0);
    await cache.close();
  });

  it('loads the missing of many keys at once, also when one is asked for twice', async () => {
    const cache = createMemoryCache();
    await cache.getOrLoad('b', { ttlMs: 1_000, load: load('B', ['b']) });
    const asked: (readonly number[])[] = [];
    const results = await cache.getOrLoadMany(['a', 'b', 'c', 'a'], {
      ttlMs: 1_000,
      load: async (indexes) => {
        asked.push(indexes);
        return indexes.map((index) => ({ value: `loaded ${index}`, tags: [`t${index}`] }));
      },
    });
    expect(asked).toEqual([[0, 2]]);
    expect(results.map((result) => result.value)).toEqual(['loaded 0', 'B', 'loaded 2', 'loaded 0']);
    await cache.close();
  });

  it('always loads when it is switched off', async () => {
    const cache = createMemoryCache({ enabled: false });
    for (const value of ['1', '2']) {
      expect(await cache.getOrLoad('a', { ttlMs: 1_000, load: load(value, ['T:1']) })).toMatchObject({
        value,
        hit: 'miss',
      });
    }
    expect(cache.stats().l1).toMatchObject({ entries: 0, hits: 0 });
    await cache.close();
  });

  it('serves only young entries while invalidations do not arrive, and none from before once they do again', async () => {
    let connected = true;
    const cache = createMemoryCache({ connected: () => connected, disconnectedTtlMs: 60 });
    await cache.getOrLoad('a', { ttlMs: 10_000, load: load('1', ['T:1']) });
    connected = false;
    expect(cache.peek('a')).toMatchObject({ value: '1' });
    await delay(80);
    expect(cache.peek('a')).toBeUndefined();
    expect(await cache.getOrLoad('a', { ttlMs: 10_000, load: load('2', ['T:1']) })).toMatchObject({ value: '2' });
    expect(cache.peek('a')).toMatchObject({ value: '2' });
    connected = true;
    expect(cache.peek('a')).toBeUndefined();
    await cache.close();
  });

  it('applies an event once', async () => {
    const cache = createMemoryCache();
    const event = { id: 'e1', tags: ['T:1'] };
    await cache.invalidateEvents([event]);
    await cache.getOrLoad('a', { ttlMs: 1_000, load: load('1', ['T:1']) });
    await cache.invalidateEvents([event]);
    expect(cache.peek('a')).toBeDefined();
    await cache.invalidateEvents([{ id: 'e2', tags: ['T:1'] }]);
    expect(cache.peek('a')).toBeUndefined();
    await cache.close();
  });
});

describe('counts by what keys are of', () => {
  it('say what each group was answered, and what of it lies in memory', async () => {
    const cache = createMemoryCache({
      l1: { maxEntries: 3, maxBytes: 10_000_000, ttlMs: 60_000 },
      groupOf: (key) => key.slice(0, key.indexOf('/')),
    });
    const ask = (key: string) => cache.getOrLoad(key, { ttlMs: 1_000, load: load('v', [key, 'all']) });
    for (const key of ['red/1', 'red/1', 'red/2', 'blue/1']) await ask(key);
    cache.peek('blue/1');
    expect(cache.groups().get('red')).toMatchObject({ l1Hits: 1, l1Misses: 2, loads: 2, entries: 2, evictions: 0 });
    expect(cache.groups().get('blue')).toMatchObject({ l1Hits: 1, l1Misses: 1, loads: 1, entries: 1 });
    // The oldest makes room, and is its own group's.
    await ask('blue/2');
    expect(cache.groups().get('red')).toMatchObject({ entries: 1, evictions: 1 });
    const bytes = [...cache.groups().values()].reduce((sum, group) => sum + group.bytes, 0);
    expect(bytes).toBe(cache.stats().l1.bytes);
    await cache.invalidate(['red/2']);
    expect(cache.groups().get('red')).toMatchObject({ entries: 0, bytes: 0, evictions: 1 });
    await cache.invalidate(['all']);
    expect(cache.groups().get('blue')).toMatchObject({ entries: 0, bytes: 0 });
    await cache.close();
  });

  it('share one when there are too many', () => {
    const groups = createGroups((key) => key, 2);
    for (const key of ['a', 'b', 'c', 'd', 'a']) groups.add(key, 'l1Hits');
    groups.entered('c', 10);
    groups.left('c', 10, true);
    expect([...groups.all().keys()]).toEqual(['a', 'b', '']);
    expect(groups.all().get('a')).toMatchObject({ l1Hits: 2 });
    expect(groups.all().get('')).toMatchObject({ l1Hits: 2, entries: 0, bytes: 0, evictions: 1 });
  });
});
