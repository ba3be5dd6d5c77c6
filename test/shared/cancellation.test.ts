import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Cancellation, runCancellable, runForAll } from '#shared/cancellation.ts';
import { createSql, type Sql } from '#shared/sql.ts';
import { createTestDatabase } from '../support/database.ts';

let database: Awaited<ReturnType<typeof createTestDatabase>>;
let sql: Sql;
beforeAll(async () => {
  database = await createTestDatabase();
  sql = createSql(database.url, { max: 2, applicationName: 'cancellation' });
});
afterAll(async () => {
  await sql?.end();
  await database?.[Symbol.asyncDispose]();
});

const outcome = (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    () => 'done',
    (error: { code?: string }) => error.code,
  );

describe('a query that is given up', () => {
  it('ends what it has sent, of a transaction too', async () => {
    const cancellation = new Cancellation();
    const running = runCancellable(cancellation, () => [
      outcome(sql.unsafe('SELECT pg_sleep(30)')),
      outcome(sql.begin((tx) => tx.unsafe('SELECT pg_sleep(30)'))),
    ]);
    await new Promise((resolve) => setTimeout(resolve, 200));
    cancellation.cancel();
    expect(await Promise.all(running)).toEqual(['57014', '57014']);
    expect(cancellation.signal.aborted).toBe(true);
    expect(await outcome(sql.unsafe('SELECT 1'))).toBe('done');
  });

  it('sends nothing any more', async () => {
    const cancellation = new Cancellation();
    cancellation.cancel();
    expect(await runCancellable(cancellation, () => outcome(sql.unsafe('SELECT 1')))).toBe('57014');
  });

  it('leaves alone what others wait for, and what has ended', async () => {
    const cancellation = new Cancellation();
    await runCancellable(cancellation, () => sql.unsafe('SELECT 1'));
    const shared = runCancellable(cancellation, () => runForAll(() => outcome(sql.unsafe('SELECT pg_sleep(0.3)'))));
    await new Promise((resolve) => setTimeout(resolve, 50));
    cancellation.cancel();
    expect(await shared).toBe('done');
  });
});
