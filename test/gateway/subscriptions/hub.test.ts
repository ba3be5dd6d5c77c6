import { randomUUID } from 'node:crypto';
import { createClient } from 'graphql-ws';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { encodeCursor } from '#shared/cursor.ts';
import type { EventRow } from '#shared/events.ts';
import { openSocket, until } from './rig/clients.ts';
import { createRig, type Rig, tenantId } from './rig/index.ts';
import { createTestEventTable, type EventTable } from './rig/testEventTable.ts';

const query =
  'subscription ($d: ID!, $after: String) { messageAdded(dialogId: $d, after: $after) { cursor sequence message { text } } }';

let table: EventTable;
let rig: Rig;
let dialog: string;
beforeAll(async () => {
  table = await createTestEventTable();
});
afterAll(() => table.close());
beforeEach(async () => {
  rig = await createRig({ table });
  dialog = randomUUID();
  await rig.commit(dialog, 'first');
});
afterEach(() => rig.close());

const started = (count: number) => until(() => rig.hub.stats().subscriptions === count, `${count} subscriptions`);
/** Subscriptions are counted when admitted; those without a cursor take part from the same turn on. */
const texts = (results: unknown[]): unknown[] =>
  results.map(
    (result) => (result as { data: { messageAdded: { message: { text: string } } } }).data.messageAdded.message.text,
  );

