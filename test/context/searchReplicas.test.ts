import pino from 'pino';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createConsistencyToken } from '#shared/cache/consistencyToken.ts';
import { readConfig } from '#shared/config.ts';
import { createRequestScope } from '#shared/context.ts';
import { createLateGraph } from '#shared/graph.ts';
import { newId } from '#shared/ids.ts';
import type { Principal } from '#shared/principal.ts';
import type { Sql } from '#shared/sql.ts';
import { createContextSearch } from '../../subgraphs/context/search/search.ts';
import type { ContextService } from '../../subgraphs/context/service.ts';
import { openConnections, openSubgraphs } from '../../subgraphs/open.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { type ContextRig, openContextRig, principal } from './rig.ts';

const scopeOf = (who: Principal, consistencyToken?: string) =>
  createRequestScope({
    principal: who,
    correlationId: newId(),
    traceparent: '00-11111111111111111111111111111111-2222222222222222-01',
    consistencyToken,
  });
/** The tail waits for transactions of the whole server, other tests' too. */
const patient = { timeout: 120_000 };
const page = { limit: 100, reversed: false, after: null };
const about = (query: string) => ({ filter: {}, query });

describe('two processes on one database', () => {
  let database: TestDatabase;
  const instances: Awaited<ReturnType<typeof openInstance>>[] = [];
  const who = principal('jana', { tenantId: 'shared' });

  /** A process of its own: its connections, its bus, its indexes. */
  async function openInstance(pollMs: number) {
    const config = readConfig({
      DATABASE_URL: database.url,
      LOG_LEVEL: 'silent',
      DATABASE_POOL: '3',
      DATABASE_PRISMA_POOL: '1',
      EVENT_POLL_MS: String(pollMs),
    });
    const logger = pino({ level: 'silent' });
    const connections = await openConnections({ config, databaseUrl: database.url, logger });
    const opened = await openSubgraphs({
      config,
      connections,
      names: ['context'],
      graph: createLateGraph(),
      logger,
      invalidator: null,
    });
    const service = opened.subgraphs.get('context')!.contextFor(scopeOf(who)).service as ContextService;
    return {
      service,
      async titles(query: string, token?: string) {
        const found = await service.search.page(scopeOf(who, token), about(query), page, { mustWait: true });
        return found!.rows.map(({ row }) => row.title).sort();
      },
      async close() {
        await service.drain();
        await opened.close();
        await connections.close();
      },
    };
  }

  beforeEach(async () => {
    database = await createTestDatabase();
  });
  afterEach(async () => {
    await Promise.all(instances.splice(0).map((instance) => instance.close()));
    await database.drop();
  });

  const input = (title: string) => ({ title, root: { domain: 'd', environment: 'e' } });

  test('what one writes the other finds once it has heard of it', async () => {
    const [here, there] = [await openInstance(100), await openInstance(100)];
    instances.push(here, there);
    expect([await here.titles('heron'), await there.titles('heron')]).toEqual([[], []]);
    const { context } = await here.service.create(scopeOf(who), input('heron'));
    expect(await here.titles('heron')).toEqual(['heron']);
    await expect.poll(() => there.titles('heron'), patient).toEqual(['heron']);
    await there.service.update(scopeOf(who), context.id, { title: 'egret' }, {});
    await expect
      .poll(async () => [await here.titles('heron'), await here.titles('egret')], patient)
      .toEqual([[], ['egret']]);
    await here.service.remove(scopeOf(who), context.id, { force: true });
    await expect.poll(() => there.titles('egret'), patient).toEqual([]);
  }, 300_000);

  test('what a consistency token names is found before it was heard of', async () => {
    const [here, there] = [await openInstance(600_000), await openInstance(600_000)];
    instances.push(here, there);
    expect(await there.titles('stork')).toEqual([]);
    const scope = scopeOf(who);
    await here.service.create(scope, input('stork'));
    const token = createConsistencyToken(scope.written);
    expect([await there.titles('stork'), await there.titles('stork', token)]).toEqual([[], ['stork']]);
    // More than a token can name: nothing but the record will do.
    const much = createConsistencyToken(Array.from({ length: 200 }, () => ({ eventId: newId(), tags: ['contexts'] })));
    expect(await there.service.search.page(scopeOf(who, much), about('stork'), page, { mustWait: true })).toBeNull();
    expect((await there.service.lists.search(scopeOf(who, much), about('stork'), null, {})).nodes).toHaveLength(1);
  });
});

