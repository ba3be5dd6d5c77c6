import { randomBytes } from 'node:crypto';
import pg from 'pg';
import type { TestProject } from 'vitest/node';
import { startTemporaryPostgres } from '../../prisma/embedded.ts';
import { runAdmin } from '../../prisma/scratch.ts';
import { requireRedis, startRedis } from './redis.ts';
import { offerSharedPlatforms } from './sharedPlatforms.ts';
import { buildTemplates } from './template.ts';

/**
 * Starts PostgreSQL and Redis once for the run, or uses DATABASE_URL and REDIS_URL, and answers with what ends them.
 * The shared server does not sync to disk: its data is deleted with it. Tests that kill processes start their own.
 */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const log = (line: string) => console.log(`[tests] ${line}`);
  const runId = randomBytes(4).toString('hex');
  const givenRedis = process.env['REDIS_URL'];
  if (!givenRedis) await requireRedis(log);
  await using started = new AsyncDisposableStack();

  const givenDatabase = process.env['DATABASE_URL'];
  const server = givenDatabase ? null : started.use(await startTemporaryPostgres({ volatile: true }));
  const databaseUrl = server?.url ?? givenDatabase!;
  const redisUrl = givenRedis || started.use(await startRedis()).url;
  const templates = await buildTemplates(databaseUrl, log);
  if (server === null) started.defer(() => dropTestDatabases(databaseUrl, runId));
  const shared = started.use(
    await offerSharedPlatforms(databaseUrl, { template: templates.partitioned, prefix: `mplp_test_${runId}` }),
  );

  project.provide('databaseUrl', databaseUrl);
  project.provide('redisUrl', redisUrl);
  project.provide('templates', templates);
  project.provide('runId', runId);
  project.provide('sharedPlatforms', shared.url);
  const running = started.move();
  return () => running.disposeAsync();
}

/** Databases that tests of this run left on a server that stays. */
async function dropTestDatabases(databaseUrl: string, runId: string): Promise<void> {
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  const { rows } = await client
    .query<{ datname: string }>('SELECT datname FROM pg_database WHERE datname LIKE $1', [`mplp_test_${runId}_%`])
    .finally(() => client.end());
  for (const { datname } of rows)
    await runAdmin(databaseUrl, `DROP DATABASE IF EXISTS ${pg.escapeIdentifier(datname)} WITH (FORCE)`);
}
