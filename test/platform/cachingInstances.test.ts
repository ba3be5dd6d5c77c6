import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createSql, type Sql } from '#shared/sql.ts';
import { createTestDatabase } from '../support/database.ts';
import { type HostedPlatform, hostPlatform } from '../support/platform.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';
import { type Json, until } from './rig.ts';

/** Two instances of the whole platform over one database and one Redis. */
describe('two instances', () => {
  const own = new AsyncDisposableStack();
  let redis: TestRedis;
  let one: HostedPlatform;
  let two: HostedPlatform;
  let sql: Sql;
  const tokens: Record<string, string> = {};
  const documents = {
    title: 'query Title($id: ID!) { context(contextId: $id) { title } }',
    change: 'mutation { reloadConfig { changed } }',
  };

  beforeAll(async () => {
    redis = own.use(await startRedis());
    const database = own.use(await createTestDatabase('partitioned'));
    const folder = await mkdtemp(join(tmpdir(), 'mplp-caching-'));
    own.defer(() => rm(folder, { recursive: true, force: true }));
    const file = join(folder, 'documents.json');
    await writeFile(file, JSON.stringify(documents));
    const start = () =>
      hostPlatform({
        databaseUrl: database.url,
        dataDir: folder,
        env: { REDIS_URL: redis.url, TRUSTED_DOCUMENTS_FILE: file, TRACE_HISTORY: 'off', METRIC_HISTORY: 'off' },
      });
    // One after the other: the second takes the keys that the first made.
    one = own.use(await start());
    two = own.use(await start());
    sql = createSql(database.url, { max: 2, applicationName: 'caching-test' });
    own.defer(() => sql.end({ timeout: 5 }));
    for (const tenant of ['red', 'blue', 'green'])
      tokens[tenant] = await one.token({ tenant, subject: 'ann', roles: ['admin'] });
  });
  afterAll(() => own.disposeAsync());

  async function ask(
    platform: HostedPlatform,
    tenant: string,
    document: string,
    variables: Json = {},
    consistency = '',
  ) {
    const headers: Record<string, string> = consistency === '' ? {} : { 'x-mplp-consistency': consistency };
    const answer = await platform.query<Json>(document, variables, { token: tokens[tenant]!, headers });
    expect(answer.errors).toEqual([]);
    return answer;
  }
  const set = async (platform: HostedPlatform, tenant: string, key: string, value: Json): Promise<string> => {
    const { data, extensions } = await ask(
      platform,
      tenant,
      'mutation ($input: SetCacheEntryInput!) { setCacheEntry(input: $input) { userErrors { code } } }',
      { input: { key, value, tags: ['t'] } },
    );
    expect(data.setCacheEntry.userErrors).toEqual([]);
    return extensions['consistencyToken'] as string;
  };
  const find = async (platform: HostedPlatform, tenant: string, key: string, consistency = ''): Promise<Json> =>
    (
      await ask(
        platform,
        tenant,
        'query ($key: String!) { cacheEntry(key: $key) { level entry { value } } }',
        { key },
        consistency,
      )
    ).data.cacheEntry;
  const invalidate = async (platform: HostedPlatform, tenant: string, input: Json): Promise<string> => {
    const { data, extensions } = await ask(
      platform,
      tenant,
      'mutation ($input: InvalidateCacheInput!) { invalidateCache(input: $input) { entries userErrors { code } } }',
      { input },
    );
    expect(data.invalidateCache.userErrors).toEqual([]);
    return extensions['consistencyToken'] as string;
  };
  const both = () => [one, two];

  it('find each other’s entries in Redis, and drop them together', async () => {
    await set(one, 'red', 'shared', 1);
    expect(await find(one, 'red', 'shared')).toMatchObject({ level: 'DATABASE' });
    const seen = await until(
      () => find(two, 'red', 'shared'),
      (found) => found?.level !== 'DATABASE',
    );
    expect(['REDIS', 'MEMORY']).toContain(seen.level);
    await set(one, 'red', 'shared', 2);
    expect((await find(one, 'red', 'shared')).entry.value).toBe(2);
    await until(
      () => find(two, 'red', 'shared'),
      (found) => found.entry.value === 2,
    );
    expect(
      await until(
        () => find(two, 'red', 'shared'),
        (found) => found.level === 'MEMORY',
      ),
    ).toMatchObject({
      entry: { value: 2 },
    });
    await invalidate(two, 'red', { tags: ['t'] });
    for (const platform of both())
      await until(
        () => find(platform, 'red', 'shared'),
        (found) => found === null,
      );
  });

  it('show a writer its own write on the other one at once, by its token', async () => {
    for (let n = 0; n < 20; n += 1) {
      const [writer, reader] = n % 2 === 0 ? [one, two] : [two, one];
      const token = await set(writer, 'red', 'own', n);
      expect((await find(reader, 'red', 'own', token)).entry.value).toBe(n);
    }
  });

  it('drop what they have cached of the graph, of the caller’s tenant alone', async () => {
    const create = async (tenant: string): Promise<string> =>
      (
        await ask(
          one,
          tenant,
          'mutation { createContext(input: { title: "before", root: { domain: "d", environment: "e" } }) { context { id } } }',
        )
      ).data.createContext.context.id;
    const ids: Record<string, string> = { red: await create('red'), blue: await create('blue') };
    const title = async (platform: HostedPlatform, tenant: string, consistency = ''): Promise<string> =>
      (await ask(platform, tenant, documents.title, { id: ids[tenant] }, consistency)).data.context.title;
    for (const platform of both()) for (const tenant of ['red', 'blue']) await title(platform, tenant);
    // Past the platform, which therefore cannot know of it.
    await sql`UPDATE context.context SET title = 'after'`;
    for (const platform of both())
      for (const tenant of ['red', 'blue']) expect(await title(platform, tenant)).toBe('before');
    const token = await invalidate(one, 'red', { tags: [`Context:${ids['red']}`, `Context:${ids['blue']}`] });
    expect(await title(one, 'red')).toBe('after');
    expect(await title(two, 'red', token)).toBe('after');
    for (const platform of both()) expect(await title(platform, 'blue')).toBe('before');
  });

  it('are warmed with trusted queries, as the caller', async () => {
    const warm = async (input: Json): Promise<Json> =>
      (
        await ask(
          one,
          'red',
          `mutation ($input: WarmCacheInput!) { warmCache(input: $input) {
             asked warmed failed cancelled failures { index code } userErrors { code path } } }`,
          { input },
        )
      ).data.warmCache;
    const { data } = await ask(
      one,
      'red',
      'mutation { createContext(input: { title: "warm", root: { domain: "d", environment: "e" } }) { context { id } } }',
    );
    const { id } = data.createContext.context;
    expect(await warm({ document: 'title', ids: [id], variables: [{}] })).toEqual({
      ...{ asked: 2, warmed: 1, failed: 1, cancelled: 0, userErrors: [] },
      failures: [{ index: 0, code: 'BAD_USER_INPUT' }],
    });
    await sql`UPDATE context.context SET title = 'cold' WHERE id = ${id}`;
    // Nobody had asked for it before: it was the warming that read it.
    expect((await ask(one, 'red', documents.title, { id })).data.context.title).toBe('warm');
    for (const [input, code] of [
      [{ document: 'nothing' }, 'NOT_FOUND'],
      [{ document: 'change' }, 'VALIDATION_FAILED'],
      [{ document: 'title', ids: Array(201).fill(id) }, 'VALIDATION_FAILED'],
    ] as const)
      expect((await warm(input)).userErrors).toMatchObject([{ code }]);
  });

  it('report what both have counted', async () => {
    const stats = async (scope: string, tenant: string): Promise<Json> =>
      (
        await ask(
          two,
          tenant,
          `{ cacheStats(scope: ${scope}) { instances ratio levels { level hits misses } areas { area hits misses } } }`,
        )
      ).data.cacheStats;
    const askedFor = ({ levels: [memory] }: Json): number => memory.hits + memory.misses;
    await set(one, 'green', 'counted', 1);
    for (const platform of both()) for (let n = 0; n < 3; n += 1) await find(platform, 'green', 'counted');
    await until(
      () => stats('ENTRIES', 'green'),
      (found) => askedFor(found) === 6,
    );
    for (let n = 0; n < 5; n += 1) await find(one, 'green', 'counted');
    const all = await until(
      () => stats('ENTRIES', 'green'),
      (found) => askedFor(found) === 11,
    );
    expect(all.instances).toBe(2);
    expect(all.areas).toMatchObject([{ area: 'entries' }]);
    const responses = await until(
      () => stats('RESPONSES', 'red'),
      (found) => found.areas.some(({ area, hits }: Json) => area === 'responses' && hits > 0),
    );
    expect(responses.instances).toBe(2);
    expect(responses.levels.map(({ level }: Json) => level)).toEqual(['MEMORY', 'REDIS']);
    expect(await stats('ENTRIES', 'blue')).toMatchObject({ ratio: null, areas: [] });
    const metrics = await (await fetch(`${two.url}/metrics`)).text();
    expect(Number(/^mplp_cache_events_total\{event="l1_hit"[^}]*\} (\d+)$/m.exec(metrics)?.[1])).toBeGreaterThan(0);
    expect(Number(/^mplp_cache_entries(?:\{[^}]*\})? (\d+)$/m.exec(metrics)?.[1])).toBeGreaterThan(0);
  });

  it('go on without Redis, and are told through the database then', async () => {
    await set(one, 'red', 'lonely', 1);
    for (const platform of both()) await find(platform, 'red', 'lonely');
    await redis.kill();
    await set(one, 'red', 'lonely', 2);
    expect((await find(one, 'red', 'lonely')).entry.value).toBe(2);
    await until(
      () => find(two, 'red', 'lonely'),
      (found) => found.entry.value === 2,
    );
    await invalidate(two, 'red', { pattern: 'lon*' });
    expect(await find(two, 'red', 'lonely')).toBeNull();
    await until(
      () => find(one, 'red', 'lonely'),
      (found) => found === null,
    );
    await redis.restart();
    await set(two, 'red', 'lonely', 3);
    await until(
      () => find(one, 'red', 'lonely'),
      (found) => found?.entry.value === 3,
    );
  });
});
