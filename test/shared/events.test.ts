import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createLocalBus } from '#shared/bus.ts';
import { createConsumer } from '#shared/consumer.ts';
import { readEvents, settledPositionsOf } from '#shared/eventSource.ts';
import type { EventRow } from '#shared/events.ts';
import { createEventTail } from '#shared/eventTail.ts';
import { findIdempotentResponse, idempotencyRecord, isIdempotencyRace } from '#shared/idempotency.ts';
import { appendChange, type Change } from '#shared/outbox.ts';
import { maintainPartitions, sharedPartitions } from '#shared/partitions.ts';
import { createSql, type Sql } from '#shared/sql.ts';
import { createLogger } from '#shared/telemetry.ts';
import { createPrisma } from '../../prisma/client.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';

const logger = createLogger('silent');
let database: TestDatabase;
let sql: Sql;
beforeAll(async () => {
  database = await createTestDatabase();
  sql = createSql(database.url, { applicationName: 'test', max: 8 });
});
afterAll(async () => {
  await sql.end();
  await database.drop();
});

function change(streamIds: readonly string[], marker: string): Change {
  return {
    tenantId: 'demo',
    actor: 'tester',
    events: streamIds.map((streamId) => ({
      streamId,
      type: 'context.updated',
      data: { marker },
      tags: [`Context:${streamId}`],
    })),
    audit: [{ action: 'context.update', resource: 'Context', resourceId: streamIds[0]! }],
  };
}

function append(streamIds: readonly string[], marker: string): Promise<readonly EventRow[]> {
  return sql.begin((tx) => appendChange(tx, 'context', [change(streamIds, marker)])) as Promise<readonly EventRow[]>;
}

async function stored(streamIds: readonly string[]) {
  return sql<{ stream_id: string; sequence: number; event_id: string }[]>`
    SELECT stream_id, sequence, event_id FROM context.event WHERE stream_id = ANY(${streamIds}::uuid[]) ORDER BY stream_id, sequence`;
}

describe('appendChange', () => {
  it('gives each stream a gap-free sequence under concurrency, rolled back writes included', async () => {
    const streams = Array.from({ length: 4 }, () => randomUUID());
    const results = await Promise.all(
      Array.from({ length: 120 }, async (_, index) => {
        // Several streams per change, named in different orders: they are locked in one order all the same.
        const chosen = streams
          .filter((_stream, position) => (index >> position) & 1 || position === index % 4)
          .sort(() => (index % 2 === 0 ? 1 : -1));
        if (index % 7 === 0) {
          await expect(
            sql.begin(async (tx) => {
              await appendChange(tx, 'context', [change(chosen, `rolled back ${index}`)]);
              throw new Error('rolled back');
            }),
          ).rejects.toThrow('rolled back');
          return [];
        }
        return append(chosen, `m${index}`);
      }),
    );
    const rows = await stored(streams);
    const answered = results.flat();
    expect(rows.map((row) => row.event_id).sort()).toEqual(answered.map((event) => event.eventId).sort());
    for (const streamId of streams) {
      const own = rows.filter((row) => row.stream_id === streamId);
      expect(own.map((row) => row.sequence)).toEqual(own.map((_, index) => index + 1));
      for (const event of answered.filter((entry) => entry.streamId === streamId))
        expect(own[event.sequence - 1]!.event_id).toBe(event.eventId);
    }
  });

  it('works inside a Prisma transaction, with jobs and an idempotency record', async () => {
    const prisma = createPrisma(database.url, { applicationName: 'test', max: 2 });
    const streamId = randomUUID();
    const call = { tenantId: 'demo', subject: 'tester', key: 'prisma-1', operation: 'op', input: { a: 1 } };
    const events = await prisma.$transaction((tx) =>
      appendChange(tx, 'context', [
        {
          ...change([streamId], 'prisma'),
          idempotency: idempotencyRecord(call, { ok: true }),
          jobs: [{ task: 'context.test', payload: { streamId }, key: 'one' }],
        },
      ]),
    );
    expect(events).toMatchObject([{ streamId, sequence: 1, tenantId: 'demo', actor: 'tester' }]);
    expect(await sql`SELECT 1 FROM graphile_worker.jobs WHERE key = 'one'`).toHaveLength(1);
    expect(await findIdempotentResponse(sql, 'context', call)).toEqual({ response: { ok: true } });
    await expect(findIdempotentResponse(sql, 'context', { ...call, input: { a: 2 } })).rejects.toMatchObject({
      code: 'IDEMPOTENCY_MISMATCH',
    });
    const again = await prisma
      .$transaction((tx) =>
        appendChange(tx, 'context', [{ ...change([streamId], 'twice'), idempotency: idempotencyRecord(call, {}) }]),
      )
      .catch((error: unknown) => error);
    expect(isIdempotencyRace(again)).toBe(true);
    expect(await stored([streamId])).toHaveLength(1);
    await prisma.$disconnect();
  });
});

