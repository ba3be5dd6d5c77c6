import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { connect } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type HttpStreamClient, openSocket, openStream, sseResults, until } from './rig/clients.ts';
import { createRig, type Rig } from './rig/index.ts';
import { createTestEventTable, type EventTable } from './rig/testEventTable.ts';

const query = 'subscription ($d: ID!) { messageAdded(dialogId: $d) { sequence } }';
const sse = 'text/event-stream';
const multipart = 'multipart/mixed;subscriptionSpec="1.0"';

let table: EventTable;
let rig: Rig;
let dialog: string;
beforeAll(async () => {
  table = await createTestEventTable();
});
afterAll(() => table.close());
afterEach(() => rig.close());

async function open(config: NonNullable<Parameters<typeof createRig>[0]['config']>): Promise<void> {
  rig = await createRig({ table, config });
  dialog = randomUUID();
  await rig.commit(dialog, 'first');
}

const started = (count: number) => until(() => rig.hub.stats().subscriptions === count, `${count} subscriptions`);
const stream = (accept: string, subject: string) =>
  openStream(rig.url, accept, { query, variables: { d: dialog } }, { authorization: `Bearer ${subject}` });

/** Status and code of a stream that was refused before it began. */
async function refusalOf(client: HttpStreamClient): Promise<[number | undefined, string, number | null]> {
  await client.ended;
  const [error] = (JSON.parse(client.text()) as { errors: { extensions: { code: string; retryAfterMs?: number } }[] })
    .errors;
  return [client.response.statusCode, error!.extensions.code, error!.extensions.retryAfterMs ?? null];
}

describe.each([
  ['server-sent events', sse],
  ['multipart', multipart],
])('%s', (_name, accept) => {
  it('refuses what is over the limit of its subject, and takes it when a place is free again', async () => {
    await open({ maxPerSubject: 2 });
    const first = await stream(accept, 'ann');
    await stream(accept, 'ann');
    await started(2);
    expect(await refusalOf(await stream(accept, 'ann'))).toEqual([429, 'QUOTA_EXCEEDED', null]);
    await stream(accept, 'bob');
    await started(3);
    first.close();
    await started(2);
    await stream(accept, 'ann');
    await started(3);
  });

  it('refuses what is over the limit of the instance as something to try again', async () => {
    await open({ maxPerInstance: 2 });
    await stream(accept, 'ann');
    const second = await stream(accept, 'bob');
    await started(2);
    expect(await refusalOf(await stream(accept, 'cid'))).toEqual([503, 'UNAVAILABLE', 1_000]);
    second.close();
    await started(1);
    await stream(accept, 'cid');
    await started(2);
  });

  it('refuses what is over the limit of its connection', async () => {
    await open({ maxPerConnection: 2 });
    const body = JSON.stringify({ query, variables: { d: dialog } });
    const request = `POST /graphql HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ann\r\nAccept: ${accept}\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
    const socket = connect(rig.port, '127.0.0.1');
    await once(socket, 'connect');
    // Pipelined: the answers wait behind the first, which never ends, but the operations would run.
    socket.write(request.repeat(5));
    await started(2);
    const other = await stream(accept, 'ann');
    await started(3);
    await rig.say(dialog, 'heard');
    await until(() => other.text().includes('messageAdded'), 'the message');
    expect(rig.hub.stats().subscriptions).toBe(3);
    socket.destroy();
    await started(1);
  });
});

describe('all transports together', () => {
  it('share the limit of a subject; a query needs no place of it', async () => {
    await open({ maxPerSubject: 3 });
    const socket = await openSocket(rig.webSocketUrl);
    socket.subscribe('1', query, { d: dialog });
    await stream(sse, 'ann');
    await stream(multipart, 'ann');
    await started(3);
    socket.subscribe('2', query, { d: dialog });
    await until(() => socket.messages('2').length === 1, 'the refusal');
    expect(socket.messages('2')).toMatchObject([
      { type: 'error', payload: [{ extensions: { code: 'QUOTA_EXCEEDED' } }] },
    ]);
    const asked = await openStream(rig.url, sse, { query: '{ message(id: 1) { id } }' });
    await asked.ended;
    expect(sseResults(asked.text())).toHaveLength(1);
    socket.close();
    await started(2);
    await stream(sse, 'ann');
    await started(3);
  });

  it('keep nothing of a subscription that admission refused', async () => {
    await open({ maxPerSubject: 1, maxPerConnection: 1 });
    const socket = await openSocket(rig.webSocketUrl);
    for (const id of ['1', '2', '3']) {
      socket.subscribe(id, query, { d: randomUUID() });
      await until(() => socket.messages(id).length === 1, 'the error');
      expect(socket.messages(id)).toMatchObject([{ type: 'error', payload: [{ extensions: { code: 'NOT_FOUND' } }] }]);
    }
    for (let round = 0; round < 3; round++) {
      const refused = await openStream(rig.url, sse, { query, variables: { d: randomUUID() } });
      await refused.ended;
      expect(sseResults(refused.text())).toMatchObject([expect.stringContaining('NOT_FOUND')]);
    }
    socket.subscribe('4', query, { d: dialog });
    await started(1);
    socket.close();
  });
});

describe('WebSocket', () => {
  it('does not let operations that share an id pass its limit, or outlive it', async () => {
    await open({ maxPerConnection: 3 });
    const socket = await openSocket(rig.webSocketUrl);
    // Each frees the id again before the operation has begun.
    for (let round = 0; round < 50; round++) {
      socket.subscribe('1', query, { d: dialog });
      if (round < 49) socket.send({ id: '1', type: 'complete' });
    }
    socket.subscribe('2', query, { d: dialog });
    // How many are refused hangs on how many frames come at once; the pong comes after all of them.
    socket.send({ type: 'ping' });
    let most = 0;
    const isRead = () => {
      most = Math.max(most, rig.hub.stats().subscriptions);
      return socket.messages().some(({ type }) => type === 'pong');
    };
    await until(isRead, 'all frames read');
    expect(most).toBeLessThanOrEqual(3);
    await until(() => rig.hub.stats().subscriptions <= 3, 'at most three');
    socket.close();
    await until(() => Object.values(rig.hub.stats()).every((count) => count === 0), 'nothing left');
  });
});
