import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { createTaggedCache, type TaggedCache } from '#shared/cache.ts';

/**
 * Times of the tagged cache alone, on this machine: `node perf/probes/cache.ts`. Redis by REDIS_URL or a redis-server
 * of its own. An entity is about 1 KiB of JSON with three tags.
 */
const entity = {
  __typename: 'Context',
  id: '0f8fad5b-d9cb-469f-a165-70867728950e',
  name: 'quarterly planning',
  status: 'ACTIVE',
  metadata: Array.from({ length: 12 }, (_, i) => ({
    key: `key-${i}`,
    value: `value number ${i} of this context`,
    version: i,
  })),
};
const text = JSON.stringify(entity);
const bytes = Buffer.from(text);
const tags = ['a/Context:1', 'a/Context:1:participants', 'a/Tenant:all'];
const ttlMs = 300_000;

interface Row {
  readonly what: string;
  readonly count: number;
  readonly p50Us: number;
  readonly p95Us: number;
  readonly p99Us: number;
}

/** Times each call by itself, after a tenth of the calls as warm-up. */
async function measure(what: string, count: number, call: (index: number) => unknown): Promise<Row> {
  const times = new Float64Array(count);
  for (let i = 0; i < count / 10; i++) await call(i);
  for (let i = 0; i < count; i++) {
    const from = performance.now();
    const answer = call(i);
    if (answer instanceof Promise) await answer;
    times[i] = (performance.now() - from) * 1_000;
  }
  times.sort();
  const at = (share: number) => Number(times[Math.floor(count * share)]!.toFixed(2));
  return { what, count, p50Us: at(0.5), p95Us: at(0.95), p99Us: at(0.99) };
}

/** Time per call of many, where one is too short to time. */
function throughput(what: string, count: number, call: () => unknown): Row {
  for (let i = 0; i < count / 10; i++) call();
  const from = performance.now();
  for (let i = 0; i < count; i++) call();
  const meanUs = Number((((performance.now() - from) * 1_000) / count).toFixed(3));
  return { what: `${what} (mean)`, count, p50Us: meanUs, p95Us: Number.NaN, p99Us: Number.NaN };
}

const load = async () => ({ value: text, tags });

async function probe(url: string): Promise<Row[]> {
  const rows: Row[] = [];
  const memory = createTaggedCache({ l1: { maxEntries: 20_000, maxBytes: 200_000_000, ttlMs } });
  await memory.getOrLoad('one', { ttlMs, load });
  rows.push(throughput('L1 hit, peek', 300_000, () => memory.peek('one')));
  rows.push(await measure('L1 hit, getOrLoad', 50_000, () => memory.getOrLoad('one', { ttlMs, load })));
  rows.push(throughput('copy: JSON.parse of the kept text', 50_000, () => JSON.parse(text)));
  rows.push(throughput('copy: JSON.parse of a kept buffer', 50_000, () => JSON.parse(bytes.toString())));
  rows.push(throughput('copy: structuredClone of a kept object', 50_000, () => structuredClone(entity)));
  rows.push(throughput('keep: JSON.stringify', 50_000, () => JSON.stringify(entity)));
  let fresh = 0;
  rows.push(await measure('L1 miss and fill', 15_000, () => memory.getOrLoad(`fresh${fresh++}`, { ttlMs, load })));
  rows.push(await measureInvalidation(memory, 'invalidate a tag of 1,000 entries, L1'));
  await memory.close();

  const redis = new Redis(url, { lazyConnect: true });
  const options = {
    l1: { maxEntries: 20_000, maxBytes: 200_000_000, ttlMs },
    redis,
    prefix: 'probe:',
    l2TimeoutMs: 1_000,
  };
  const writer = createTaggedCache(options);
  const reader = createTaggedCache({ ...options, l1: { maxEntries: 1, maxBytes: 1_000_000, ttlMs } });
  while (!writer.stats().l2.usable || !reader.stats().l2.usable) await delay(10);
  await writer.getOrLoadMany(
    Array.from({ length: 2_000 }, (_, i) => `k${i}`),
    { ttlMs, load: async (indexes) => indexes.map(() => ({ value: text, tags })) },
  );
  await delay(200);
  rows.push(await measure('L2 hit, one at a time', 10_000, (i) => reader.getOrLoad(`k${i % 2_000}`, { ttlMs, load })));
  rows.push(
    await measure('L2 hits of 20 keys in one read', 2_000, (i) =>
      reader.getOrLoadMany(
        Array.from({ length: 20 }, (_, at) => `k${(i * 20 + at) % 2_000}`),
        { ttlMs, load: async (indexes) => indexes.map(() => ({ value: text, tags })) },
      ),
    ),
  );
  if (reader.stats().loads > 0) throw new Error(`${reader.stats().loads} of the L2 hits were none`);
  rows.push(
    await measure('miss in both, and fill', 5_000, (i) =>
      reader.getOrLoad(`miss${i}.${Math.random()}`, { ttlMs, load }),
    ),
  );
  rows.push(await measure('invalidate one tag, L1 and L2', 5_000, (i) => writer.invalidate([`T:${i}`])));
  rows.push(await measureInvalidation(writer, 'invalidate a tag of 1,000 entries, L1 and L2'));
  await writer.close();
  await reader.close();
  return rows;
}

async function measureInvalidation(cache: TaggedCache, what: string): Promise<Row> {
  const times: number[] = [];
  for (let round = 0; round < 50; round++) {
    await cache.getOrLoadMany(
      Array.from({ length: 1_000 }, (_, i) => `${what}${i}`),
      { ttlMs, load: async (indexes) => indexes.map(() => ({ value: text, tags: ['all', ...tags] })) },
    );
    await delay(10);
    const held = cache.stats().l1.entries;
    const from = performance.now();
    await cache.invalidate(['all']);
    times.push((performance.now() - from) * 1_000);
    if (held - cache.stats().l1.entries < 1_000) throw new Error('fewer than 1,000 entries were dropped');
  }
  times.sort((a, b) => a - b);
  const at = (share: number) => Number(times[Math.floor(times.length * share)]!.toFixed(1));
  return { what, count: times.length, p50Us: at(0.5), p95Us: at(0.95), p99Us: at(0.99) };
}

async function startRedis(): Promise<{ url: string; child: ChildProcess }> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  if (address === null || typeof address === 'string') throw new Error('no free port');
  const child = spawn('redis-server', ['--port', String(address.port), '--save', '', '--appendonly', 'no'], {
    stdio: 'ignore',
  });
  await once(child, 'spawn');
  return { url: `redis://127.0.0.1:${address.port}`, child };
}

const given = process.env['REDIS_URL'];
const own = given ? undefined : await startRedis();
try {
  console.table(await probe(given ?? own!.url));
} finally {
  own?.child.kill();
}
