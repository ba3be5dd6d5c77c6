import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Json, openPlatformRig, type PlatformRig, principal } from './rig.ts';

let rig: PlatformRig;
beforeAll(async () => {
  rig = await openPlatformRig({ env: { CACHE_TENANT_ENTRIES: '700', CACHE_TENANT_BYTES: '70000' } });
});
afterAll(() => rig[Symbol.asyncDispose]());

type Who = ReturnType<typeof principal>;
const errors = 'userErrors { code path message }';

const set = async (who: Who, input: Json, more: Json = {}): Promise<Json> =>
  (
    await rig.ask(
      who,
      `mutation ($input: SetCacheEntryInput!, $expectedVersion: Int, $idempotencyKey: String) {
         setCacheEntry(input: $input, expectedVersion: $expectedVersion, idempotencyKey: $idempotencyKey) {
           entry { key value tags version bytes expiresAt updatedBy } ${errors} } }`,
      { input, ...more },
    )
  ).setCacheEntry;
const find = async (who: Who, key: string): Promise<Json> =>
  (
    await rig.ask(who, 'query ($key: String!) { cacheEntry(key: $key) { level entry { key value tags version } } }', {
      key,
    })
  ).cacheEntry;
const keys = async (who: Who, args = ''): Promise<string[]> =>
  (await rig.ask(who, `{ cacheEntries${args} { nodes { key } } }`)).cacheEntries.nodes.map(({ key }: Json) => key);
const remove = async (who: Who, key: string, more = ''): Promise<Json> =>
  (await rig.ask(who, `mutation { deleteCacheEntry(key: "${key}"${more}) { entry { key value } ${errors} } }`))
    .deleteCacheEntry;
const invalidate = async (who: Who, input: Json, idempotencyKey?: string): Promise<Json> =>
  (
    await rig.ask(
      who,
      `mutation ($input: InvalidateCacheInput!, $idempotencyKey: String) {
         invalidateCache(input: $input, idempotencyKey: $idempotencyKey) { entries ${errors} } }`,
      { input, idempotencyKey },
    )
  ).invalidateCache;
const expire = (tenant: string, key: string) =>
  rig.sql`UPDATE platform.cache_entry SET expires_at = now() - interval '1 second' WHERE tenant_id = ${tenant} AND key = ${key}`;
const usage = async (tenant: string): Promise<Json> =>
  (await rig.sql`SELECT entries, bytes FROM platform.cache_usage WHERE tenant_id = ${tenant}`)[0];
const stored = async (tenant: string): Promise<Json> =>
  (
    await rig.sql`SELECT count(*)::int AS entries, coalesce(sum(bytes), 0)::bigint AS bytes FROM platform.cache_entry
      WHERE tenant_id = ${tenant}`
  )[0];

