import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Sql } from 'postgres';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import postgres from '#shared/postgresDriver.ts';
import { waitUntilQuiet } from '../../contract/walk/rows.ts';
import { createTestDatabase, type TestDatabase } from '../../support/database.ts';
import { hostPlatform, modes, type Platform, type PlatformOptions, startPlatform } from '../../support/platform.ts';
import { until } from '../rig.ts';
import { ask, ended, erase, erasing } from './rig.ts';

const subject = 'ann-x7';
const records = 12_000;

describe.each(modes)('an erasure, %s', (mode) => {
  let database: TestDatabase;
  let dataDir: string;
  let platform: Platform;
  let kill: () => Promise<void>;
  let options: PlatformOptions;
  let sql: Sql;
  const env = { METRIC_HISTORY: 'off', LOG_STORE: 'off', TRACE_HISTORY: 'off' };
  beforeAll(async () => {
    database = await createTestDatabase('partitioned');
    dataDir = await mkdtemp(join(tmpdir(), 'mplp-erasure-'));
    options = { mode, databaseUrl: database.url, dataDir, env };
    if (mode === 'one process') {
      const killed = await startPlatform(options);
      kill = async () => {
        killed.gateway.kill('SIGKILL');
        await once(killed.gateway, 'exit');
      };
      platform = killed;
    } else platform = await hostPlatform(options);
    sql = postgres(database.url, { max: 1, onnotice: () => {} });
  }, 120_000);
  afterAll(async () => {
    await platform?.close();
    await sql?.end();
    await database?.drop();
    await rm(dataDir, { recursive: true, force: true });
  });

  it('goes on where it was when its process was killed, and counts each row once', async () => {
    const boss = await platform.token({ tenant: 'killed', subject: 'boss', roles: ['admin'] });
    const ann = await platform.token({ tenant: 'killed', subject, roles: ['admin'] });
    const creating =
      'mutation ($input: CreateContextInput!) { createContext(input: $input) { context { id } userErrors { code } } }';
    const root = { domain: 'd', environment: 'e' };
    await ask(platform, ann, creating, { input: { title: 'of ann', root } });
    // Until every module has heard of it: what is counted is what is erased.
    await waitUntilQuiet(sql, 'killed');
    await sql`
      INSERT INTO platform.log (tenant_id, id, at, level, module, message, user_id, metadata)
      SELECT 'killed', gen_random_uuid(), now(), 30, 'test', 'record ' || n || ' of ' || ${subject}, ${subject},
        jsonb_build_object('n', n, 'by', ${subject}::text, 'big', 12345678901234567890)
      FROM generate_series(1, ${records}) AS n`;
    const counted = await erase(platform, boss, { subject, dryRun: true });
    const { eraseSubject } = await ask(platform, boss, erasing, { input: { subject } });
    const { id } = eraseSubject.erasure;
    const pagesOf = async () =>
      (
        await sql<{ pages: number; done: boolean; rows: number }[]>`
        SELECT pages, finished_at IS NOT NULL AS done, coalesce((counts->>'log')::int, 0) AS rows
        FROM platform.erasure_progress WHERE id = ${id}`
      )[0];
    if (mode === 'one process') {
      await until(pagesOf, (row) => (row?.rows ?? 0) > 1_000);
      await kill();
      const left = await pagesOf();
      expect(left).toMatchObject({ done: false });
      expect(left!.rows).toBeLessThan(records);
      await platform.close();
      platform = await hostPlatform(options);
    }
    const erased = await ended(platform, boss, id);
    expect(erased.counts).toEqual(expect.arrayContaining([{ module: 'platform', table: 'log', rows: records }]));
    expect(erased.rowCount).toBe(counted.rowCount);
    const [row] = await sql`
      SELECT count(*)::int AS all, count(*) FILTER (WHERE user_id = ${erased.pseudonym} AND metadata->>'by' = ${erased.pseudonym}
        AND message LIKE '%of ' || ${erased.pseudonym} AND metadata->>'big' = '12345678901234567890')::int AS right FROM platform.log WHERE tenant_id = 'killed'`;
    expect(row).toEqual({ all: records, right: records });
    const events =
      await sql`SELECT 1 FROM context.event WHERE tenant_id = 'killed' AND strpos(data::text, ${subject}) > 0`;
    expect(events).toHaveLength(0);
  }, 240_000);
});