describe('live', () => {
  it('delivers what comes after the subscription, to a client of graphql-ws', async () => {
    const client = createClient({
      url: rig.webSocketUrl,
      webSocketImpl: WebSocket,
      connectionParams: { authorization: 'Bearer ann' },
    });
    const iterator = client.iterate({ query, variables: { d: dialog } });
    const first = iterator.next();
    await started(1);
    await rig.say(dialog, 'hello');
    expect((await first).value).toEqual({
      data: { messageAdded: { cursor: encodeCursor(dialog, 2), sequence: 2, message: { text: 'hello' } } },
    });
    await iterator.return?.();
    await started(0);
    expect(rig.hub.stats()).toEqual({ subscriptions: 0, groups: 0, streams: 0 });
    await client.dispose();
  });

  it('keeps many operations on one socket apart, and computes equal ones once', async () => {
    const a = await openSocket(rig.webSocketUrl);
    const other = randomUUID();
    await rig.commit(other, 'x');
    a.subscribe('one', query, { d: dialog });
    a.subscribe('"two"', query.replaceAll('$d', '$dialog').replace('($dialog: ID!, ', '($dialog: ID!, '), { dialog });
    a.subscribe('three', query, { d: dialog, after: encodeCursor(dialog, 1) });
    a.subscribe('four', query, { d: other });
    await started(4);
    expect(rig.hub.stats()).toMatchObject({ groups: 3, streams: 2 });
    await rig.say(dialog, 'hello');
    await rig.say(other, 'there');
    await until(() => a.messages().filter(({ type }) => type === 'next').length === 4, 'four results');
    expect(texts(a.results('one'))).toEqual(['hello']);
    expect(texts(a.results('"two"'))).toEqual(['hello']);
    expect(texts(a.results('three'))).toEqual(['hello']);
    expect(texts(a.results('four'))).toEqual(['there']);
    a.close();
  });

  it('answers a client subscription text byte for byte: id spliced before one payload', async () => {
    const a = await openSocket(rig.webSocketUrl);
    a.subscribe('äé"', query, { d: dialog });
    await started(1);
    await rig.say(dialog, '€');
    await until(() => a.raw.length === 2, 'a message');
    expect(a.raw[1]).toBe(
      `{"id":"äé\\"","type":"next","payload":{"data":{"messageAdded":{"cursor":"${encodeCursor(dialog, 2)}","sequence":2,"message":{"text":"€"}}}}}`,
    );
    a.close();
  });

  it('writes to a socket once for all events of a turn, of one stream or of several', async () => {
    const other = randomUUID();
    await rig.commit(other, 'x');
    const a = await openSocket(rig.webSocketUrl);
    a.subscribe('one', query, { d: dialog });
    a.subscribe('two', query, { d: other });
    await started(2);
    const before = rig.writes;
    // More than are fetched at once where something has to be fetched.
    const texts20 = Array.from({ length: 20 }, (_, index) => `of one ${index}`);
    const burst: EventRow[] = [];
    for (const text of texts20) burst.push(await rig.commit(dialog, text));
    rig.bus.publish(burst);
    await until(() => a.results('one').length === 20, 'a burst of one stream');
    expect(texts(a.results('one'))).toEqual(texts20);
    expect(rig.writes).toBe(before + 1);

    rig.bus.publish([await rig.commit(dialog, 'here'), await rig.commit(other, 'there')]);
    await until(() => a.results('one').length === 21 && a.results('two').length === 1, 'both');
    expect(rig.writes).toBe(before + 2);
    a.close();
  });

  it('frames payloads of every length class', async () => {
    const a = await openSocket(rig.webSocketUrl);
    a.subscribe('1', 'subscription ($d: ID!) { messageAdded(dialogId: $d) { message { text } } }', { d: dialog });
    await started(1);
    const lengths = [0, 20, 60, 100, 65_400, 65_500, 70_000];
    const events = await Promise.all(lengths.map((length) => rig.commit(dialog, 'x'.repeat(length))));
    rig.bus.publish(events.toSorted((x, y) => x.sequence - y.sequence));
    await until(() => a.results('1').length === lengths.length, 'all lengths');
    expect(
      texts(a.results('1'))
        .map((text) => String(text).length)
        .sort((x, y) => x - y),
    ).toEqual(lengths);
    a.close();
  });

  it('lets the gate skip and end, with nothing after the end', async () => {
    const ann = await openSocket(rig.webSocketUrl);
    const bob = await openSocket(rig.webSocketUrl, 'Bearer bob');
    ann.subscribe('1', query, { d: dialog });
    bob.subscribe('1', query, { d: dialog });
    await started(2);
    await rig.say(dialog, 'for ann', { hiddenFrom: 'bob' });
    await rig.say(dialog, 'for both');
    const removal = await table.append({
      tenantId,
      streamId: dialog,
      type: 'dialog.participant.removed',
      data: { subject: 'bob' },
    });
    const late = await rig.commit(dialog, 'after removal');
    rig.bus.publish([removal, late]);
    await until(() => ann.results('1').length === 3 && bob.messages('1').at(-1)?.type === 'complete', 'the end');
    expect(texts(ann.results('1'))).toEqual(['for ann', 'for both', 'after removal']);
    expect(texts(bob.results('1'))).toEqual(['for both']);
    expect(rig.hub.stats().subscriptions).toBe(1);
    ann.close();
    bob.close();
  });

  it('applies the gate to what is replayed as well', async () => {
    await rig.commit(dialog, 'seen');
    await table.append({ tenantId, streamId: dialog, type: 'dialog.participant.removed', data: { subject: 'bob' } });
    await rig.commit(dialog, 'not seen');
    const bob = await openSocket(rig.webSocketUrl, 'Bearer bob');
    bob.subscribe('1', query, { d: dialog, after: encodeCursor(dialog, 0) });
    await until(() => bob.messages('1').at(-1)?.type === 'complete', 'the end');
    expect(texts(bob.results('1'))).toEqual(['first', 'seen']);
    bob.close();
  });

  it('passes ephemeral events by, and ends them with membership', async () => {
    const bob = await openSocket(rig.webSocketUrl, 'Bearer bob');
    bob.subscribe('t', 'subscription ($d: ID!) { typing(dialogId: $d) { subject } }', { d: dialog });
    await started(1);
    const blink = {
      tenantId,
      module: 'dialog',
      streamId: dialog,
      type: 'dialog.typing',
      actor: 'ann',
      data: {},
      createdAt: new Date().toISOString(),
    } as const;
    rig.bus.publish([blink]);
    await until(() => bob.results('t').length === 1, 'typing');
    expect(bob.results('t')).toEqual([{ data: { typing: { subject: 'ann' } } }]);
    rig.bus.publish([
      await table.append({ tenantId, streamId: dialog, type: 'dialog.participant.removed', data: { subject: 'bob' } }),
      blink,
    ]);
    await until(() => bob.messages('t').at(-1)?.type === 'complete', 'the end');
    expect(bob.results('t')).toHaveLength(1);
    bob.close();
  });
});