describe('entries', () => {
  it('are kept in the database, found in memory the second time, and told of without their values', async () => {
    const who = principal('ann', 'kept');
    expect(await find(who, 'context:1')).toBeNull();
    const written = await set(who, { key: 'context:1', value: { secret: 'hush' }, tags: ['b', 'a', 'b'] });
    expect(written).toMatchObject({
      entry: { value: { secret: 'hush' }, tags: ['a', 'b'], version: 1, updatedBy: 'ann' },
      userErrors: [],
    });
    expect(await find(who, 'context:1')).toMatchObject({ level: 'DATABASE', entry: { value: { secret: 'hush' } } });
    expect(await find(who, 'context:1')).toMatchObject({ level: 'MEMORY', entry: { value: { secret: 'hush' } } });
    await set(who, { key: 'context:1', value: [2] });
    expect(await find(who, 'context:1')).toMatchObject({ level: 'DATABASE', entry: { value: [2], tags: [] } });
    expect(await remove(who, 'context:1')).toMatchObject({ entry: { value: [2] }, userErrors: [] });
    expect(await find(who, 'context:1')).toBeNull();
    expect((await remove(who, 'context:1')).userErrors).toMatchObject([{ code: 'NOT_FOUND', path: ['key'] }]);
    const told = await rig.sql`SELECT type, data FROM platform.event WHERE tenant_id = 'kept' ORDER BY position`;
    expect(told.map(({ type }) => type)).toEqual(['cache.entry.set', 'cache.entry.set', 'cache.entry.deleted']);
    const audit = await rig.sql`SELECT action, detail FROM platform.audit WHERE tenant_id = 'kept'`;
    expect(audit).toHaveLength(3);
    expect(JSON.stringify([told, audit])).not.toContain('hush');
  });

  it('are changed by version, and a version never comes again', async () => {
    const who = principal('ann', 'versions');
    expect(await set(who, { key: 'k', value: 1 }, { expectedVersion: 0 })).toMatchObject({ entry: { version: 1 } });
    expect((await set(who, { key: 'k', value: 2 }, { expectedVersion: 0 })).userErrors).toMatchObject([
      { code: 'VERSION_CONFLICT', path: ['expectedVersion'] },
    ]);
    expect((await remove(who, 'k', ', expectedVersion: 7')).userErrors).toMatchObject([{ code: 'VERSION_CONFLICT' }]);
    await remove(who, 'k', ', expectedVersion: 1');
    const { entry } = await set(who, { key: 'k', value: 3 }, { expectedVersion: 0 });
    expect(entry.version).toBeGreaterThan(1);
    expect((await set(who, { key: 'k', value: 4 }, { expectedVersion: 1 })).userErrors).toMatchObject([
      { code: 'VERSION_CONFLICT' },
    ]);
    const racers = await Promise.all(
      Array.from({ length: 8 }, (_none, n) => set(who, { key: 'race', value: n }, { expectedVersion: 0 })),
    );
    expect(racers.filter((answer) => answer.entry !== null)).toHaveLength(1);
  });

  it('are written once for one idempotency key', async () => {
    const who = principal('ann', 'once');
    const first = await set(who, { key: 'k', value: 1 }, { idempotencyKey: 'one' });
    expect(await set(who, { key: 'k', value: 1 }, { idempotencyKey: 'one' })).toEqual(first);
    expect((await set(who, { key: 'k', value: 2 }, { idempotencyKey: 'one' })).userErrors).toMatchObject([
      { code: 'IDEMPOTENCY_MISMATCH' },
    ]);
    expect((await invalidate(who, { keys: ['k'] }, 'two')).entries).toBe(1);
    await set(who, { key: 'k', value: 3 });
    expect((await invalidate(who, { keys: ['k'] }, 'two')).entries).toBe(1);
    expect((await find(who, 'k')).entry.value).toBe(3);
  });

  it('are gone when their time is over, also where the memory still has them', async () => {
    const who = principal('ann', 'expiry');
    await set(who, { key: 'k', value: 1, ttlSeconds: 1 });
    await set(who, { key: 'other', value: 1 });
    const until = Date.parse((await set(who, { key: 'k', value: 2, ttlSeconds: 1 })).entry.expiresAt);
    await find(who, 'k');
    await new Promise((resolve) => setTimeout(resolve, Math.max(0, until - Date.now()) + 20));
    expect(await find(who, 'k')).toBeNull();
    expect(await keys(who)).toEqual(['other']);
    expect((await remove(who, 'k')).userErrors).toMatchObject([{ code: 'NOT_FOUND' }]);
    expect(await usage('expiry')).toMatchObject({ entries: 2 });
    await rig.run('sweepCache');
    expect(await usage('expiry')).toEqual(await stored('expiry'));
    expect(await usage('expiry')).toMatchObject({ entries: 1 });
    expect((await set(who, { key: 'k', value: 3 }, { expectedVersion: 0 })).userErrors).toEqual([]);
  });

  it('are listed by key, page by page', async () => {
    const who = principal('ann', 'listed');
    for (const key of ['a:2', 'b:1', 'a:1', 'a:3']) await set(who, { key, value: key });
    expect(await keys(who)).toEqual(['a:1', 'a:2', 'a:3', 'b:1']);
    const page = (
      await rig.ask(
        who,
        '{ cacheEntries(prefix: "a:", first: 2) { nodes { key } pageInfo { hasNextPage endCursor } } }',
      )
    ).cacheEntries;
    expect(page).toMatchObject({ nodes: [{ key: 'a:1' }, { key: 'a:2' }], pageInfo: { hasNextPage: true } });
    expect(await keys(who, `(prefix: "a:", after: "${page.pageInfo.endCursor}")`)).toEqual(['a:3']);
  });
});

