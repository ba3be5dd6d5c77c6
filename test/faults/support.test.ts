import { Redis } from 'ioredis';
import pg from 'pg';
import { expect, inject, test } from 'vitest';
import { createFaultProxy, type FaultProxy } from '../support/faultProxy.ts';

/** A proxy in front of the server that a URL names. */
async function proxyOf(url: string, defaultPort: number): Promise<FaultProxy> {
  const { hostname, port } = new URL(url);
  return createFaultProxy({ target: { host: hostname, port: Number(port || defaultPort) } });
}

async function errorOf(action: Promise<unknown>): Promise<string> {
  return action.then(
    () => 'no error',
    (error: unknown) => String(error),
  );
}

test('Redis through the proxy: an answer cut in its middle, a pause, a refusal', async () => {
  const proxy = await proxyOf(inject('redisUrl'), 6_379);
  const redis = new Redis(proxy.url(inject('redisUrl')), { maxRetriesPerRequest: 0, retryStrategy: () => 10 });
  redis.on('error', () => {});
  const key = `fault-proxy:${inject('runId')}`;
  try {
    await redis.set(key, 'x'.repeat(50_000), 'EX', 60);
    proxy.dropAfterBytes(20_000);
    expect(await errorOf(redis.get(key))).toMatch(/retries|closed|ECONNRESET/);
    await proxy.heal();
    expect((await redis.get(key))?.length).toBe(50_000);

    proxy.pause();
    let answered = false;
    const waiting = redis.incr(`${key}:n`).then((value) => {
      answered = true;
      return value;
    });
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(answered).toBe(false);
    proxy.resume();
    expect(await waiting).toBe(1);

    proxy.refuse();
    proxy.cut();
    expect(await errorOf(redis.get(key))).not.toBe('no error');
    await proxy.heal();
    expect(await redis.get(`${key}:n`)).toBe('1');
    await redis.del(key, `${key}:n`);
  } finally {
    redis.disconnect();
    await proxy.close();
  }
});

test('PostgreSQL through the proxy: a commit whose answer is lost, and a server out of reach', async () => {
  const databaseUrl = inject('databaseUrl');
  const proxy = await proxyOf(databaseUrl, 5_432);
  const open = async (url: string) => {
    const client = new pg.Client({ connectionString: url });
    client.on('error', () => {});
    await client.connect();
    return client;
  };
  const direct = await open(databaseUrl);
  const table = `fault_proxy_${inject('runId')}`;
  await direct.query(`CREATE TABLE ${table} (id int PRIMARY KEY)`);
  try {
    const lost = await open(proxy.url(databaseUrl));
    await lost.query('BEGIN');
    await lost.query(`INSERT INTO ${table} VALUES (1)`);
    // The request passes, the answer does not: the client cannot know, and the row is there.
    proxy.dropAfterBytes(0);
    expect(await errorOf(lost.query('COMMIT'))).toMatch(/terminated|ECONNRESET/);
    await proxy.heal();

    const cutBefore = await open(proxy.url(databaseUrl));
    await cutBefore.query('BEGIN');
    await cutBefore.query(`INSERT INTO ${table} VALUES (2)`);
    proxy.cut();
    expect(await errorOf(cutBefore.query('COMMIT'))).not.toBe('no error');
    expect((await direct.query(`SELECT id FROM ${table}`)).rows).toEqual([{ id: 1 }]);

    proxy.refuse();
    expect(await errorOf(open(proxy.url(databaseUrl)))).toContain('ECONNREFUSED');
    await proxy.heal();
    const healed = await open(proxy.url(databaseUrl));
    expect((await healed.query(`SELECT count(*)::int AS n FROM ${table}`)).rows).toEqual([{ n: 1 }]);
    await healed.end();
  } finally {
    await direct.query(`DROP TABLE ${table}`);
    await direct.end();
    await proxy.close();
  }
});
