import { randomUUID } from 'node:crypto';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createLocalBus } from '#shared/bus.ts';
import { type Consumer, type ConsumerOptions, createConsumer } from '#shared/consumer.ts';
import type { EventRow } from '#shared/events.ts';
import { appendChange, type Change } from '#shared/outbox.ts';
import { createSql, type Sql } from '#shared/sql.ts';
import { createLogger } from '#shared/telemetry.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';

const logger = createLogger('silent');
const allTypes = ['plan.created', 'plan.updated', 'plan.deleted', 'plan.paused'];
let database: TestDatabase;
let sql: Sql;
let other: Sql;
beforeAll(async () => {
  database = await createTestDatabase();
  sql = createSql(database.url, { applicationName: 'one', max: 3 });
  other = createSql(database.url, { applicationName: 'two', max: 3 });
  await sql`CREATE TABLE seen (at bigserial, consumer text, event_id uuid, stream_id uuid, sequence int, type text)`;
});
afterAll(async () => {
  await Promise.all([sql.end(), other.end()]);
  await database.drop();
});

const bus = createLocalBus((error) => {
  throw error;
});

function change(streamId: string, types: readonly string[]): Change {
  return {
    tenantId: 'demo',
    actor: 'tester',
    events: types.map((type) => ({ streamId, type, data: { text: 'x'.repeat(50) }, tags: [] })),
    audit: [],
  };
}

async function append(streamId: string, types: readonly string[], isKept = true): Promise<void> {
  const events = await (
    sql.begin(async (tx) => {
      const rows = await appendChange(tx, 'plan', [change(streamId, types)]);
      if (!isKept) throw new Error('taken back');
      return rows;
    }) as Promise<readonly EventRow[]>
  ).catch(() => []);
  bus.publish(events);
}

function open(by: Sql, name: string, options: Partial<ConsumerOptions> = {}): Promise<Consumer> {
  return createConsumer({
    ...{ name, module: 'plan', sql: by, bus, logger, pollMs: 20, pauseMs: 1 },
    async handle(events, tx) {
      for (const { eventId, streamId, sequence, type } of events)
        await tx`INSERT INTO seen (consumer, event_id, stream_id, sequence, type) VALUES (${name}, ${eventId}, ${streamId}, ${sequence}, ${type})`;
    },
    ...options,
  });
}

/** Past failures of its own. */
async function catchUp(consumer: Consumer): Promise<void> {
  for (;;) {
    try {
      return await consumer.catchUp();
    } catch (error) {
      expect(String(error)).toContain('after the commit');
    }
  }
}

const types = fc.array(fc.constantFrom(...allTypes), { minLength: 1, maxLength: 3 });

it('each consumer reads each event of its types once and in order, whoever shares its pages, on two instances', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.option(fc.uniqueArray(fc.constantFrom(...allTypes), { minLength: 1 })), {
        minLength: 1,
        maxLength: 6,
      }),
      fc.array(fc.record({ types, stream: fc.nat(2), isKept: fc.boolean(), waits: fc.nat(4) }), { minLength: 1 }),
      fc.nat(10),
      async (chosen, changes, failures) => {
        const run = randomUUID();
        const streams = [randomUUID(), randomUUID(), randomUUID()];
        let left = failures;
        const consumers = await Promise.all(
          [sql, other].flatMap((by) =>
            chosen.map((only, at) => {
              const options = {
                pageSize: 1 + (at % 3) * 4,
                ...(only === null ? {} : { types: only }),
                afterCommit: () => {
                  if (left-- > 0) throw new Error('after the commit');
                },
              };
              return open(by, `${run}-${at}`, options);
            }),
          ),
        );
        await Promise.all(consumers.map(catchUp));
        await Promise.all(
          changes.map(async ({ types: written, stream, isKept, waits }) => {
            await new Promise((resolve) => setTimeout(resolve, waits * 3));
            await append(streams[stream]!, written, isKept);
          }),
        );
        await Promise.all(consumers.map(catchUp));
        await Promise.all(consumers.map((consumer) => consumer.close()));
        const stored = await sql<
          { event_id: string; stream_id: string; type: string }[]
        >`SELECT event_id, stream_id, type FROM plan.event WHERE stream_id = ANY(${streams}::uuid[]) ORDER BY stream_id, sequence`;
        const [{ last }] = (await sql`SELECT max(position) AS last FROM plan.event`) as unknown as [
          { last: number | null },
        ];
        for (const [at, only] of chosen.entries()) {
          const name = `${run}-${at}`;
          const seen = await sql<
            { event_id: string; stream_id: string }[]
          >`SELECT event_id, stream_id FROM seen WHERE consumer = ${name} AND stream_id = ANY(${streams}::uuid[]) ORDER BY at`;
          for (const streamId of streams) {
            const ofStream = ({ stream_id: id }: { stream_id: string }) => id === streamId;
            const wanted = stored.filter(ofStream).filter(({ type }) => only === null || only.includes(type));
            expect(seen.filter(ofStream).map((row) => row.event_id)).toEqual(wanted.map((row) => row.event_id));
          }
          const [offset] = await sql`SELECT position FROM plan.consumer_offset WHERE consumer = ${name}`;
          expect(offset!['position']).toBeGreaterThanOrEqual(last ?? 0);
        }
      },
    ),
    { numRuns: 25 },
  );
}, 120_000);

