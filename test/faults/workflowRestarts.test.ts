import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import postgres from '#shared/postgresDriver.ts';
import { startEmbeddedPostgres } from '../../prisma/embedded.ts';
import { hostPlatform } from '../support/platform.ts';
import { startRedis } from '../support/redis.ts';
import { createWorkflowLoad } from './workflowLoad.ts';

const total = 60;

it('workflows end, each effect once, while PostgreSQL and Redis are stopped and started again', async () => {
  await using own = new AsyncDisposableStack();
  const dataDir = await mkdtemp(join(tmpdir(), 'mplp-workflow-restarts-'));
  own.defer(() => rm(dataDir, { recursive: true, force: true }));
  const redis = own.use(await startRedis());
  let server = await startEmbeddedPostgres({ dataDir: join(dataDir, 'pg') });
  own.defer(() => server.remove());
  const sql = postgres(server.url, { max: 2, onnotice: () => {}, connection: { application_name: 'watcher' } });
  own.defer(() => sql.end({ timeout: 5 }));
  const env = { REDIS_URL: redis.url, CORE_LEASE_MS: '3000', CORE_WORKER_SLOTS: '8', TRACE_HISTORY: 'off' };
  const platform = own.use(await hostPlatform({ databaseUrl: server.url, dataDir, env }));
  const load = createWorkflowLoad({ sql, platforms: [platform], total, cpuCores: 2 });
  const starting = await load.start(50);
  const running = async () => {
    const [row] = await sql<
      { count: number }[]
    >`SELECT count(*)::int AS count FROM core.step_execution WHERE status = 'running'`;
    return row!.count;
  };

  await load.reach(5);
  await redis.kill();
  await load.reach(12);
  await redis.restart();
  await load.reach(18);
  // Steps are running: their outcomes cannot be stored, their leases go on being wanted.
  await expect.poll(running, { timeout: 60_000, interval: 10 }).toBeGreaterThan(0);
  await server.stop();
  await redis.restart();
  await new Promise((resolve) => setTimeout(resolve, 1_000));
  server = await startEmbeddedPostgres({ dataDir: join(dataDir, 'pg') });
  await load.reach(40);
  await redis.kill();
  await server.stop();
  server = await startEmbeddedPostgres({ dataDir: join(dataDir, 'pg') });
  await redis.restart();
  const ids = await Promise.all(starting);
  await load.reach(total);
  await load.expectWhole(ids);
}, 300_000);