describe('consumer', () => {
  it('reads each event once, in order per stream, also past its own failures and with two readers', async () => {
    await sql`CREATE TABLE seen (position bigint GENERATED ALWAYS AS IDENTITY, event_id uuid, stream_id uuid, sequence bigint)`;
    const bus = createLocalBus(() => {});
    let failures = 3;
    const open = () =>
      createConsumer({
        name: 'test.seen',
        module: 'context',
        sql,
        bus,
        logger,
        pollMs: 10,
        pageSize: 7,
        handle: async (events, tx) => {
          for (const event of events)
            await tx`INSERT INTO seen (event_id, stream_id, sequence) VALUES (${event.eventId}, ${event.streamId}, ${event.sequence})`;
          if (failures-- > 0) throw new Error('handler failed');
        },
      });
    const consumers = [await open(), await open()];
    const streams = Array.from({ length: 3 }, () => randomUUID());
    await Promise.all(Array.from({ length: 60 }, (_, index) => append([streams[index % 3]!], `c${index}`)));
    await expect
      .poll(async () => (await sql`SELECT 1 FROM seen WHERE stream_id = ANY(${streams}::uuid[])`).length, {
        timeout: 10_000,
      })
      .toBe(60);
    await Promise.all(consumers.map((consumer) => consumer.close()));
    const rows = await sql<
      { event_id: string; stream_id: string; sequence: number }[]
    >`SELECT event_id, stream_id, sequence FROM seen ORDER BY position`;
    expect(new Set(rows.map((row) => row.event_id)).size).toBe(rows.length);
    for (const streamId of streams)
      expect(rows.filter((row) => row.stream_id === streamId).map((row) => row.sequence)).toEqual(
        Array.from({ length: 20 }, (_, index) => index + 1),
      );
  });
});

describe('settled positions', () => {
  it('order a stream whose transactions began in another order, and hide nothing that commits late', async () => {
    const streamId = randomUUID();
    const other = randomUUID();
    const positions = settledPositionsOf(sql, 'context');
    const after = await positions.reach(5_000);
    let appended!: () => void;
    let finish!: () => void;
    const hasAppended = new Promise<void>((resolve) => (appended = resolve));
    const mayFinish = new Promise<void>((resolve) => (finish = resolve));
    // Has its transaction id first and the stream's lock second; draws a low position of another stream meanwhile.
    const late = sql.begin(async (tx) => {
      await appendChange(tx, 'context', [change([other], 'low position')]);
      appended();
      await mayFinish;
      await appendChange(tx, 'context', [change([streamId], 'second')]);
    });
    await hasAppended;
    await append([streamId], 'first');
    const early = await readEvents(sql, 'context', { after, upTo: await positions.reach(30), limit: 10 });
    expect(early).toEqual([]);
    finish();
    await late;
    const events = await readEvents(sql, 'context', { after, upTo: await positions.reach(5_000), limit: 10 });
    expect(events.map(({ event }) => event.data['marker'])).toEqual(['low position', 'first', 'second']);
  });

  it('are looked at once for all who ask at a time, of whatever module', async () => {
    let statements = 0;
    const counted = new Proxy(sql, {
      get(target, name) {
        if (name === 'unsafe') statements += 1;
        return Reflect.get(target, name);
      },
    });
    const modules = ['context', 'dialog', 'plan', 'role'] as const;
    const followers = modules.flatMap((module) => [
      settledPositionsOf(counted, module),
      settledPositionsOf(counted, module),
    ]);
    await Promise.all(followers.map((positions) => positions.reach(5_000)));
    statements = 0;
    await append([randomUUID()], 'one');
    const reached = await Promise.all(followers.map((positions) => positions.reach(5_000)));
    const [{ drawn }] = (await sql`SELECT last_value AS drawn FROM context.event_position_seq`) as unknown as [
      { drawn: number },
    ];
    expect(reached.slice(0, 2)).toEqual([drawn, drawn]);
    // What is drawn and a transaction id, then what is drawn again; more only where another test's transaction is open.
    expect(statements).toBeGreaterThanOrEqual(3);
    expect(statements).toBeLessThan(followers.length);
  });

  it('pass what a rolled back transaction drew', async () => {
    const positions = settledPositionsOf(sql, 'context');
    const after = await positions.reach(5_000);
    const streamId = randomUUID();
    await sql
      .begin(async (tx) => {
        await appendChange(tx, 'context', [change([streamId], 'never')]);
        throw new Error('rolled back');
      })
      .catch(() => {});
    await append([streamId], 'only');
    const events = await readEvents(sql, 'context', { after, upTo: await positions.reach(5_000), limit: 10 });
    expect(events.map(({ event }) => event.data['marker'])).toEqual(['only']);
  });
});