describe('building, dropping, refusing', () => {
  let rig: ContextRig;
  beforeAll(async () => {
    rig = await openContextRig({ QUOTA_CONTEXTS_PER_USER: '100000' });
  });
  afterAll(() => rig[Symbol.asyncDispose]());

  /** Creates contexts `<word> 0` and so on for a tenant. */
  async function fill(who: Principal, word: string, count: number): Promise<string[]> {
    const ids: string[] = [];
    for (let from = 0; from < count; from += 100) {
      const inputs = Array.from({ length: Math.min(100, count - from) }, (_, n) => ({
        title: `${word} ${from + n}`,
        root: { domain: 'd', environment: 'e' },
      }));
      const results = await rig.service.bulk.create(scopeOf(who), inputs, { mode: 'ATOMIC' });
      ids.push(...results.map(({ context }) => context!.id));
    }
    return ids;
  }

  const open = (settings: Readonly<Record<string, string>>, sql: Sql = rig.runtime.sql) =>
    createContextSearch({ ...rig.runtime, sql, config: readConfig({ NODE_ENV: 'test', ...settings }) });

  test('what changes while an index is built is in it', async () => {
    const who = principal('karl', { tenantId: 'building' });
    const ids = (await fill(who, 'raven', 1_200)).sort();
    let slices = 0;
    // Changes contexts of slices that were read, are being read and are still to come, between reading and indexing.
    const sql = new Proxy(rig.runtime.sql, {
      get(target, name, receiver) {
        if (name !== 'reserve') return Reflect.get(target, name, receiver) as unknown;
        return async () => {
          const connection = await target.reserve();
          const unsafe = async (...args: Parameters<Sql['unsafe']>) => {
            const rows = await connection.unsafe(...args);
            for (const place of [0, 1_010])
              await rig.service.update(scopeOf(who), ids[place + slices]!, { title: `magpie ${place + slices}` }, {});
            await rig.service.remove(scopeOf(who), ids[1_100 + slices]!, { force: false });
            await fill(who, 'jackdaw', 1);
            slices += 1;
            return rows;
          };
          return { unsafe, release: () => connection.release() };
        };
      },
    });
    const search = open({}, sql as Sql);
    const found = async (query: string) =>
      (await search.page(scopeOf(who), about(query), page, { mustWait: true }))!.total;
    expect(await found('raven')).toBe(1_200 - 3 * slices);
    expect([await found('magpie'), await found('jackdaw')]).toEqual([2 * slices, slices]);
    expect(slices).toBeGreaterThanOrEqual(2);
    search.close();
  });

  test('PostgreSQL answers until the index is there', async () => {
    const who = principal('lena', { tenantId: 'waiting' });
    await fill(who, 'swift', 3);
    const search = open({});
    expect(await search.page(scopeOf(who), about('swift'), page, { mustWait: false })).toBeNull();
    expect((await search.page(scopeOf(who), about('swift'), page, { mustWait: true }))!.total).toBe(3);
    expect(await search.count(scopeOf(who), about('swift'))).toBe(3);
    search.close();
  });

  /** Contexts with 40 words each that no other has, past the service: about 5 KB of index apiece. */
  async function fillWide({ tenantId, subject }: Principal, word: string, count: number): Promise<void> {
    await rig.sql.unsafe(
      `INSERT INTO context.context (tenant_id, id, title, status, root, domain, environment, tags, type, lifecycle_stage, owner_id, owner_type, configuration, access_control, priority, shared_checksum, created_by, updated_by, search)
       SELECT $1, gen_random_uuid(), $2, 'active', '{}', 'd', 'e', '{}', 'PARALLEL', 'PLANNING', $3, 'USER', '{}', '{}', 'NORMAL', '', $3, $3,
              to_tsvector('simple', $2 || ' ' || (SELECT string_agg('w' || md5($1 || n || '-' || m), ' ') FROM generate_series(1, 40) m))
       FROM generate_series(1, $4::int) n`,
      [tenantId, word, subject, count],
    );
  }

  test('beyond the budget the least recently searched tenant goes', async () => {
    const tenants = ['one', 'two', 'three'].map((name) => principal('mila', { tenantId: `evict-${name}` }));
    for (const who of tenants) await fillWide(who, 'finch', 100);
    const search = open({ CONTEXT_SEARCH_INDEX_MB: '1' });
    const wait = (who: Principal) => search.page(scopeOf(who), about('finch'), page, { mustWait: true });
    const isThere = async (who: Principal) => (await search.count(scopeOf(who), about('finch'))) !== null;
    for (const who of tenants) expect((await wait(who))?.total).toBe(100);
    expect(await isThere(tenants[2]!)).toBe(true);
    expect(await isThere(tenants[0]!)).toBe(false);
    // Asked for again, it comes back, and another has to go.
    expect((await wait(tenants[0]!))?.total).toBe(100);
    search.close();
  });

  test('a tenant that is too large, or does not fit, stays with PostgreSQL', async () => {
    const who = principal('nora', { tenantId: 'large' });
    await fillWide(who, 'crane', 400);
    for (const settings of [{ CONTEXT_SEARCH_INDEX_MAX: '399' }, { CONTEXT_SEARCH_INDEX_MB: '1' }]) {
      const search = open(settings);
      expect(await search.page(scopeOf(who), about('crane'), page, { mustWait: true })).toBeNull();
      rig.statements.length = 0;
      expect(await search.page(scopeOf(who), about('crane'), page, { mustWait: true })).toBeNull();
      expect(rig.statements).toEqual([]);
      search.close();
    }
    const fits = open({ CONTEXT_SEARCH_INDEX_MAX: '400' });
    expect((await fits.page(scopeOf(who), about('crane'), page, { mustWait: true }))!.total).toBe(400);
    fits.close();
  });

  test('a row that changes between ranking and reading is ranked again', async () => {
    const who = principal('otto', { tenantId: 'racing' });
    const ids = await fill(who, 'plover', 5);
    let changes = 0;
    const sql = new Proxy(rig.runtime.sql, {
      get(target, name, receiver) {
        if (name !== 'unsafe') return Reflect.get(target, name, receiver) as unknown;
        return async (...args: Parameters<Sql['unsafe']>) => {
          const isPage = args[0].includes('AND c.id = ANY') && args[0].includes('"configuration"');
          if (isPage && changes < 2) await rig.service.update(scopeOf(who), ids[changes++]!, { title: 'dunlin' }, {});
          return target.unsafe(...args);
        };
      },
    });
    const search = open({}, sql as Sql);
    const found = await search.page(scopeOf(who), about('plover'), page, { mustWait: true });
    expect([changes, found!.total, found!.rows.map(({ row }) => row.title).sort()]).toEqual([
      2,
      3,
      ['plover 2', 'plover 3', 'plover 4'],
    ]);
    search.close();
  });
});
