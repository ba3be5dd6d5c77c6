import fc from 'fast-check';
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
    expect(await outcome(sql.unsafe('SELECT 1'))).toBe('done');
  });

  it('sends nothing any more', async () => {
    const cancellation = new Cancellation();
    cancellation.cancel();
    const send = () => runCancellable(cancellation, () => outcome((async () => await sql.unsafe('SELECT 1'))()));
    expect(await Promise.all(Array.from({ length: 20 }, send))).toEqual(Array(20).fill('57014'));
    const inside = runCancellable(cancellation, () => outcome(sql.begin((tx) => tx.unsafe('SELECT 1'))));
    expect(await inside).toBe('57014');
    // Every connection of the pool is still there.
    const all = Array.from({ length: 8 }, () => outcome(sql.unsafe('SELECT pg_sleep(0.05)')));
    expect(await Promise.all(all)).toEqual(Array(8).fill('done'));
  });

  it('gives no other query its answer, and ends no other query, however they share connections', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(
          fc.record({
            sleepMs: fc.constantFrom(0, 0, 0, 1, 20, 2_000),
            givenUpAfterMs: fc.option(fc.integer({ min: 0, max: 120 })),
            inTransaction: fc.boolean(),
          }),
          { minLength: 5, maxLength: 40 },
        ),
        async (queries) => {
          await Promise.all(
            queries.map(async ({ sleepMs, givenUpAfterMs, inTransaction }, at) => {
              // What nobody gives up is short.
              const seconds = (givenUpAfterMs === null ? Math.min(sleepMs, 20) : sleepMs) / 1_000;
              const cancellation = new Cancellation();
              const text = `SELECT $1::int AS n, pg_sleep($2)::text AS slept, array_fill($1::int, ARRAY[$1::int]) AS filled`;
              const answer = runCancellable(cancellation, async () =>
                inTransaction
                  ? await sql.begin((tx) => tx.unsafe(text, [at, seconds], { prepare: true }))
                  : await sql.unsafe(text, [at, seconds], { prepare: true }),
              ).then(
                (rows) => [...(rows as Iterable<unknown>)],
                (error: { code?: string }) => error.code,
              );
              if (givenUpAfterMs !== null) setTimeout(() => cancellation.cancel(), givenUpAfterMs);
              const own = [{ n: at, slept: '', filled: Array(at).fill(at) }];
              if (givenUpAfterMs === null) expect(await answer).toEqual(own);
              else expect(['57014', own]).toContainEqual(await answer);
            }),
          );
        },
      ),
      { numRuns: 12 },
    );
    expect(await outcome(sql.unsafe('SELECT 1'))).toBe('done');
  }, 120_000);

  it('leaves alone what others wait for, and what has ended', async () => {
    const cancellation = new Cancellation();
    await runCancellable(cancellation, () => sql.unsafe('SELECT 1'));
    const shared = runCancellable(cancellation, () => runForAll(() => outcome(sql.unsafe('SELECT pg_sleep(0.3)'))));
    await new Promise((resolve) => setTimeout(resolve, 50));
    cancellation.cancel();
    expect(await shared).toBe('done');
  });
});
