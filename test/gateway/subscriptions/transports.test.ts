import { randomUUID } from 'node:crypto';
import { createClient as createSseClient } from 'graphql-sse';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { encodeCursor } from '#shared/cursor.ts';
import { multipartParts, openSocket, openStream, sseIds, sseResults, until } from './rig/clients.ts';
import { createRig, type Rig, tenantId } from './rig/index.ts';
import { createTestEventTable, type EventTable } from './rig/testEventTable.ts';

const query =
  'subscription ($d: ID!, $after: String) { messageAdded(dialogId: $d, after: $after) { cursor sequence message { text } } }';
const sse = 'text/event-stream';
const multipart = 'multipart/mixed;subscriptionSpec="1.0", application/json';

let table: EventTable;
let rig: Rig;
let dialog: string;
beforeAll(async () => {
  table = await createTestEventTable();
});
afterAll(() => table.close());
beforeEach(async () => {
  rig = await createRig({
    table,
    config: { heartbeatMs: 200, multipartHeartbeatMs: 20, connectionInitTimeoutMs: 100 },
  });
  dialog = randomUUID();
  await rig.commit(dialog, 'first');
});
afterEach(() => rig.close());

const started = (count: number) => until(() => rig.hub.stats().subscriptions === count, `${count} subscriptions`);
const isHeartbeat = (part: string): boolean => part === '{}';

describe('all transports', () => {
  it('deliver identical payloads, replayed and live', async () => {
    for (const text of ['a', 'b\n\n€ "quoted"', '--graphql\r\n']) await rig.commit(dialog, text);
    const variables = { d: dialog, after: encodeCursor(dialog, 1) };
    const socket = await openSocket(rig.webSocketUrl);
    socket.subscribe('1', query, variables);
    const events = await openStream(rig.url, sse, { query, variables });
    const parts = await openStream(rig.url, multipart, { query, variables });
    await started(3);
    for (const text of ['live \u2028', 'end']) await rig.say(dialog, text);
    const removal = await table.append({
      tenantId,
      streamId: dialog,
      type: 'dialog.participant.removed',
      data: { subject: 'ann' },
    });
    rig.bus.publish([removal]);
    await Promise.all([
      events.ended,
      parts.ended,
      until(() => socket.messages('1').at(-1)?.type === 'complete', 'complete'),
    ]);

    const prefix = '{"id":"1","type":"next","payload":';
    const overSocket = socket.raw
      .filter((text) => text.startsWith(prefix))
      .map((text) => text.slice(prefix.length, -1));
    expect(overSocket).toHaveLength(5);
    expect(sseResults(events.text())).toEqual(overSocket);
    expect(events.text().endsWith('event: complete\ndata:\n\n')).toBe(true);
    const overMultipart = multipartParts(parts.text()).filter((part) => !isHeartbeat(part));
    expect(overMultipart).toEqual(overSocket.map((payload) => `{"payload":${payload}}`));
    expect(parts.text().endsWith('\r\n--graphql--\r\n')).toBe(true);
    expect(parts.response.headers['content-type']).toBe('multipart/mixed;boundary="graphql";subscriptionSpec="1.0"');
    socket.close();
  });

  it('deliver a message of any length, whatever letters it has, to an operation of any name', async () => {
    const name = 'ü€😀';
    const socket = await openSocket(rig.webSocketUrl);
    socket.subscribe(name, query, { d: dialog });
    await started(1);
    // Frames count their length in one byte, three or nine: both sides of each step, in letters of one byte to four.
    const texts = [0, 1, 40, 125, 126, 65_300, 65_535, 65_536, 70_000].flatMap((length) => [
      'x'.repeat(length),
      '\u{1f600}é'.repeat(Math.ceil(length / 6)),
    ]);
    for (const text of texts) await rig.say(dialog, text);
    await until(() => socket.messages(name).length === texts.length, 'every message', 10_000);
    const heard = socket
      .messages(name)
      .map(({ payload }) => (payload as { data: { messageAdded: { message: { text: string } } } }).data.messageAdded);
    expect(heard.map(({ message }) => message.text)).toEqual(texts);
    socket.close();
  });

  it('let the subscription go when the client goes', async () => {
    const streams = [
      await openStream(rig.url, sse, { query, variables: { d: dialog } }),
      await openStream(rig.url, multipart, { query, variables: { d: dialog } }),
    ];
    const socket = await openSocket(rig.webSocketUrl);
    socket.subscribe('1', query, { d: dialog });
    await started(3);
    for (const stream of streams) stream.close();
    socket.close();
    await started(0);
    expect(rig.hub.stats()).toEqual({ subscriptions: 0, groups: 0, streams: 0 });
  });

  it('carry queries too', async () => {
    const socket = await openSocket(rig.webSocketUrl);
    socket.subscribe('1', '{ message(id: 1) { id } }');
    await until(() => socket.messages('1').length === 2, 'the answer');
    expect(socket.messages('1')).toEqual([
      { id: '1', type: 'next', payload: { data: { echoed: 25 } } },
      { id: '1', type: 'complete' },
    ]);
    socket.subscribe('2', 'query boom { message(id: 1) { id } }');
    await until(() => socket.messages('2').length === 2, 'the answer');
    expect(socket.results('2')).toMatchObject([{ errors: [{ extensions: { code: 'INTERNAL_ERROR' } }] }]);
    const events = await openStream(rig.url, sse, { query: '{ message(id: 1) { id } }' });
    await events.ended;
    expect(sseResults(events.text())).toEqual(['{"data":{"echoed":25}}']);
    socket.close();
  });

  it('end when the token does', async () => {
    const token = `Bearer ann@${Date.now() + 1_500}`;
    const socket = await openSocket(rig.webSocketUrl, token);
    const events = await openStream(rig.url, sse, { query, variables: { d: dialog } }, { authorization: token });
    socket.subscribe('1', query, { d: dialog });
    await started(2);
    expect(await socket.closed).toEqual({ code: 4403, reason: 'Token expired' });
    await events.ended;
    expect(sseResults(events.text())).toMatchObject([expect.stringContaining('UNAUTHENTICATED')]);
    await started(0);
  });
});