it('consumers that events do not concern move on together, without a transaction of their own', async () => {
  let [statements, transactions] = [0, 0];
  const counted = new Proxy(sql, {
    get(target, name) {
      if (name === 'unsafe') statements += 1;
      if (name === 'begin') transactions += 1;
      return Reflect.get(target, name);
    },
  });
  const names = Array.from({ length: 20 }, () => randomUUID());
  const settings = { pollMs: 60_000, types: ['plan.deleted'] };
  const consumers = await Promise.all(names.map((name) => open(counted, name, settings)));
  await Promise.all(consumers.map((consumer) => consumer.catchUp()));
  await append(randomUUID(), ['plan.created']);
  await Promise.all(consumers.map((consumer) => consumer.catchUp()));
  [statements, transactions] = [0, 0];
  await append(randomUUID(), ['plan.created', 'plan.updated']);
  const lagging = async () => {
    const rows = await sql`SELECT consumer FROM plan.consumer_offset
      WHERE consumer = ANY(${names}) AND position < (SELECT max(position) FROM plan.event)`;
    return rows.length;
  };
  await expect.poll(lagging).toBe(0);
  expect(transactions).toBe(0);
  // Looks, one read and one that moves all; more only where a look comes while another transaction is open.
  expect(statements).toBeLessThan(names.length);
  const streamId = randomUUID();
  await append(streamId, ['plan.deleted']);
  await expect
    .poll(async () => (await sql`SELECT 1 FROM seen WHERE consumer = ANY(${names}) AND stream_id = ${streamId}`).length)
    .toBe(names.length);
  await Promise.all(consumers.map((consumer) => consumer.close()));
});

it('an offset that was set back is read again from there', async () => {
  const name = randomUUID();
  const consumer = await open(sql, name, { types: ['plan.paused'] });
  const streamId = randomUUID();
  await append(streamId, ['plan.paused']);
  await consumer.catchUp();
  await sql`UPDATE plan.consumer_offset SET position = 0 WHERE consumer = ${name}`;
  await append(streamId, ['plan.created']);
  await consumer.catchUp();
  const seen = () => sql`SELECT 1 FROM seen WHERE consumer = ${name} AND stream_id = ${streamId}`;
  await expect.poll(async () => (await seen()).length).toBe(2);
  await consumer.close();
});

it('a consumer that is closed in the middle of a look passes over nothing: the next one reads it', async () => {
  const name = randomUUID();
  const streamId = randomUUID();
  const settings = { types: ['plan.paused'] };
  const rounds = 60;
  for (let round = 0; round < rounds; round += 1) {
    const consumer = await open(sql, name, settings);
    await consumer.catchUp();
    await append(streamId, ['plan.paused']);
    await new Promise((resolve) => setTimeout(resolve, (round % 6) * 2));
    await consumer.close();
  }
  const last = await open(sql, name, settings);
  await last.catchUp();
  await last.close();
  const seen = await sql<
    { sequence: number }[]
  >`SELECT sequence FROM seen WHERE consumer = ${name} AND stream_id = ${streamId} ORDER BY at`;
  expect(seen.map(({ sequence }) => Number(sequence))).toEqual(Array.from({ length: rounds }, (_, at) => at + 1));
});
