import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { openSocket, openStream, sseResults, until } from './rig/clients.ts';
import { createRig, type Rig } from './rig/index.ts';
import { createTestEventTable, type EventTable } from './rig/testEventTable.ts';

const query =
  'subscription ($d: ID!, $after: String) { messageAdded(dialogId: $d, after: $after) { cursor sequence message { text } } }';
const graceMs = 600;

let table: EventTable;
let rig: Rig;
let dialog: string;
beforeAll(async () => {
  table = await createTestEventTable();
});
afterAll(() => table.close());
const open = (slowConsumerGraceMs: number) =>
  createRig({ table, config: { maxBufferedBytes: 256 * 1024, slowConsumerGraceMs } });
beforeEach(async () => {
  rig = await open(graceMs);
  dialog = randomUUID();
  await rig.commit(dialog, 'first');
});
afterEach(() => rig.close());

type Result = { data: { messageAdded: { cursor: string; sequence: number } } };
const sequencesOf = (results: readonly unknown[]): number[] =>
  results.map((result) => (result as Result).data.messageAdded.sequence);

/** Says long things until somebody is cut; the number of the last event. */
async function flood(): Promise<number> {
  for (let index = 0; index < 400 && rig.counts.cuts === 0; index++) await rig.say(dialog, 'x'.repeat(100_000));
  expect(rig.counts.cuts).toBe(1);
  const last = await rig.say(dialog, 'after the cut');
  return last.sequence;
}