describe('WebSocket', () => {
  it.each([
    ['a syntax error', 'subscription {', 'GRAPHQL_PARSE_FAILED'],
    ['an unknown field', 'subscription { nope }', 'GRAPHQL_VALIDATION_FAILED'],
    [
      'two root fields',
      'subscription ($d: ID!) { a: typing(dialogId: $d) { subject } b: typing(dialogId: $d) { subject } }',
      'GRAPHQL_VALIDATION_FAILED',
    ],
    [
      'a conditional root field',
      'subscription ($d: ID!) { typing(dialogId: $d) @skip(if: true) { subject } }',
      'GRAPHQL_VALIDATION_FAILED',
    ],
    ['too many tokens', `subscription { ${'x '.repeat(1_001)} }`, 'GRAPHQL_PARSE_FAILED'],
    ['deep nesting', `subscription ${'{ x '.repeat(400)}`, 'GRAPHQL_PARSE_FAILED'],
    [
      'two operations and no name',
      'query a { message(id: 1) { id } } query b { message(id: 1) { id } }',
      'OPERATION_RESOLUTION_FAILURE',
    ],
  ])('answers %s to its operation and keeps the others', async (_, bad, code) => {
    const socket = await openSocket(rig.webSocketUrl);
    socket.subscribe('good', query, { d: dialog });
    await started(1);
    socket.subscribe('bad', bad, { d: dialog });
    await until(() => socket.messages('bad').length === 1, 'the error');
    expect(socket.messages('bad')).toMatchObject([{ type: 'error', payload: [{ extensions: { code } }] }]);
    await rig.say(dialog, 'still here');
    await until(() => socket.results('good').length === 1, 'the result');
    socket.close();
  });

  it('frees the id of an operation that failed', async () => {
    const socket = await openSocket(rig.webSocketUrl);
    socket.subscribe('1', query, { d: randomUUID() });
    await until(() => socket.messages('1').length === 1, 'the error');
    socket.subscribe('1', query, { d: dialog });
    await started(1);
    socket.close();
  });

  it('allows so many operations and no more', async () => {
    const socket = await openSocket(rig.webSocketUrl);
    for (let index = 1; index <= 21; index++) socket.subscribe(String(index), query, { d: dialog });
    await started(20);
    await until(() => socket.messages('21').length === 1, 'the refusal');
    expect(socket.messages('21')).toMatchObject([
      { type: 'error', payload: [{ extensions: { code: 'QUOTA_EXCEEDED' } }] },
    ]);
    socket.send({ id: '1', type: 'complete' });
    await started(19);
    socket.subscribe('22', query, { d: dialog });
    await started(20);
    socket.close();
  });

  it('closes with the code that fits', async () => {
    const anonymous = await openSocket(rig.webSocketUrl, '');
    expect(await anonymous.closed).toMatchObject({ code: 4403 });
    const silent = await openSocket(rig.webSocketUrl, '', false);
    expect(await silent.closed).toMatchObject({ code: 4408 });
    const early = await openSocket(rig.webSocketUrl, '', false);
    early.subscribe('1', query, { d: dialog });
    expect(await early.closed).toMatchObject({ code: 4401 });
    const twice = await openSocket(rig.webSocketUrl);
    twice.subscribe('1', query, { d: dialog });
    twice.subscribe('1', query, { d: dialog });
    expect(await twice.closed).toMatchObject({ code: 4409 });
    const garbage = await openSocket(rig.webSocketUrl);
    garbage.socket.send('{"type":');
    expect(await garbage.closed).toMatchObject({ code: 4400 });
    const large = await openSocket(rig.webSocketUrl);
    large.subscribe('1', 'x'.repeat(70_000));
    expect(await large.closed).toMatchObject({ code: 1009 });
    await started(0);
  });

  it('refuses foreign origins before the upgrade', async () => {
    await rig.close();
    rig = await createRig({
      table,
      deps: { isOriginAllowed: (origin) => origin === undefined || origin === 'https://ours' },
    });
    const foreign = new WebSocket(rig.webSocketUrl, 'graphql-transport-ws', { origin: 'https://theirs' });
    await expect(new Promise((_, reject) => foreign.once('error', reject))).rejects.toThrow('403');
    const ours = new WebSocket(rig.webSocketUrl, 'graphql-transport-ws', { origin: 'https://ours' });
    await new Promise((resolve) => ours.once('open', resolve));
    ours.terminate();
  });

  it('drops a socket that no longer answers pings', async () => {
    const socket = await openSocket(rig.webSocketUrl);
    socket.socket.pong = () => {};
    socket.subscribe('1', query, { d: dialog });
    await started(1);
    await socket.closed;
    await started(0);
  });

  it('goes away with 1001 and no `complete`, so that clients come back', async () => {
    const socket = await openSocket(rig.webSocketUrl);
    const events = await openStream(rig.url, sse, { query, variables: { d: dialog } });
    const parts = await openStream(rig.url, multipart, { query, variables: { d: dialog } });
    socket.subscribe('1', query, { d: dialog });
    await started(3);
    await rig.commit(dialog, 'x').then((event) => rig.bus.publish([event]));
    await rig.hub.close();
    expect(await socket.closed).toMatchObject({ code: 1001 });
    expect(socket.messages('1').map(({ type }) => type)).toEqual(['next']);
    await events.ended;
    expect(sseResults(events.text())).toHaveLength(1);
    expect(events.text()).not.toContain('complete');
    await parts.ended;
    expect(multipartParts(parts.text()).at(-1)).toContain('UNAVAILABLE');
    expect(rig.hub.stats().subscriptions).toBe(0);
  });
});

