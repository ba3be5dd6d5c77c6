import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { encodeCursor } from '#shared/cursor.ts';
import { openSocket, until } from './rig/clients.ts';
import { createRig, type Rig } from './rig/index.ts';
import { createTestEventTable, type EventTable } from './rig/testEventTable.ts';

let table: EventTable;
let rig: Rig;
let dialog: string;
let socket: Awaited<ReturnType<typeof openSocket>>;
beforeAll(async () => {
  table = await createTestEventTable();
});
afterAll(() => table.close());
beforeEach(async () => {
  rig = await createRig({ table, config: { restTimeoutMs: 150 } });
  dialog = randomUUID();
  await rig.commit(dialog, 'first');
  socket = await openSocket(rig.webSocketUrl);
});
afterEach(async () => {
  socket.close();
  await rig.close();
});

/** Subscribes to a selection of `message`, says something, answers the result. */
async function resultOf(
  selection: string,
  data: Record<string, unknown> = {},
  variables: Record<string, unknown> = {},
) {
  const definitions = Object.keys(variables).map((name) => `, $${name}: ${name === 'yes' ? 'Boolean!' : 'Int!'}`);
  socket.subscribe(
    '1',
    `subscription ($d: ID!${definitions.join('')}) { e: messageAdded(dialogId: $d) { m: message ${selection} } }`,
    {
      d: dialog,
      ...variables,
    },
  );
  await until(() => rig.hub.stats().subscriptions === 1, 'the subscription');
  await rig.say(dialog, 'hello', data);
  await until(() => socket.messages('1').length === 1, 'a result');
  return socket.messages('1')[0]?.payload;
}
const inMessage = (m: unknown) => ({ data: { e: { m } } });

describe('what an event is answered from', () => {
  it('is its own payload where it can, with nobody asked', async () => {
    const parts = [
      { __typename: 'TextPart', kind: 'TEXT', text: 'a' },
      { __typename: 'LinkPart', kind: 'LINK', url: 'u' },
    ];
    const result = await resultOf(
      '{ __typename text parts { kind ... on TextPart { text } ... on LinkPart { url } } ... on Message { again: text } }',
      { parts },
    );
    expect(result).toEqual(
      inMessage({
        __typename: 'Message',
        text: 'hello',
        parts: [
          { kind: 'TEXT', text: 'a' },
          { kind: 'LINK', url: 'u' },
        ],
        again: 'hello',
      }),
    );
    expect(rig.graph.calls).toMatchObject({ dialog: 0, context: 0 });
  });

  it('is another subgraph for its fields, once for all who ask the same', async () => {
    const others = await Promise.all(['a', 'b', 'c'].map(() => openSocket(rig.webSocketUrl)));
    const query = 'subscription ($d: ID!) { messageAdded(dialogId: $d) { message { text context { name } } } }';
    for (const other of others) other.subscribe('1', query, { d: dialog });
    await until(() => rig.hub.stats().subscriptions === 3, 'the subscriptions');
    await rig.say(dialog, 'hello', { context: { id: 'c1' } });
    await until(() => others.every((other) => other.messages('1').length === 1), 'results');
    for (const other of others) {
      expect(other.results('1')).toEqual([
        { data: { messageAdded: { message: { text: 'hello', context: { name: 'name of c1' } } } } },
      ]);
      other.close();
    }
    expect(rig.graph.calls).toMatchObject({ dialog: 0, context: 1 });
  });

  it('is the owner by key for what the payload lacks, arguments and aliases included', async () => {
    const reply = { id: randomUUID(), text: 'an earlier one' };
    rig.graph.texts.set(reply.id, reply.text);
    const result = await resultOf(
      '{ id: text length short: excerpt(max: $max) replyTo { text length } }',
      { replyTo: reply },
      { max: 2 },
    );
    expect(result).toEqual(
      inMessage({ id: 'hello', length: 5, short: 'he', replyTo: { text: reply.text, length: 14 } }),
    );
    expect(rig.graph.calls).toMatchObject({ dialog: 2, context: 0 });
  });

  it('is both at once where both are selected', async () => {
    const result = await resultOf(
      '{ text length context { name @include(if: $yes) id } }',
      { context: { id: 'c9' } },
      { yes: true },
    );
    expect(result).toEqual(inMessage({ text: 'hello', length: 5, context: { name: 'name of c9', id: 'c9' } }));
  });
});

