import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, inject, it } from 'vitest';
import { startEmbeddedPostgres } from '../../prisma/embedded.ts';
import { subgraphNames } from '../../subgraphs/names.ts';
import { createTestDatabase } from '../support/database.ts';
import { createFaultProxy } from '../support/faultProxy.ts';
import { hostPlatform, launchProcess, type Platform } from '../support/platform.ts';
import { startRedis } from '../support/redis.ts';
import { subscribe } from '../support/subscribe.ts';

interface Update {
  readonly contextUpdates: { readonly sequence: number; readonly changes: { readonly title?: string } };
}
type Json = Record<string, unknown>;

const updates = 'subscription ($id: ID!) { contextUpdates(contextId: $id) { sequence changes } }';
const create =
  'mutation ($title: String!, $key: String) { createContext(input: { title: $title, root: { domain: "out", environment: "e" }, idempotencyKey: $key }) { context { id } userErrors { code } } }';
const rename =
  'mutation ($id: ID!, $title: String!) { updateContext(contextId: $id, patch: { title: $title }) { context { title } userErrors { code } } }';
const read = 'query ($id: ID!) { context(contextId: $id) { title } }';

const idOf = (data: Json | null) => (data!['createContext'] as { context: { id: string } }).context.id;

async function follow(platform: Platform, id: string) {
  const followed = subscribe<Update>({ url: platform.url, query: updates, variables: { id } });
  await new Promise((resolve) => setTimeout(resolve, 500));
  return followed;
}

/** What a subscriber saw: each change once, in order, none missing. */
function expectWhole(payloads: readonly Update[], titles: readonly string[]): void {
  expect(payloads.map(({ contextUpdates }) => contextUpdates.changes.title)).toEqual(titles);
  const sequences = payloads.map(({ contextUpdates }) => contextUpdates.sequence);
  expect(sequences).toEqual(sequences.map((_, at) => sequences[0]! + at));
}

describe('PostgreSQL', () => {
  it('that restarts under mutations loses nothing acknowledged, and answers are typed meanwhile', async () => {
    await using own = new AsyncDisposableStack();
    const dataDir = await mkdtemp(join(tmpdir(), 'mplp-restart-'));
    own.defer(() => rm(dataDir, { recursive: true, force: true }));
    let server = await startEmbeddedPostgres({ dataDir: join(dataDir, 'pg') });
    own.defer(() => server.remove());
    const platform = own.use(await hostPlatform({ databaseUrl: server.url, dataDir }));
    const watchedId = idOf((await platform.query(create, { title: 'watched' })).data);
    const followed = await follow(platform, watchedId);
    own.defer(() => followed.close());

    const acknowledged: string[] = [];
    const created = new Map<string, string>();
    const codes = new Map<string, number>();
    let stop = false;
    // One writer of a stream, so that what it acknowledged has an order; two of contexts of their own.
    const streamWriter = async () => {
      for (let n = 0; !stop; n += 1) {
        const { data, errors } = await platform.query(rename, { id: watchedId, title: `u${n}` });
        for (const { extensions } of errors) codes.set(extensions.code, (codes.get(extensions.code) ?? 0) + 1);
        if ((data?.['updateContext'] as Json | null)?.['context']) acknowledged.push(`u${n}`);
      }
    };
    const contextWriter = async (name: string) => {
      for (let n = 0; !stop; n += 1) {
        const key = `${name}${n}`;
        const { data, errors } = await platform.query(create, { title: key, key });
        for (const { extensions } of errors) codes.set(extensions.code, (codes.get(extensions.code) ?? 0) + 1);
        const context = (data?.['createContext'] as { context: { id: string } | null } | null)?.context;
        if (context) created.set(key, context.id);
      }
    };
    const writers = [streamWriter(), contextWriter('a'), contextWriter('b')];
    await expect.poll(() => acknowledged.length, { timeout: 20_000 }).toBeGreaterThan(10);
    await server.stop();
    // Mutations meanwhile wait for a connection, or are told that there is none.
    await new Promise((resolve) => setTimeout(resolve, 3_000));
    server = await startEmbeddedPostgres({ dataDir: join(dataDir, 'pg') });
    const back = acknowledged.length;
    await expect.poll(() => acknowledged.length, { timeout: 60_000 }).toBeGreaterThan(back + 10);
    stop = true;
    await Promise.all(writers);
    // Told in the log with its stack, were there one.
    expect(
      platform
        .output()
        .split('\n')
        .filter((line) => line.includes('unexpected failure')),
    ).toEqual([]);
    expect([...codes.keys()].filter((code) => !['UNAVAILABLE', 'DEADLINE_EXCEEDED'].includes(code))).toEqual([]);

    // Every acknowledged one is there, once; what was not acknowledged may be.
    for (const [key, id] of created) {
      const again = await platform.query(create, { title: key, key });
      expect(idOf(again.data)).toBe(id);
    }
    const { data } = await platform.query(rename, { id: watchedId, title: 'last' });
    expect(data!['updateContext']).toMatchObject({ context: { title: 'last' } });
    await followed.until((payloads) => payloads.at(-1)?.contextUpdates.changes.title === 'last', 30_000);
    const seen = followed.payloads.map(({ contextUpdates }) => contextUpdates.changes.title!);
    expect(new Set(seen).size).toBe(seen.length);
    expect(seen.filter((title) => acknowledged.includes(title))).toEqual(acknowledged);
    expectWhole(followed.payloads, seen);
  }, 240_000);
});

