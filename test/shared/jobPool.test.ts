import { runMigrations } from 'graphile-worker';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createJobRunner, type JobRunner } from '#shared/jobs.ts';
import { createSql, type Sql } from '#shared/sql.ts';
import { startTemporaryPostgres } from '../../prisma/embedded.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';

const total = 600;
const logger = { warn() {}, error() {}, debug() {}, info() {} } as never;
const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
let database: TestDatabase;
let sql: Sql;
let runner: JobRunner;
/** Attempts that got to their end, by number of the job. */
const attempts = new Map<number, number>();
const unhandled: unknown[] = [];
const onUnhandled = (error: unknown) => void unhandled.push(error);

beforeAll(async () => {
  process.on('unhandledRejection', onUnhandled);
  database = await createTestDatabase();
  sql = createSql(database.url, { max: 2, applicationName: 'test' });
  runner = await createJobRunner({
    url: database.url,
    logger,
    lookEveryMs: 500,
    tasks: {
      once: async (payload) => {
        const { n } = payload as { n: number };
        await sleep(10);
        attempts.set(n, (attempts.get(n) ?? 0) + 1);
        // Every third fails at first, and its failure is told over the same connections.
        if (n % 3 === 0 && attempts.get(n) === 1) throw new Error('the first time it fails');
      },
    },
  });
}, 60_000);
afterAll(async () => {
  process.off('unhandledRejection', onUnhandled);
  await runner?.close();
  await sql?.end();
  await database?.[Symbol.asyncDispose]();
});

test('jobs end, and the process lives, while every connection of jobs is cut again and again', async () => {
  await sql`SELECT count(graphile_worker.add_job('once', json_build_object('n', n), max_attempts := 25))
    FROM generate_series(1, ${total}) n`;
  const left = async () => {
    // What failed is due again at once.
    await sql`UPDATE graphile_worker._private_jobs SET run_at = now() WHERE locked_by IS NULL AND run_at > now()`;
    const [row] = await sql`SELECT count(*)::int AS count FROM graphile_worker._private_jobs`;
    return row!['count'] as number;
  };
  let cuts = 0;
  for (const until = Date.now() + 60_000; (await left()) > 0 && Date.now() < until; ) {
    const [cut] = await sql`SELECT count(pg_terminate_backend(pid))::int AS count FROM pg_stat_activity
      WHERE application_name = 'mplp-jobs' AND datname = current_database()`;
    cuts += cut!['count'] as number;
    await sleep(100);
  }
  expect(await left()).toBe(0);
  expect(cuts).toBeGreaterThan(20);
  expect(attempts.size).toBe(total);
  for (const [n, count] of attempts) expect(count, String(n)).toBeGreaterThanOrEqual(n % 3 === 0 ? 2 : 1);
  expect(unhandled).toEqual([]);
}, 120_000);

test('a runner is closed while its database is away, and a job that ends then is nobody’s error', async () => {
  const server = await startTemporaryPostgres();
  const ending = Promise.withResolvers<void>();
  const begun = Promise.withResolvers<void>();
  try {
    await runMigrations({ connectionString: server.url });
    const apart = await createJobRunner({
      url: server.url,
      logger,
      tasks: {
        held: async () => {
          begun.resolve();
          await ending.promise;
        },
      },
    });
    const db = createSql(server.url, { max: 1, applicationName: 'test' });
    await db`SELECT graphile_worker.add_job('held', '{}'::json)`;
    await begun.promise;
    await db.end();
    await server.stop();
    const closed = apart.close();
    ending.resolve();
    await closed;
  } finally {
    ending.resolve();
    await server.stop();
  }
  await sleep(500);
  expect(unhandled).toEqual([]);
}, 60_000);