describe('invalidation', () => {
  it('drops by key, by pattern and by tag, and nothing else', async () => {
    const who = principal('ann', 'dropped');
    const fill = async () => {
      for (const [key, tags] of Object.entries({
        'a:1': ['x'],
        'a:2': ['y'],
        a_1: ['x', 'y'],
        'b:10': [],
        'b:1': [],
      })) {
        await set(who, { key, value: key, tags });
        await find(who, key);
      }
    };
    const left = async (input: Json): Promise<string[]> => {
      await fill();
      const before = await keys(who);
      const { entries } = await invalidate(who, input);
      const after = await keys(who);
      expect(entries).toBe(before.length - after.length);
      const found = await Promise.all(before.map((key) => find(who, key)));
      expect(before.filter((_key, at) => found[at] !== null)).toEqual(after);
      return after;
    };
    expect(await left({ keys: ['a:1', 'nothing'] })).toEqual(['a:2', 'a_1', 'b:1', 'b:10']);
    // What LIKE reads otherwise stands for itself.
    expect(await left({ pattern: 'a_*' })).toEqual(['a:1', 'a:2', 'b:1', 'b:10']);
    expect(await left({ pattern: 'b:??' })).toEqual(['a:1', 'a:2', 'a_1', 'b:1']);
    expect(await left({ tags: ['x'] })).toEqual(['a:2', 'b:1', 'b:10']);
    expect(await left({ keys: ['b:1'], tags: ['y'] })).toEqual(['a:1', 'b:10']);
    expect(await left({ pattern: '*' })).toEqual([]);
    expect(await usage('dropped')).toEqual({ entries: 0, bytes: 0 });
  });

  it('of more entries than can be named reaches them all', async () => {
    const who = principal('ann', 'many');
    const all = Array.from({ length: 520 }, (_none, n) => `k:${n}`);
    for (let from = 0; from < all.length; from += 40)
      await Promise.all(all.slice(from, from + 40).map((key) => set(who, { key, value: 1 })));
    await find(who, 'k:7');
    expect(await find(who, 'k:7')).toMatchObject({ level: 'MEMORY' });
    expect((await invalidate(who, { pattern: 'k:*' })).entries).toBe(520);
    expect(await find(who, 'k:7')).toBeNull();
    const [event] =
      await rig.sql`SELECT tags FROM platform.event WHERE tenant_id = 'many' AND type = 'cache.invalidated'`;
    expect(event!['tags']).toEqual(['CacheEntries']);
  });

  it('tells the graph’s caches the tags of the caller’s own tenant', async () => {
    await invalidate(principal('ann', 'told'), { tags: ['Context:1', 'contexts'] });
    const [event] = await rig.sql`SELECT tenant_id, tags FROM platform.event WHERE tenant_id = 'told'`;
    expect(event).toMatchObject({ tenant_id: 'told', tags: ['Context:1', 'contexts'] });
  });
});

describe('tenants', () => {
  it('see, change and drop nothing of each other under the same keys and tags', async () => {
    const [one, two] = [principal('ann', 'one'), principal('ann', 'two')];
    await set(one, { key: 'same', value: 'of one', tags: ['t'] });
    await find(one, 'same');
    expect(await find(two, 'same')).toBeNull();
    await set(two, { key: 'same', value: 'of two', tags: ['t'] }, { expectedVersion: 0 });
    await find(two, 'same');
    for (const input of [{ keys: ['same'] }, { pattern: '*' }, { tags: ['t'] }]) await invalidate(two, input);
    expect(await find(one, 'same')).toMatchObject({ level: 'MEMORY', entry: { value: 'of one' } });
    expect((await remove(two, 'same')).userErrors).toMatchObject([{ code: 'NOT_FOUND' }]);
    expect(await keys(two)).toEqual([]);
    // A name that ends where the other's key begins.
    await set(principal('ann', 'one/same'), { key: 'x', value: 1 });
    expect(await find(one, 'same/x')).toBeNull();
  });

  it('need the rights for it', async () => {
    const [reader, nobody] = [principal('ron', 'rights', ['cache:read']), principal('nel', 'rights', ['context:read'])];
    const code = async (who: Who, source: string) => (await rig.answer(who, source)).errors[0]?.extensions.code;
    for (const query of [
      '{ cacheEntry(key: "a") { level } }',
      '{ cacheEntries { nodes { key } } }',
      '{ cacheStats { ratio } }',
    ]) {
      expect(await code(reader, query)).toBeUndefined();
      expect(await code(nobody, query)).toBe('PERMISSION_DENIED');
    }
    for (const field of [
      'setCacheEntry(input: { key: "a", value: 1 })',
      'deleteCacheEntry(key: "a")',
      'invalidateCache(input: { keys: ["a"] })',
      'warmCache(input: { document: "a" })',
    ])
      expect(await code(reader, `mutation { ${field} { userErrors { code } } }`)).toBe('PERMISSION_DENIED');
    expect(await stored('rights')).toEqual({ entries: 0, bytes: 0 });
  });

  it('have a quota of entries and of bytes, for which what has expired makes room', async () => {
    const who = principal('ann', 'quota');
    const value = 'x'.repeat(22_000);
    for (const key of ['a', 'b', 'c']) expect((await set(who, { key, value })).userErrors).toEqual([]);
    expect((await set(who, { key: 'd', value })).userErrors).toMatchObject([{ code: 'QUOTA_EXCEEDED' }]);
    expect(await find(who, 'd')).toBeNull();
    // In the place of its own older value it fits.
    expect((await set(who, { key: 'c', value: 'y'.repeat(22_000) })).userErrors).toEqual([]);
    await expire('quota', 'a');
    expect((await set(who, { key: 'd', value })).userErrors).toEqual([]);
    expect(await usage('quota')).toEqual(await stored('quota'));
    const other = principal('ann', 'quota of entries');
    await rig.sql`UPDATE platform.cache_usage SET entries = 700 WHERE tenant_id = 'quota'`;
    expect((await set(who, { key: 'e', value: 1 })).userErrors).toMatchObject([{ code: 'QUOTA_EXCEEDED' }]);
    expect((await set(other, { key: 'e', value: 1 })).userErrors).toEqual([]);
  });
});

