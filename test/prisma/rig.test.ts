import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { Redis } from 'ioredis';
import pg from 'pg';
import { afterEach, expect, inject, test, vi } from 'vitest';
import { createTestDatabase } from '../support/database.ts';
import { requireRedis, startRedis } from '../support/redis.ts';

afterEach(() => {
  vi.unstubAllEnvs();
});

test('test databases are apart, hold the job queue and disappear', async () => {
  const one = await createTestDatabase();
  const startedAt = performance.now();
  await using other = await createTestDatabase();
  console.log(`test database in ${Math.round(performance.now() - startedAt)} ms`);
  const client = new pg.Client({ connectionString: one.url });
  await client.connect();
  await client.query('CREATE TABLE only_here ()');
  const { rows } = await client.query(`SELECT to_regclass('graphile_worker._private_jobs') IS NOT NULL AS jobs`);
  expect(rows).toEqual([{ jobs: true }]);
  await client.end();

  const second = new pg.Client({ connectionString: other.url });
  await second.connect();
  expect((await second.query(`SELECT to_regclass('only_here') AS table`)).rows).toEqual([{ table: null }]);
  await second.end();

  await one.drop();
  const gone = new pg.Client({ connectionString: one.url });
  await expect(gone.connect()).rejects.toThrow(/does not exist/);
});

test('many test databases at once', async () => {
  const databases = await Promise.all(Array.from({ length: 8 }, () => createTestDatabase()));
  expect(new Set(databases.map(({ url }) => url)).size).toBe(8);
  await Promise.all(databases.map((database) => database.drop()));
});

test("the run's Redis answers", async () => {
  const redis = new Redis(inject('redisUrl'));
  expect(await redis.ping()).toBe('PONG');
  redis.disconnect();
});

test('a Redis of its own is killed and restarted on the same port, empty', async () => {
  await using server = await startRedis();
  const redis = new Redis(server.url, { retryStrategy: () => 20, maxRetriesPerRequest: null });
  redis.on('error', () => {});
  await redis.set('key', 'value');
  const cut = new Promise<void>((resolve) => redis.once('close', () => resolve()));
  await server.kill();
  await cut;
  await server.restart();
  expect(await redis.get('key')).toBeNull();
  redis.disconnect();
});

test('a Redis ends with the process that started it, however that ends', async () => {
  const script = `import { startRedis } from './test/support/redis.ts'; console.log((await startRedis()).url);`;
  const owner = spawn(process.execPath, ['--input-type=module', '--eval', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [line] = await once(createInterface({ input: owner.stdout }), 'line');
  const redis = new Redis(String(line), { retryStrategy: () => null });
  redis.on('error', () => {});
  expect(await redis.ping()).toBe('PONG');
  const cut = once(redis, 'end');
  owner.kill('SIGKILL');
  await cut;
});

test('without Redis the run says what to install', async () => {
  vi.stubEnv('PATH', '');
  await expect(requireRedis(() => {}, false)).rejects.toThrow(/install redis-server .* or set REDIS_URL/);
  await expect(startRedis()).rejects.toThrow(/is it installed/);
});