describe('a client that does not read', () => {
  it('is cut with a cursor, keeps its socket once it reads on, and resumes without loss', async () => {
    // The other one is waited for meanwhile, however long that takes.
    await rig.close();
    rig = await open(60_000);
    const slow = await openSocket(rig.webSocketUrl);
    const brisk = await openSocket(rig.webSocketUrl);
    slow.subscribe('1', query, { d: dialog });
    brisk.subscribe('1', query, { d: dialog });
    await until(() => rig.hub.stats().subscriptions === 2, 'the subscriptions');
    slow.socket.pause();
    const last = await flood();
    await until(() => brisk.results('1').length === last - 1, 'the other one, undisturbed');
    slow.socket.resume();
    await until(() => slow.messages('1').at(-1)?.type === 'error', 'the error');
    const before = sequencesOf(slow.results('1'));
    expect(before.length).toBeLessThan(last - 1);
    expect(slow.messages('1').at(-1)).toMatchObject({
      payload: [{ extensions: { code: 'SLOW_CONSUMER', retryable: true } }],
    });
    const [error] = (slow.messages('1').at(-1)?.payload ?? []) as { extensions: { resumeAfter: string } }[];
    slow.subscribe('2', query, { d: dialog, after: error?.extensions.resumeAfter });
    await until(() => sequencesOf(slow.results('2')).at(-1) === last, 'the rest');
    expect([...before, ...sequencesOf(slow.results('2'))]).toEqual(
      Array.from({ length: last - 1 }, (_, index) => index + 2),
    );
    slow.close();
    brisk.close();
  });

  it('is cut during 100,000 events, of which the other one misses none', async () => {
    await rig.close();
    rig = await open(60_000);
    const slow = await openSocket(rig.webSocketUrl);
    const brisk = await openSocket(rig.webSocketUrl);
    slow.subscribe('1', query, { d: dialog });
    brisk.subscribe('1', query, { d: dialog });
    await until(() => rig.hub.stats().subscriptions === 2, 'the subscriptions');
    slow.socket.pause();
    const told = await rig.commit(dialog, 'x'.repeat(200));
    const [count, batch] = [100_000, 500];
    let heard = 0;
    brisk.socket.on('message', () => {
      heard += 1;
    });
    for (let from = 0; from < count; from += batch) {
      rig.bus.publish(
        Array.from({ length: batch }, (_, at) => ({
          ...told,
          eventId: randomUUID(),
          sequence: told.sequence + from + at,
        })),
      );
      // As fast as it reads: the bound is one for both.
      while (heard < from + batch) await new Promise((resolve) => setImmediate(resolve));
    }
    expect(rig.counts.cuts).toBe(1);
    expect(sequencesOf(brisk.results('1'))).toEqual(Array.from({ length: count }, (_, at) => told.sequence + at));
    slow.socket.resume();
    await until(() => slow.messages('1').at(-1)?.type === 'error', 'the error');
    const got = sequencesOf(slow.results('1'));
    expect(got.length).toBeLessThan(count / 2);
    expect(got).toEqual(got.map((_, at) => told.sequence + at));
    expect(slow.messages('1').at(-1)).toMatchObject({
      payload: [{ extensions: { code: 'SLOW_CONSUMER', resumeAfter: expect.any(String) } }],
    });
    slow.close();
    brisk.close();
  }, 120_000);

  it('is closed with 4290 and the cursor when it stays so', async () => {
    const slow = await openSocket(rig.webSocketUrl);
    slow.subscribe('1', query, { d: dialog });
    await until(() => rig.hub.stats().subscriptions === 1, 'the subscription');
    slow.socket.pause();
    await flood();
    await new Promise((resolve) => setTimeout(resolve, graceMs * 1.5));
    slow.socket.resume();
    const { code, reason } = await slow.closed;
    const cursor = (slow.results('1').at(-1) as Result).data.messageAdded.cursor;
    expect({ code, reason }).toEqual({ code: 4290, reason: `SLOW_CONSUMER resumeAfter=${cursor}` });
  });

  it('is replayed to at its own pace', async () => {
    for (let index = 0; index < 80; index++) await rig.commit(dialog, 'x'.repeat(100_000));
    const slow = await openSocket(rig.webSocketUrl);
    const after = (await rig.commit(dialog, 'mark')).sequence;
    slow.socket.pause();
    const { encodeCursor } = await import('#shared/cursor.ts');
    slow.subscribe('1', query, { d: dialog, after: encodeCursor(dialog, 1) });
    await new Promise((resolve) => setTimeout(resolve, graceMs / 2));
    slow.socket.resume();
    await until(() => sequencesOf(slow.results('1')).at(-1) === after, 'all');
    expect(rig.counts.cuts).toBe(0);
    slow.close();
  });

  it('gets no more answers to queries than fit the bound', async () => {
    const slow = await openSocket(rig.webSocketUrl);
    slow.socket.pause();
    for (let index = 0; index < 200; index++) {
      slow.subscribe(`q${index}`, 'query large { message(id: 1) { id } }');
      await new Promise((resolve) => setImmediate(resolve));
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
    slow.socket.resume();
    await until(
      () => slow.messages().filter(({ type }) => type === 'complete' || type === 'error').length === 200,
      'an answer to each',
    );
    const refused = slow.messages().filter(({ type }) => type === 'error');
    expect(refused.length).toBeGreaterThan(50);
    expect(refused[0]).toMatchObject({ payload: [{ extensions: { code: 'SLOW_CONSUMER' } }] });
    slow.close();
  });

  it('is cut over server-sent events alike', async () => {
    const slow = await openStream(rig.url, 'text/event-stream', { query, variables: { d: dialog } });
    await until(() => rig.hub.stats().subscriptions === 1, 'the subscription');
    slow.response.pause();
    const last = await flood();
    slow.response.resume();
    await slow.ended;
    const results = sseResults(slow.text()).map((text): unknown => JSON.parse(text));
    expect(results.pop()).toMatchObject({
      errors: [
        { extensions: { code: 'SLOW_CONSUMER', resumeAfter: (results.at(-1) as Result).data.messageAdded.cursor } },
      ],
    });
    const seen = sequencesOf(results);
    expect(seen).toEqual(Array.from({ length: seen.length }, (_, index) => index + 2));
    expect(seen.length).toBeLessThan(last - 1);
  });
});