describe('what the bus loses', () => {
  it('is read from the log when a later event shows the gap', async () => {
    const a = await openSocket(rig.webSocketUrl);
    a.subscribe('1', query, { d: dialog });
    await started(1);
    await rig.commit(dialog, 'lost');
    await rig.say(dialog, 'seen');
    await until(() => a.results('1').length === 2, 'both');
    expect(texts(a.results('1'))).toEqual(['lost', 'seen']);
    expect(rig.counts.filled.live).toBeGreaterThanOrEqual(1);
    a.close();
  });

  it('is polled while the bus is not connected', async () => {
    const a = await openSocket(rig.webSocketUrl);
    a.subscribe('1', query, { d: dialog });
    await started(1);
    rig.bus.connected = false;
    rig.bus.carries = false;
    await rig.say(dialog, 'polled');
    await until(() => a.results('1').length === 1, 'the event');
    expect(rig.counts.filled.poll).toBe(1);
    a.close();
  });

  it('is swept up even when the bus says it is connected', async () => {
    await rig.close();
    rig = await createRig({ table, config: { sweepIntervalMs: 30 } });
    const a = await openSocket(rig.webSocketUrl);
    a.subscribe('1', query, { d: dialog });
    await started(1);
    rig.bus.carries = false;
    await rig.say(dialog, 'swept');
    await until(() => a.results('1').length === 1, 'the event');
    expect(rig.counts.filled.sweep).toBe(1);
    a.close();
  });

  it('is asked for again when the log does not answer', async () => {
    await rig.close();
    let failures = 0;
    rig = await createRig({
      table,
      config: { sweepIntervalMs: 20 },
      wrapLog: (log) => ({
        ...log,
        read: (options) => (failures++ < 3 ? Promise.reject(new Error('connection lost')) : log.read(options)),
      }),
    });
    const a = await openSocket(rig.webSocketUrl);
    a.subscribe('1', query, { d: dialog });
    await started(1);
    await rig.commit(dialog, 'lost');
    await rig.say(dialog, 'seen');
    await until(() => a.results('1').length === 2, 'both');
    expect(texts(a.results('1'))).toEqual(['lost', 'seen']);
    expect(failures).toBe(4);
    a.close();
  });

  it('ends the stream with RESUME_TOO_OLD where the log lost it too, and a new one begins', async () => {
    const a = await openSocket(rig.webSocketUrl);
    a.subscribe('1', query, { d: dialog });
    await started(1);
    const lost = await rig.commit(dialog, 'lost');
    await table.sql`delete from dialog.event where stream_id = ${dialog} and sequence = ${lost.sequence}`;
    await rig.say(dialog, 'seen');
    await until(() => a.messages('1').length === 1, 'the error');
    expect(a.messages('1')).toMatchObject([{ type: 'error', payload: [{ extensions: { code: 'RESUME_TOO_OLD' } }] }]);
    a.subscribe('2', query, { d: dialog });
    await started(1);
    await rig.say(dialog, 'anew');
    await until(() => a.results('2').length === 1, 'the result');
    expect(texts(a.results('2'))).toEqual(['anew']);
    a.close();
  });
});

describe('resuming', () => {
  it('replays after the cursor and goes on live', async () => {
    await rig.close();
    rig = await createRig({ table, config: { replayPageSize: 16 } });
    for (let index = 2; index <= 100; index++) await rig.commit(dialog, `m${index}`);
    const a = await openSocket(rig.webSocketUrl);
    a.subscribe('1', query, { d: dialog, after: encodeCursor(dialog, 1) });
    await until(() => a.results('1').length > 10, 'replay under way');
    await rig.say(dialog, 'live');
    await until(() => a.results('1').length >= 100, 'all');
    expect(texts(a.results('1'))).toEqual([...Array.from({ length: 99 }, (_, index) => `m${index + 2}`), 'live']);
    a.close();
  });

  it.each([
    ['a malformed cursor', () => 'nonsense', 'CURSOR_INVALID'],
    ['a cursor of another stream', () => encodeCursor(randomUUID(), 1), 'CURSOR_INVALID'],
    ['a cursor ahead of the stream', () => encodeCursor(dialog, 99), 'CURSOR_INVALID'],
  ])('refuses %s', async (_, after, code) => {
    const a = await openSocket(rig.webSocketUrl);
    a.subscribe('1', query, { d: dialog, after: after() });
    await until(() => a.messages('1').length === 1, 'an answer');
    expect(a.messages('1')).toMatchObject([
      { type: 'error', payload: [{ extensions: { code, inputPath: ['after'] } }] },
    ]);
    expect(rig.hub.stats()).toEqual({ subscriptions: 0, groups: 0, streams: 0 });
    a.close();
  });

  it('says so when events after the cursor are no longer kept', async () => {
    for (const text of ['b', 'c', 'd']) await rig.commit(dialog, text);
    await table.sql`delete from dialog.event where stream_id = ${dialog} and sequence <= 2`;
    const a = await openSocket(rig.webSocketUrl);
    a.subscribe('gone', query, { d: dialog, after: encodeCursor(dialog, 1) });
    a.subscribe('kept', query, { d: dialog, after: encodeCursor(dialog, 2) });
    await until(() => a.messages('gone').length === 1 && a.results('kept').length === 2, 'both answers');
    expect(a.messages('gone')).toMatchObject([
      { type: 'error', payload: [{ extensions: { code: 'RESUME_TOO_OLD' } }] },
    ]);
    expect(texts(a.results('kept'))).toEqual(['c', 'd']);
    a.close();
  });

  it('replays what came while a single one followed, which memory does not keep', async () => {
    const a = await openSocket(rig.webSocketUrl);
    const b = await openSocket(rig.webSocketUrl);
    a.subscribe('1', query, { d: dialog });
    b.subscribe('1', query, { d: dialog });
    await started(2);
    await rig.say(dialog, 'for two');
    await until(() => b.results('1').length === 1, 'the first');
    b.close();
    await started(1);
    await rig.say(dialog, 'for one');
    await rig.say(dialog, 'for one again');
    await until(() => a.results('1').length === 3, 'all of one');
    const c = await openSocket(rig.webSocketUrl);
    c.subscribe('1', query, { d: dialog, after: encodeCursor(dialog, 1) });
    await until(() => c.results('1').length === 3, 'what was missed');
    await rig.say(dialog, 'for two again');
    await until(() => c.results('1').length === 4, 'what follows');
    expect(texts(c.results('1'))).toEqual(['for two', 'for one', 'for one again', 'for two again']);
    a.close();
    c.close();
  });

  it('does not replay beyond the age it is set to', async () => {
    const old = randomUUID();
    await table.append({
      tenantId,
      streamId: old,
      type: 'dialog.message.sent',
      data: { id: old, text: 'old' },
      createdAt: new Date(Date.now() - 8 * 86_400_000),
    });
    const a = await openSocket(rig.webSocketUrl);
    a.subscribe('1', query, { d: old, after: encodeCursor(old, 0) });
    await until(() => a.messages('1').length === 1, 'an answer');
    expect(a.messages('1')).toMatchObject([{ type: 'error', payload: [{ extensions: { code: 'RESUME_TOO_OLD' } }] }]);
    a.close();
  });
});