describe('Redis', () => {
  it('that is slow holds up no event for ever and makes no answer stale; flushed, it loses nothing', async () => {
    await using own = new AsyncDisposableStack();
    const redis = await startRedis();
    own.defer(() => redis.stop());
    const proxy = await createFaultProxy({ target: { host: '127.0.0.1', port: redis.port } });
    own.defer(() => proxy.close());
    const database = own.use(await createTestDatabase('partitioned'));
    const dataDir = await mkdtemp(join(tmpdir(), 'mplp-slow-redis-'));
    own.defer(() => rm(dataDir, { recursive: true, force: true }));
    const start = () => hostPlatform({ databaseUrl: database.url, dataDir, env: { REDIS_URL: proxy.url('redis') } });
    const [writer, reader] = [own.use(await start()), own.use(await start())];
    const id = idOf((await writer.query(create, { title: 'slow' })).data);
    const followed = await follow(reader, id);
    own.defer(() => followed.close());
    const titles: string[] = [];
    const write = async (title: string) => {
      const answer = await writer.query(rename, { id, title });
      expect(answer.errors).toEqual([]);
      titles.push(title);
      // The writer's own write is never missing from what it reads next, here or by its token elsewhere.
      const token = String(answer.extensions['consistencyToken']);
      for (const { data } of [
        await writer.query(read, { id }),
        await reader.query(read, { id }, { headers: { 'x-mplp-consistency': token } }),
      ])
        expect(data).toEqual({ context: { title } });
    };
    for (let n = 0; n < 5; n += 1) await write(`quick${n}`);
    proxy.delay(400);
    for (let n = 0; n < 5; n += 1) await write(`slow${n}`);
    proxy.delay(0);
    for (let n = 0; n < 5; n += 1) {
      if (n === 2) await flush(redis.port);
      await write(`flushed${n}`);
    }
    await followed.until((payloads) => payloads.length >= titles.length, 30_000);
    expectWhole(followed.payloads, titles);
    expect(followed.errors).toEqual([]);
  }, 120_000);
});

describe('a subgraph', () => {
  it('that hangs up, talks nonsense or never stops is an error of its fields alone, and memory stays', async () => {
    await using own = new AsyncDisposableStack();
    const dataDir = await mkdtemp(join(tmpdir(), 'mplp-nonsense-'));
    own.defer(() => rm(dataDir, { recursive: true, force: true }));
    const database = own.use(await createTestDatabase('partitioned'));
    let manner: 'reset' | 'text' | 'empty' | 'list' | 'huge' = 'reset';
    let sentBytes = 0;
    const broken: Server = createServer((request, response) => {
      request.resume();
      if (manner === 'reset') return void request.socket.destroy();
      response.writeHead(200, { 'content-type': 'application/json' });
      if (manner === 'text') return void response.end('<html>no JSON</html>');
      if (manner === 'empty') return void response.end('');
      if (manner === 'list') return void response.end('[1,2,3]');
      const chunk = Buffer.alloc(1_048_576, 32);
      const more = () => {
        while (!response.destroyed) {
          sentBytes += chunk.length;
          if (!response.write(chunk)) return void response.once('drain', more);
        }
      };
      more();
    }).listen(0, '127.0.0.1');
    await once(broken, 'listening');
    own.defer(() => {
      broken.closeAllConnections();
      broken.close();
    });
    const { child, ready } = launchProcess(
      'gateway/main.ts',
      {
        PORT: '0',
        DATA_DIR: dataDir,
        DATABASE_URL: database.url,
        LOG_LEVEL: 'fatal',
        CACHE: 'off',
        SUBGRAPHS: subgraphNames.filter((name) => name !== 'context').join(','),
        SUBGRAPH_URLS: `context=http://127.0.0.1:${(broken.address() as AddressInfo).port}/graphql`,
      },
      /graph\s+(http\S+)\/graphql/,
      () => {},
    );
    own.defer(async () => {
      const exited = once(child, 'exit');
      child.kill('SIGTERM');
      await exited;
    });
    const url = await ready;
    const ask = async () => {
      const response = await fetch(`${url}/graphql`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({
          query: 'query ($id: ID!) { context(contextId: $id) { title } me { subject } }',
          variables: { id: crypto.randomUUID() },
        }),
      });
      return (await response.json()) as { data: unknown; errors: { extensions: { code: string } }[] };
    };
    for (const each of ['reset', 'text', 'empty', 'list', 'huge'] as const) {
      manner = each;
      const { data, errors } = await ask();
      expect([each, data]).toEqual([each, { context: null, me: { subject: 'demo' } }]);
      expect([each, errors.map(({ extensions }) => extensions.code)]).toEqual([each, ['UNAVAILABLE']]);
      expect(JSON.stringify(errors)).not.toMatch(/127\.0\.0\.1|html|ECONN|undici/);
    }
    // What has no end was given up, not read.
    expect(sentBytes).toBeGreaterThan(0);
    expect(sentBytes).toBeLessThan(256 * 1_048_576);
    expect(child.exitCode).toBeNull();
  }, 120_000);
});

/** `FLUSHALL` past the proxy. */
async function flush(port: number): Promise<void> {
  expect(inject('redisUrl')).not.toContain(`:${port}`);
  const socket = connect({ host: '127.0.0.1', port });
  socket.write('FLUSHALL\r\n');
  const [answer] = (await once(socket, 'data')) as [Buffer];
  expect(String(answer)).toBe('+OK\r\n');
  socket.destroy();
}