describe('server-sent events', () => {
  it('serve a client of graphql-sse', async () => {
    const client = createSseClient({ url: rig.url, headers: { authorization: 'Bearer ann' }, retryAttempts: 0 });
    const iterator = client.iterate<{ messageAdded: { sequence: number } }>({ query, variables: { d: dialog } });
    const first = iterator.next();
    await started(1);
    await rig.say(dialog, 'hello');
    expect((await first).value).toMatchObject({ data: { messageAdded: { sequence: 2, message: { text: 'hello' } } } });
    await iterator.return?.();
    await started(0);
  });

  it('go on behind the message that the client says it had last, as an EventSource does', async () => {
    const events = await openStream(rig.url, sse, { query, variables: { d: dialog } });
    await started(1);
    for (const text of ['two', 'three']) await rig.say(dialog, text);
    await until(() => sseResults(events.text()).length === 2, 'two messages');
    const ids = sseIds(events.text());
    expect(ids).toEqual([encodeCursor(dialog, 2), encodeCursor(dialog, 3)]);
    events.close();
    await started(0);
    await rig.say(dialog, 'four');
    // The address it comes back to is the one it began with.
    const variables = { d: dialog, after: encodeCursor(dialog, 0) };
    const back = await openStream(rig.url, sse, { query, variables }, { 'last-event-id': ids[0]! });
    await until(() => sseResults(back.text()).length === 2, 'what it missed');
    await rig.say(dialog, 'five');
    await until(() => sseResults(back.text()).length === 3, 'what comes now');
    expect(sseIds(back.text())).toEqual([3, 4, 5].map((sequence) => encodeCursor(dialog, sequence)));
    back.close();
    await started(0);
  });

  it.each(['nonsense', encodeCursor(randomUUID(), 1)])('refuse an id that is none of the stream: %s', async (id) => {
    const answer = await openStream(rig.url, sse, { query, variables: { d: dialog } }, { 'last-event-id': id });
    await answer.ended;
    expect(sseResults(answer.text())).toEqual([expect.stringContaining('CURSOR_INVALID')]);
  });

  it('begin with now where the client had nothing yet', async () => {
    const answer = await openStream(rig.url, sse, { query, variables: { d: dialog } }, { 'last-event-id': '' });
    await started(1);
    await rig.say(dialog, 'two');
    await until(() => sseResults(answer.text()).length === 1, 'a message');
    answer.close();
    await started(0);
  });

  it('take an operation from the query string', async () => {
    const parameters = new URLSearchParams({
      query,
      variables: JSON.stringify({ d: dialog, after: encodeCursor(dialog, 0) }),
    });
    const response = await fetch(`${rig.url}?${parameters}`, { headers: { accept: sse, authorization: 'Bearer ann' } });
    const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
    let text = '';
    while (!text.includes('event: next')) text += (await reader?.read())?.value ?? '';
    expect(sseResults(text)).toHaveLength(1);
    await reader?.cancel();
    await started(0);
  });

  it.each([
    ['no token', { authorization: '' }, JSON.stringify({ query: '{ x }' }), 401, 'UNAUTHENTICATED'],
    ['truncated JSON', {}, '{"query":', 400, 'BAD_REQUEST'],
    ['no query', {}, '{}', 400, 'BAD_REQUEST'],
    ['a form', { 'content-type': 'text/plain' }, '{"query":"{ x }"}', 400, 'BAD_REQUEST'],
    ['a large body', {}, JSON.stringify({ query: 'x'.repeat(70_000) }), 413, 'BODY_TOO_LARGE'],
  ])('answer %s as JSON', async (_, headers, body, status, code) => {
    const answer = await openStream(rig.url, sse, body, headers);
    await answer.ended;
    expect(answer.response.statusCode).toBe(status);
    expect(JSON.parse(answer.text())).toMatchObject({ errors: [{ extensions: { code } }] });
  });

  it('answer a body far over the limit before it is all there', async () => {
    const answer = await openStream(rig.url, sse, JSON.stringify({ query: 'x'.repeat(8_000_000) }));
    expect(answer.response.statusCode).toBe(413);
    answer.close();
  });

  it('refuse a mutation by GET', async () => {
    const parameters = new URLSearchParams({ query: 'mutation { setTopic(topic: "x") }' });
    const response = await fetch(`${rig.url}?${parameters}`, { headers: { accept: sse, authorization: 'Bearer ann' } });
    expect(response.status).toBe(405);
    expect(response.headers.get('allow')).toBe('POST');
  });

  it('answer a document that fails in the stream', async () => {
    const events = await openStream(rig.url, sse, { query: 'subscription { nope }' });
    await events.ended;
    expect(sseResults(events.text())).toMatchObject([expect.stringContaining('GRAPHQL_VALIDATION_FAILED')]);
    expect(events.text().endsWith('event: complete\ndata:\n\n')).toBe(true);
  });
});

describe('multipart', () => {
  it('beats while nothing happens', async () => {
    const parts = await openStream(rig.url, multipart, { query, variables: { d: dialog } });
    await until(() => multipartParts(parts.text()).filter(isHeartbeat).length >= 3, 'heartbeats');
    parts.close();
    await started(0);
  });
});