it('a consumer hears at once what its page brings when the transactions before it have ended', async () => {
  const bus = createLocalBus((error) => {
    throw error;
  });
  const [heard, paged]: [EventRow[], EventRow[]] = [[], []];
  let refusals = 1;
  const streamId = randomUUID();
  const consumer = await createConsumer({
    name: 'test.hears',
    module: 'context',
    sql,
    bus,
    logger,
    pollMs: 10,
    types: ['context.updated'],
    async hear(events) {
      // What cannot be done now comes with the page.
      if (refusals-- > 0) throw new Error('not now');
      heard.push(...events);
    },
    async handle(events) {
      paged.push(...events.filter((event) => event.streamId === streamId));
    },
  });
  const held = Promise.withResolvers<void>();
  const open = sql.begin(async (tx) => {
    await tx`SELECT pg_current_xact_id()`;
    await held.promise;
  });
  const rows: EventRow[] = [];
  for (const marker of ['first', 'second', 'third']) {
    const appended = await append([streamId], marker);
    rows.push(...appended);
    bus.publish([...appended, { ...appended[0]!, eventId: randomUUID(), type: 'context.created' }]);
    await new Promise((resolve) => setImmediate(resolve));
  }
  await expect.poll(() => heard.map(({ eventId }) => eventId)).toEqual(rows.slice(1).map(({ eventId }) => eventId));
  expect(paged).toEqual([]);
  held.resolve();
  await open;
  await expect.poll(() => paged.map(({ eventId }) => eventId)).toEqual(rows.map(({ eventId }) => eventId));
  await consumer.close();
});

describe('event tail', () => {
  it('asks a database that is gone less and less, and goes on where it left once it is back', async () => {
    let isGone = false;
    let refused = 0;
    const going = new Proxy(sql, {
      get(target, name) {
        if (name !== 'unsafe' || !isGone) return Reflect.get(target, name);
        return () => {
          refused += 1;
          return Promise.reject(new Error('gone'));
        };
      },
    });
    const bus = createLocalBus(() => {});
    const tail = await createEventTail({
      bus,
      modules: ['context'],
      sqlOf: () => going,
      logger,
      disconnectedPollMs: 10,
      connectedPollMs: 10,
      onListenerError: () => {},
    });
    const heard: string[] = [];
    tail.subscribe('context', (messages) => {
      for (const message of messages) if ('eventId' in message) heard.push(message.eventId);
    });
    isGone = true;
    await expect.poll(() => refused).toBeGreaterThan(0);
    const [event] = await append([randomUUID()], 'meanwhile');
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    // 20, 40, 80, ... ms between them: a hundred would fit without.
    expect(refused).toBeLessThan(12);
    isGone = false;
    await expect.poll(() => heard, { timeout: 20_000 }).toEqual([event!.eventId]);
    await tail.close();
  });

  it('hands on what the bus lost, once, and nothing twice that it brought', async () => {
    const bus = createLocalBus(() => {});
    const tail = await createEventTail({
      bus,
      modules: ['context'],
      sqlOf: () => sql,
      logger,
      disconnectedPollMs: 20,
      connectedPollMs: 20,
      onListenerError: () => {},
    });
    const heard: string[] = [];
    tail.subscribe('context', (messages) => {
      for (const message of messages) if ('eventId' in message) heard.push(message.eventId);
    });
    const streamId = randomUUID();
    const expected: string[] = [];
    for (let index = 0; index < 40; index += 1) {
      const events = await append([streamId], `t${index}`);
      expected.push(...events.map((event) => event.eventId));
      // Every third event is published as usual; the publisher of the others died after COMMIT.
      if (index % 3 === 0) bus.publish(events);
    }
    await expect.poll(() => heard.length, { timeout: 5_000 }).toBeGreaterThanOrEqual(expected.length);
    await tail.sweep();
    expect([...heard].sort()).toEqual([...expected].sort());
    await tail.close();
  });
});

describe('partitions', () => {
  it('makes those ahead, keeps writes flowing, and drops those past their time', async () => {
    const tables = sharedPartitions(7).filter((table) => table.schema === 'platform');
    const today = new Date();
    const first = await maintainPartitions(sql, tables, today);
    expect(first.created.filter((name) => name.startsWith('platform.event_'))).toHaveLength(8);
    expect(await maintainPartitions(sql, tables, today)).toEqual({ created: [], dropped: [] });
    const later = new Date(today.getTime() + 9 * 86_400_000);
    const second = await maintainPartitions(sql, tables, later);
    // Two days lie more than seven days back from then.
    expect(second.dropped.sort()).toEqual(
      [0, 1].map(
        (days) =>
          `platform.event_${new Date(Date.UTC(today.getUTCFullYear(), today.getUTCMonth(), today.getUTCDate() + days)).toISOString().slice(0, 10).replaceAll('-', '')}`,
      ),
    );
    await Promise.all([maintainPartitions(sql, tables, later), maintainPartitions(sql, tables, later)]);
  });
});
