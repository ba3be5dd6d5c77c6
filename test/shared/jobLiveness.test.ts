import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createJobRunner, type JobRunner } from '#shared/jobs.ts';
import { createSql, type Sql } from '#shared/sql.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';

const logger = { warn() {}, error() {}, debug() {}, info() {} } as never;
/** Time enough on a full machine for a session to be opened anew between two looks. */
const everyMs = 2_000;
let database: TestDatabase;
let sql: Sql;
/** Times that the job was begun, by the process that holds it and by the other one. */
let held = 0;
let taken = 0;
let holder: ChildProcess;
let runner: JobRunner;
const locks = () => sql`SELECT 1 FROM graphile_worker._private_jobs WHERE locked_by IS NOT NULL`;
const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

beforeAll(async () => {
  database = await createTestDatabase();
  sql = createSql(database.url, { max: 2, applicationName: 'test' });
  holder = spawn(process.execPath, [fileURLToPath(new URL('./heldJob.ts', import.meta.url)), database.url], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  // The queue has its tables once a runner has been there; this one takes nothing.
  runner = await createJobRunner({ url: database.url, logger, lookEveryMs: everyMs, tasks: {} });
  await sql`SELECT graphile_worker.add_job('held', '{}'::json)`;
  holder.stdout!.on('data', () => {
    held += 1;
  });
  await once(holder.stdout!, 'data');
  await runner.close();
  runner = await createJobRunner({
    url: database.url,
    logger,
    lookEveryMs: everyMs,
    tasks: {
      held: async () => {
        taken += 1;
      },
    },
  });
}, 60_000);
afterAll(async () => {
  holder.kill('SIGKILL');
  await runner?.close();
  await sql?.end();
  await database?.[Symbol.asyncDispose]();
});

test('a job stays with a process that lives, though its session broke, and is taken over from one that is gone', async () => {
  // What says that it lives breaks: it is back before the second look.
  const [broken] = await sql`
    SELECT count(pg_terminate_backend(l.pid))::int AS count FROM (SELECT DISTINCT pid FROM pg_locks
      WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())) l`;
  expect(broken!['count']).toBeGreaterThan(0);
  await sleep(3 * everyMs);
  expect([held, taken, (await locks()).length]).toEqual([1, 0, 1]);
  holder.kill('SIGKILL');
  await expect.poll(() => taken, { timeout: 20_000 }).toBe(1);
  await expect.poll(async () => (await locks()).length, { timeout: 10_000 }).toBe(0);
}, 60_000);