describe('failures behind an event', () => {
  it('stand in errors with their path, masked', async () => {
    const result = await resultOf('{ text broken length context { name failing forbidden } }', {
      context: { id: 'c1' },
    });
    expect(result).toMatchObject({
      data: {
        e: {
          m: {
            text: 'hello',
            broken: null,
            length: 5,
            context: { name: 'name of c1', failing: null, forbidden: null },
          },
        },
      },
    });
    const { errors } = result as { errors: { message: string; path: unknown; extensions: Record<string, unknown> }[] };
    const byPath = new Map(errors.map((error) => [JSON.stringify(error.path), error]));
    expect(byPath.get('["e","m","broken"]')?.extensions['code']).toBe('INTERNAL_ERROR');
    expect(byPath.get('["e","m","context","failing"]')?.extensions['code']).toBe('INTERNAL_ERROR');
    expect(byPath.get('["e","m","context","forbidden"]')).toMatchObject({
      message: 'Not for you.',
      extensions: { code: 'PERMISSION_DENIED' },
    });
    expect(JSON.stringify(result)).not.toMatch(/hunter2|ECONNREFUSED|stack|serviceName/);
    const reference = byPath.get('["e","m","broken"]')?.extensions['reference'];
    expect(rig.logged.some(({ details }) => JSON.stringify(details).includes(String(reference)))).toBe(true);
  });

  it('of the payload itself do not stop the stream', async () => {
    socket.subscribe('1', 'subscription ($d: ID!) { messageAdded(dialogId: $d) { message { text } } }', { d: dialog });
    await until(() => rig.hub.stats().subscriptions === 1, 'the subscription');
    await rig.say(dialog, 'bad', { poison: true });
    await rig.say(dialog, 'incomplete', { text: null });
    await rig.say(dialog, 'good');
    await until(() => socket.messages('1').length === 3, 'results');
    expect(socket.results('1')).toMatchObject([
      { data: null, errors: [{ path: ['messageAdded'], extensions: { code: 'INTERNAL_ERROR' } }] },
      {
        data: null,
        errors: [
          {
            path: ['messageAdded', 'message', 'text'],
            message: 'Cannot return null for non-nullable field Message.text.',
          },
        ],
      },
      { data: { messageAdded: { message: { text: 'good' } } } },
    ]);
  });

  it('that take too long become an error, and later events keep their order', async () => {
    rig.graph.calls.slowMs.set('slow', 400).set('slowish', 40);
    socket.subscribe(
      '1',
      'subscription ($d: ID!) { messageAdded(dialogId: $d) { sequence message { context { slow } } } }',
      { d: dialog },
    );
    await until(() => rig.hub.stats().subscriptions === 1, 'the subscription');
    for (const id of ['slow', 'fast', 'slowish', 'fast']) await rig.say(dialog, id, { context: { id } });
    await until(() => socket.messages('1').length === 4, 'results');
    expect(socket.results('1')).toMatchObject([
      { data: null, errors: [{ extensions: { code: 'DEADLINE_EXCEEDED' } }] },
      { data: { messageAdded: { sequence: 3, message: { context: { slow: 'slow fast' } } } } },
      { data: { messageAdded: { sequence: 4, message: { context: { slow: 'slow slowish' } } } } },
      { data: { messageAdded: { sequence: 5, message: { context: { slow: 'slow fast' } } } } },
    ]);
  });
});

describe('groups', () => {
  const viewer = 'subscription ($d: ID!) { messageAdded(dialogId: $d) { message { context { viewer } } } }';

  it('are by subject where the selection is, with a context of their own', async () => {
    const bob = await openSocket(rig.webSocketUrl, 'Bearer bob');
    socket.subscribe('1', viewer, { d: dialog });
    bob.subscribe('1', viewer, { d: dialog });
    await until(() => rig.hub.stats().subscriptions === 2, 'the subscriptions');
    expect(rig.hub.stats()).toMatchObject({ groups: 2, streams: 1 });
    await rig.say(dialog, 'x', { context: { id: 'c' } });
    await until(() => socket.results('1').length + bob.results('1').length === 2, 'results');
    expect(socket.results('1')).toEqual([{ data: { messageAdded: { message: { context: { viewer: 'ann' } } } } }]);
    expect(bob.results('1')).toEqual([{ data: { messageAdded: { message: { context: { viewer: 'bob' } } } } }]);
    bob.close();
  });

  it('compute an event once for those who replay it together', async () => {
    for (let index = 0; index < 20; index++) await rig.commit(dialog, `m${index}`, { context: { id: 'c' } });
    const query =
      'subscription ($d: ID!, $after: String) { messageAdded(dialogId: $d, after: $after) { message { context { name } } } }';
    for (let index = 0; index < 10; index++)
      socket.subscribe(String(index), query, { d: dialog, after: encodeCursor(dialog, 1 + index) });
    await until(
      () =>
        socket.messages().filter(({ type }) => type === 'next').length ===
        20 + 19 + 18 + 17 + 16 + 15 + 14 + 13 + 12 + 11,
      'all replays',
    );
    expect(rig.hub.stats()).toMatchObject({ groups: 1, subscriptions: 10 });
    expect(rig.graph.calls.context).toBe(20);
  });
});