describe('bad input', () => {
  const entry = { key: 'k', value: 1 };
  it.each<[string, Json, string[]]>([
    ['no key', { ...entry, key: '' }, ['input', 'key']],
    ['a key with a space', { ...entry, key: 'a b' }, ['input', 'key']],
    ['a key with a line end', { ...entry, key: 'a\nb' }, ['input', 'key']],
    ['a long key', { ...entry, key: 'k'.repeat(201) }, ['input', 'key']],
    ['a value with NUL', { ...entry, value: ['\0'] }, ['input', 'value']],
    ['a lone surrogate', { ...entry, value: { a: '\ud800' } }, ['input', 'value']],
    ['a large value', { ...entry, value: 'x'.repeat(65_537) }, ['input', 'value']],
    ['no time to live', { ...entry, ttlSeconds: 0 }, ['input', 'ttlSeconds']],
    ['a long time to live', { ...entry, ttlSeconds: 604_801 }, ['input', 'ttlSeconds']],
    ['many tags', { ...entry, tags: Array.from({ length: 21 }, (_none, n) => `t${n}`) }, ['input', 'tags']],
    ['a tag with a comma', { ...entry, tags: ['a,b'] }, ['input', 'tags', '0']],
  ])('%s is refused, and nothing is stored', async (_name, input, path) => {
    const { entry: none, userErrors } = await set(principal('ann', 'bad'), input);
    expect([none, userErrors[0].code, userErrors[0].path]).toEqual([null, 'VALIDATION_FAILED', path]);
    expect(await stored('bad')).toEqual({ entries: 0, bytes: 0 });
  });

  it.each<[string, Json]>([
    ['nothing', {}],
    ['empty lists', { keys: [], tags: [] }],
    ['too many keys', { keys: Array.from({ length: 501 }, (_none, n) => `k${n}`) }],
    ['too many tags', { tags: Array.from({ length: 101 }, (_none, n) => `t${n}`) }],
    ['a pattern of LIKE', { pattern: '%' }],
    ['an empty pattern', { pattern: '' }],
  ])('an invalidation of %s is refused', async (_name, input) => {
    expect((await invalidate(principal('ann', 'bad'), input)).userErrors).toMatchObject([
      { code: 'VALIDATION_FAILED' },
    ]);
    expect(await rig.sql`SELECT 1 FROM platform.event WHERE tenant_id = 'bad'`).toHaveLength(0);
  });

  it('in look-ups and cursors is refused', async () => {
    const who = principal('ann', 'bad');
    const code = async (source: string) => (await rig.answer(who, source)).errors[0]?.extensions.code;
    expect(await code('{ cacheEntry(key: "a b") { level } }')).toBe('VALIDATION_FAILED');
    expect(await code('{ cacheEntries(first: 101) { nodes { key } } }')).toBe('VALIDATION_FAILED');
    expect(await code('{ cacheEntries(after: "x") { nodes { key } } }')).toBe('CURSOR_INVALID');
  });
});

it('statistics are of the tenant alone, by level', async () => {
  const who = principal('ann', 'counted');
  const stats = async (tenant: string) =>
    (
      await rig.ask(
        principal('ann', tenant),
        '{ cacheStats { ratio instances levels { level hits misses entries } areas { area hits misses entries } } }',
      )
    ).cacheStats;
  const before = await stats('counted');
  expect(before).toMatchObject({ ratio: null, instances: 1, areas: [] });
  await set(who, { key: 'k', value: 1 });
  for (let n = 0; n < 4; n += 1) await find(who, 'k');
  await find(who, 'nothing');
  expect(await stats('counted')).toEqual({
    ratio: 3 / 5,
    instances: 1,
    levels: [
      { level: 'MEMORY', hits: 3, misses: 2, entries: 2 },
      { level: 'DATABASE', hits: 1, misses: 1, entries: 1 },
    ],
    areas: [{ area: 'entries', hits: 3, misses: 2, entries: 2 }],
  });
  expect(await stats('somebody else')).toMatchObject({ ratio: null, areas: [] });
});
