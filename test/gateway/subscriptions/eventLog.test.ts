import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createSqlEventLog } from '#shared/eventLog.ts';
import { createTestEventTable, type EventTable } from './rig/testEventTable.ts';

let table: EventTable;
beforeAll(async () => {
  table = await createTestEventTable();
});
afterAll(() => table.close());

const say = (tenantId: string, streamId: string, text: string, createdAt = new Date()) =>
  table.append({ tenantId, streamId, type: 'dialog.message.sent', data: { text }, createdAt });

describe('event log', () => {
  it('reads one stream of one tenant in order, across partitions, a page at a time', async () => {
    const log = createSqlEventLog({ sqlOf: () => table.sql });
    const [streamId, other] = [randomUUID(), randomUUID()];
    const past = new Date(Date.now() - 86_400_000 * 2);
    const [from, to] = [new Date(past.getTime() - 60_000), new Date(past.getTime() + 60_000)];
    await table.sql.unsafe(
      `create table dialog.event_past partition of dialog.event for values from ('${from.toISOString()}') to ('${to.toISOString()}')`,
    );
    const written = [
      await say('a', streamId, 'one', past),
      await say('a', streamId, 'two', past),
      await say('a', streamId, 'three'),
    ];
    await say('b', streamId, 'of another tenant');
    await say('a', other, 'of another stream');
    const key = { module: 'dialog', tenantId: 'a', streamId } as const;
    expect(await log.read({ ...key, afterSequence: 0, limit: 10 })).toEqual(written);
    expect(await log.read({ ...key, afterSequence: 1, limit: 1 })).toEqual([written[1]]);
    expect(await log.read({ ...key, afterSequence: 3, limit: 10 })).toEqual([]);
    expect(await log.head(key)).toEqual({ lastSequence: 3, oldestKeptSequence: 1 });
  });

  it('tells what is kept after retention dropped a partition, and of a stream that is not there', async () => {
    const log = createSqlEventLog({ sqlOf: () => table.sql });
    const streamId = randomUUID();
    const key = { module: 'dialog', tenantId: 'a', streamId } as const;
    expect(await log.head(key)).toEqual({ lastSequence: 0, oldestKeptSequence: 1 });
    await say('a', streamId, 'one');
    await say('a', streamId, 'two');
    await table.sql`delete from dialog.event where stream_id = ${streamId} and sequence = 1`;
    expect(await log.head(key)).toEqual({ lastSequence: 2, oldestKeptSequence: 2 });
    await table.sql`delete from dialog.event where stream_id = ${streamId}`;
    expect(await log.head(key)).toEqual({ lastSequence: 2, oldestKeptSequence: 3 });
  });

  it('reads the heads of many streams at once, each for its own tenant', async () => {
    const log = createSqlEventLog({ sqlOf: () => table.sql });
    const [first, second] = [randomUUID(), randomUUID()];
    await say('a', first, 'one');
    await say('a', first, 'two');
    await say('b', first, 'theirs');
    await say('a', second, 'one');
    const heads = await log.heads('dialog', [
      { tenantId: 'a', streamId: first },
      { tenantId: 'a', streamId: second },
      { tenantId: 'b', streamId: second },
      { tenantId: 'a', streamId: randomUUID() },
    ]);
    expect(heads.toSorted((x, y) => y.lastSequence - x.lastSequence)).toEqual([
      { tenantId: 'a', streamId: first, lastSequence: 2 },
      { tenantId: 'a', streamId: second, lastSequence: 1 },
    ]);
    expect(await log.heads('dialog', [])).toEqual([]);
  });
});
