import { afterAll, beforeAll, expect, test } from 'vitest';
import { readEvents, settledPositionsOf } from '#shared/eventSource.ts';
import { newId } from '#shared/ids.ts';
import { appendChange } from '#shared/outbox.ts';
import { createSql, type Sql } from '#shared/sql.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';

let database: TestDatabase;
let sql: Sql;
beforeAll(async () => {
  database = await createTestDatabase();
  sql = createSql(database.url, { applicationName: 'unsettled', max: 3 });
});
afterAll(async () => {
  await sql?.end();
  await database?.drop();
});

// A running transaction with the highest id of all lies above `xmax` of a snapshot: it was passed over, its event lost.
test('an event of the newest transaction is not passed over while that one is open', async () => {
  const positions = settledPositionsOf(sql, 'context');
  const start = await positions.reach(5_000);
  const streamId = newId();
  await sql.begin(async (tx) => {
    const event = { streamId, type: 'context.updated', data: {}, tags: [] };
    await appendChange(tx, 'context', [{ tenantId: 'one', actor: 'someone', events: [event] }]);
    for (let look = 0; look < 5; look += 1) expect(await positions.advance()).toBe(start);
  });
  await expect.poll(() => positions.reach(50), { timeout: 60_000 }).toBeGreaterThan(start);
  const events = await readEvents(sql, 'context', { after: start, upTo: await positions.reach(50), limit: 10 });
  expect(events.map(({ event }) => event.streamId)).toEqual([streamId]);
});
