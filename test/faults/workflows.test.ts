import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Sql } from 'postgres';
import { afterAll, beforeAll, expect, inject, it } from 'vitest';
import postgres from '#shared/postgresDriver.ts';
import { type EmbeddedPostgres, startTemporaryPostgres } from '../../prisma/embedded.ts';
import {
  type HostedPlatform,
  hostPlatform,
  type OwnPlatform,
  type PlatformOptions,
  startPlatform,
} from '../support/platform.ts';
import { createWorkflowLoad } from './workflowLoad.ts';

const total = 500;

/** Processes end without warning, so the server syncs every commit to disk. */
let server: EmbeddedPostgres;
let folder: string;
let sql: Sql;
beforeAll(async () => {
  server = await startTemporaryPostgres();
  folder = await mkdtemp(join(tmpdir(), 'mplp-workflows-'));
  sql = postgres(server.url, { max: 2, onnotice: () => {}, connection: { application_name: 'watcher' } });
});
afterAll(async () => {
  await sql?.end();
  await server.stop();
  await rm(folder, { recursive: true, force: true });
});

function kill(platform: OwnPlatform): Promise<void> {
  return new Promise((resolve) => {
    platform.gateway.once('exit', () => resolve());
    platform.gateway.kill('SIGKILL');
  });
}

it('500 workflows end, each effect once, while workers are killed and connections terminated', {
  timeout: 900_000,
}, async () => {
  const redisUrl = inject('redisUrl');
  const options: PlatformOptions = {
    databaseUrl: server.url,
    dataDir: folder,
    env: { REDIS_URL: redisUrl, CORE_LEASE_MS: '3000', CORE_WORKER_SLOTS: '16', TRACE_HISTORY: 'off' },
  };
  const killed = [await startPlatform(options), await startPlatform(options)] as const;
  const platforms: HostedPlatform[] = [...killed];
  const load = createWorkflowLoad({ sql, platforms, total, cpuCores: 6 });
  const { reach } = load;
  const starting = await load.start(10);
  const faults = (async () => {
    await reach(60);
    await kill(killed[0]);
    platforms[0] = await hostPlatform(options);
    await reach(200);
    await sql`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'mplp%'`;
    await reach(320);
    await kill(killed[1]);
    platforms[1] = await hostPlatform(options);
    await reach(400);
    await sql`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'mplp%'`;
  })();
  const ids = await Promise.all(starting);
  await faults;
  await reach(total);

  await load.expectWhole(ids);
  const lapsed = await sql<
    { count: number }[]
  >`SELECT count(*)::int AS count FROM core.history WHERE type = 'step.lapsed'`;
  // The faults have met running steps: otherwise this shows nothing.
  expect(lapsed[0]!.count).toBeGreaterThan(0);
  await Promise.all(platforms.map((platform) => platform.close()));
});