describe('admission', () => {
  it.each([
    ['an unknown dialog', () => ({ d: randomUUID() }), 'Bearer ann', 'NOT_FOUND'],
    ['a dialog of another tenant', () => ({ d: dialog }), 'Bearer foreign', 'NOT_FOUND'],
    ['a malformed id', () => ({ d: "x'--" }), 'Bearer ann', 'BAD_USER_INPUT'],
    ['a missing variable', () => ({}), 'Bearer ann', 'BAD_USER_INPUT'],
  ])('refuses %s and keeps the socket', async (_, variables, token, code) => {
    const a = await openSocket(rig.webSocketUrl, token);
    a.subscribe('1', query, variables());
    await until(() => a.messages('1').length === 1, 'an answer');
    expect(a.messages('1')).toMatchObject([{ type: 'error', payload: [{ extensions: { code } }] }]);
    expect(rig.hub.stats()).toEqual({ subscriptions: 0, groups: 0, streams: 0 });
    expect(a.socket.readyState).toBe(WebSocket.OPEN);
    a.close();
  });

  it('says UNAVAILABLE while the event log does not answer, and follows anew afterwards', async () => {
    await rig.close();
    let down = true;
    rig = await createRig({
      table,
      wrapLog: (log) => ({ ...log, head: (key) => (down ? Promise.reject(new Error('down')) : log.head(key)) }),
    });
    const a = await openSocket(rig.webSocketUrl);
    a.subscribe('1', query, { d: dialog });
    await until(() => a.messages('1').length === 1, 'an answer');
    expect(a.messages('1')).toMatchObject([
      { type: 'error', payload: [{ extensions: { code: 'UNAVAILABLE', retryable: true } }] },
    ]);
    down = false;
    a.subscribe('1', query, { d: dialog });
    await started(1);
    a.close();
  });

  it('follows a tenant only in its own stream, even under one stream id', async () => {
    await table.append({
      tenantId: 'other',
      streamId: dialog,
      type: 'dialog.message.sent',
      data: { id: dialog, text: 'theirs' },
    });
    const ann = await openSocket(rig.webSocketUrl);
    const foreign = await openSocket(rig.webSocketUrl, 'Bearer foreign');
    ann.subscribe('1', query, { d: dialog });
    foreign.subscribe('1', query, { d: dialog });
    await started(2);
    rig.bus.publish([
      await table.append({
        tenantId: 'other',
        streamId: dialog,
        type: 'dialog.message.sent',
        data: { id: dialog, text: 'secret' },
      }),
    ]);
    await rig.say(dialog, 'ours');
    await until(() => ann.results('1').length > 0 && foreign.results('1').length > 0, 'both');
    expect(texts(ann.results('1'))).toEqual(['ours']);
    expect(texts(foreign.results('1'))).toEqual(['secret']);
    ann.close();
    foreign.close();
  });
});
