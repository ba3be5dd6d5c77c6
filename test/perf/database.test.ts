import { afterAll, beforeAll, expect, test } from 'vitest';
import { createSql } from '#shared/sql.ts';
import { createDatabaseFactory, type DatabaseFactory } from '../../perf/database.ts';
import { requireDurability } from '../../perf/machine.ts';
import { readTreeCpuMs } from '../../perf/processCpu.ts';
import type { SeedOptions } from '../../perf/scenario.ts';
import { type EmbeddedPostgres, startTemporaryPostgres } from '../../prisma/embedded.ts';

let postgres: EmbeddedPostgres;
let factory: DatabaseFactory;
let seeded = 0;

async function query<T>(url: string, text: string): Promise<T[]> {
  const sql = createSql(url, { max: 1, applicationName: 'perf-test' });
  try {
    return [...(await sql.unsafe(text))] as unknown as T[];
  } finally {
    await sql.end();
  }
}

const seed = (version: number): SeedOptions => ({
  name: 'things',
  version,
  async load(sql) {
    seeded += 1;
    await sql`INSERT INTO thing SELECT generate_series(1, ${100 * version}::int)`;
  },
});

beforeAll(async () => {
  postgres = await startTemporaryPostgres();
  factory = createDatabaseFactory({
    cluster: { adminUrl: postgres.url, postmasterPid: postgres.pid, close: async () => {} },
    migrate: async (url) => void (await query(url, 'CREATE TABLE thing (id int)')),
    log: () => {},
  });
});
afterAll(() => postgres?.stop());

test('each scenario gets the seeded rows, whatever the one before did to its own', async () => {
  const first = await factory.prepare(seed(1));
  await query(first.database.url, 'DELETE FROM thing');
  const second = await factory.prepare(seed(1));
  expect(await query(second.database.url, 'SELECT count(*)::int AS count FROM thing')).toEqual([{ count: 100 }]);
  expect(seeded).toBe(1);
  await first.drop();
  await second.drop();
});

test('a new version is seeded anew and the old copy goes', async () => {
  const { database, drop } = await factory.prepare(seed(2));
  expect(await query(database.url, 'SELECT count(*)::int AS count FROM thing')).toEqual([{ count: 200 }]);
  await drop();
  const names = await query<{ datname: string }>(
    postgres.url,
    `SELECT datname FROM pg_database WHERE datname LIKE 'perf_seed_things%'`,
  );
  expect(names).toHaveLength(1);
  expect(names[0]!.datname).toContain('perf_seed_things_v2_');
});

test('who asks for the same rows at the same time shares their making', async () => {
  seeded = 0;
  const both = await Promise.all([factory.prepare(seed(3)), factory.prepare(seed(3))]);
  expect(seeded).toBe(1);
  for (const { database, drop } of both) {
    expect(await query(database.url, 'SELECT count(*)::int AS count FROM thing')).toEqual([{ count: 300 }]);
    await drop();
  }
});

test('a run on a PostgreSQL that may lose commits, or on UNLOGGED tables, is refused', async () => {
  const { database, drop } = await factory.prepare(seed(2));
  const sql = createSql(database.url, { max: 1, applicationName: 'perf-test' });
  try {
    expect(await requireDurability(sql)).toMatchObject({
      fsync: 'on',
      synchronousCommit: 'on',
      fullPageWrites: 'on',
      unloggedTables: 0,
    });
    await sql`SET synchronous_commit = off`;
    await expect(requireDurability(sql)).rejects.toThrow('"synchronousCommit":"off"');
    await sql`RESET synchronous_commit`;
    await sql`CREATE UNLOGGED TABLE quick (id int)`;
    await expect(requireDurability(sql)).rejects.toThrow('"unloggedTables":1');
  } finally {
    await sql.end();
    await drop();
  }
});

test('the CPU of PostgreSQL counts its backends, also after they ended', async () => {
  const before = readTreeCpuMs(postgres.pid)!;
  await query(postgres.url, 'SELECT sum(sqrt(i)) FROM generate_series(1, 2000000) AS i');
  expect(readTreeCpuMs(postgres.pid)! - before).toBeGreaterThan(50);
});
