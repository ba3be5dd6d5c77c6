import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readAuthRule } from '#shared/auth.ts';
import { decodeCursor } from '#shared/cursor.ts';
import type { EphemeralEvent } from '#shared/events.ts';
import { readTypeDefs } from '#shared/subgraph.ts';
import { dialogSubscriptions } from '../../subgraphs/dialog/subscriptions.ts';
import { codesOf, type DialogRig, openDialogRig, principal } from './rig.ts';

let rig: DialogRig;
const ada = principal('ada', { subjectType: 'human' });
const bot = principal('bot');
const cat = principal('cat');
const eve = principal('eve');
const observer = principal('observer', { scopes: ['dialog:read', 'dialog:observe'] });
const stranger = principal('stranger', { tenantId: 'two' });

beforeAll(async () => {
  rig = await openDialogRig();
});
afterAll(async () => {
  await rig[Symbol.asyncDispose]();
});

const trio = { participants: [{ subject: 'bot' }, { subject: 'cat' }] };
const texts = (received: readonly Record<string, unknown>[]) =>
  received.map((event) => (event['message'] as { content: { text: string } | null }).content?.text ?? null);

async function remove(dialogId: string, participantId: string) {
  return rig.mutate(
    ada,
    'removeDialogParticipant',
    '$dialogId: ID!, $participantId: ID!',
    { dialogId, participantId },
    'participant { status }',
  );
}

describe('messageReceived', () => {
  it('carries message, edit, reaction and tombstone in order, in the graph’s shape', async () => {
    const { id, participants } = await rig.createDialog(ada, trio);
    const messageId = String((await rig.send(ada, id, 'first #tag'))['message']!['id']);
    await rig.mutate(
      ada,
      'editMessage',
      '$messageId: ID!, $content: MessageContentInput!',
      { messageId, content: { text: 'second' } },
      'message { revision editedAt content { text } }',
    );
    await rig.mutate(
      bot,
      'reactToMessage',
      '$messageId: ID!, $type: String!',
      { messageId, type: 'like' },
      'message { reactions { type participantId } }',
    );
    const live = await rig.replay(bot, 'messageReceived', { dialogId: id });
    expect(live.received.map(({ kind }) => kind)).toEqual(['MESSAGE', 'EDIT', 'REACTION']);
    expect(texts(live.received)).toEqual(['first #tag', 'second', 'second']);
    expect(live.received[0]).toMatchObject({
      dialogId: id,
      actor: 'ada',
      message: {
        __typename: 'Message',
        id: messageId,
        sequence: 1,
        type: 'TEXT',
        role: 'USER',
        priority: 'NORMAL',
        senderId: participants['ada'],
        content: { hashtags: ['tag'], mentions: [] },
      },
    });
    expect(live.received[2]).toMatchObject({ reaction: { type: 'like', participantId: participants['bot'] } });
    expect(decodeCursor(String(live.received[1]!['cursor']), id)).toBe(live.received[1]!['sequence']);
    const answer = await rig.ask(
      bot,
      'query ($id: ID!) { dialogMessages(dialogId: $id) { nodes { id messageId dialogId threadId sequence senderId senderSubject senderType role type content { text structuredData mentions hashtags language } replyToMessageId topic priority requiresResponse responseDeadline recipients attachments { name } reactions { type participantId at } clientMessageId sentAt editedAt deletedAt deletedBy revision } } }',
      { id },
    );
    // What the hub serves from the event is what a query answers.
    expect({ __typename: 'Message', ...(answer['dialogMessages']!['nodes']![0] as unknown as object) }).toEqual(
      live.received[2]!['message'],
    );
    expect(
      codesOf(
        await rig.mutate(
          ada,
          'deleteMessage',
          '$messageId: ID!',
          { messageId },
          'message { deletedAt content { text } }',
        ),
      ),
    ).toEqual([]);
    const replayed = await rig.replay(bot, 'messageReceived', { dialogId: id });
    expect(JSON.stringify(replayed.received)).not.toMatch(/first|second|like/);
    expect(replayed.received.at(-1)).toMatchObject({
      kind: 'DELETE',
      message: { content: null, reactions: [], deletedBy: 'ada' },
    });
    expect(JSON.stringify(await rig.stream(id))).not.toMatch(/first #tag|second/);
  });

  it('drops events of a message deleted before admission that are still in memory somewhere', async () => {
    const { id } = await rig.createDialog(ada, trio);
    const messageId = String((await rig.send(ada, id, 'secret'))['message']!['id']);
    const before = await rig.stream(id);
    await rig.mutate(ada, 'deleteMessage', '$messageId: ID!', { messageId }, 'message { id }');
    const gate = await dialogSubscriptions['messageReceived']!.admit(bot, { dialogId: id }, { sql: rig.sql });
    expect(before.filter((event) => event.type === 'dialog.message.sent').map((event) => gate.decide(event))).toEqual([
      'skip',
    ]);
    const live = await rig.replay(cat, 'messageReceived', { dialogId: id });
    expect(live.received.map(({ kind }) => kind)).toEqual(['DELETE']);
  });

  it('shows explicit recipients only theirs, observers everything', async () => {
    const { id, participants } = await rig.createDialog(ada, trio);
    await rig.send(ada, id, 'to all');
    const whisper = await rig.send(ada, id, 'to bot', { recipients: [participants['bot']] });
    expect(whisper['deliveryStatus']).toEqual({ total: 1, delivered: 0, pending: 1 });
    for (const [who, expected] of [
      [ada, ['to all', 'to bot']],
      [bot, ['to all', 'to bot']],
      [cat, ['to all']],
      [observer, ['to all', 'to bot']],
    ] as const) {
      expect(texts((await rig.replay(who, 'messageReceived', { dialogId: id })).received)).toEqual(expected);
      const seen = await rig.ask(
        who,
        'query ($id: ID!) { dialogMessages(dialogId: $id) { nodes { content { text } } } dialog(id: $id) { messages { nodes { content { text } } } document } }',
        { id },
      );
      expect(seen['dialogMessages']!['nodes']!.map((node) => node['content']!['text'])).toEqual(expected);
      expect(seen['dialog']!['messages']!['nodes']!.map((node) => node['content']!['text'])).toEqual(expected);
      expect(seen['dialog']!['document']!['messages']!.map((node) => node['content'])).toEqual(expected);
    }
    expect(
      (
        await rig.ask(
          cat,
          'query ($id: ID!) { dialogInbox(dialogId: $id) { messages { content { text } } nextCursor } }',
          { id },
        )
      )['dialogInbox'],
    ).toEqual({ messages: [{ content: { text: 'to all' } }], nextCursor: 2 });
    const refused = await rig.ask(
      cat,
      'query ($reps: [_Any!]!) { _entities(representations: $reps) { ... on Message { id } } }',
      { reps: [{ __typename: 'Message', id: whisper['message']!['id'] }] },
    );
    expect(refused['_entities']).toEqual([null]);
  });

  it('ends at the removal and is not opened again', async () => {
    const { id, participants } = await rig.createDialog(ada, trio);
    const admitted = await dialogSubscriptions['messageReceived']!.admit(cat, { dialogId: id }, { sql: rig.sql });
    await rig.send(ada, id, 'one');
    await remove(id, participants['cat']!);
    await rig.send(ada, id, 'two');
    const events = await rig.stream(id);
    const decisions = events.map((event) => [event.type, admitted.decide(event)] as const);
    expect(decisions.find(([type]) => type === 'dialog.message.sent')?.[1]).toBe('deliver');
    expect(decisions.find(([type]) => type === 'dialog.participant.removed')?.[1]).toBe('end');
    await expect(rig.replay(cat, 'messageReceived', { dialogId: id })).rejects.toMatchObject({
      code: 'NOT_A_PARTICIPANT',
    });
    await expect(rig.replay(eve, 'messageReceived', { dialogId: id })).rejects.toMatchObject({
      code: 'NOT_A_PARTICIPANT',
    });
    await expect(rig.replay(stranger, 'messageReceived', { dialogId: id })).rejects.toMatchObject({
      code: 'NOT_FOUND',
    });
    await expect(rig.replay(ada, 'messageReceived', { dialogId: 'x' })).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  it('replays both stays of who was removed and came back, and nothing between', async () => {
    const { id, participants } = await rig.createDialog(ada, trio);
    await rig.send(ada, id, 'stay 1');
    await remove(id, participants['cat']!);
    await rig.send(ada, id, 'away');
    await rig.mutate(
      ada,
      'inviteParticipant',
      '$input: InviteParticipantInput!',
      { input: { dialogId: id, participant: { subject: 'cat' } } },
      'participant { id }',
    );
    await rig.mutate(cat, 'joinDialog', '$dialogId: ID!', { dialogId: id }, 'participant { id }');
    await rig.send(ada, id, 'stay 2');
    const { received, ended } = await rig.replay(cat, 'messageReceived', { dialogId: id });
    expect(ended).toBe(false);
    expect(texts(received)).toEqual(['stay 1', 'stay 2']);
  });

  it('tells of receipts only who asks', async () => {
    const { id, participants } = await rig.createDialog(ada, trio);
    await rig.send(ada, id, 'x');
    await rig.mutate(
      bot,
      'ackMessages',
      '$dialogId: ID!, $upToSequence: Int!',
      { dialogId: id, upToSequence: 1 },
      'newCursor',
    );
    expect(
      (await rig.replay(ada, 'messageReceived', { dialogId: id, receipts: false })).received.map(({ kind }) => kind),
    ).toEqual(['MESSAGE']);
    const { received } = await rig.replay(ada, 'messageReceived', { dialogId: id, receipts: true });
    expect(received.at(-1)).toMatchObject({
      kind: 'RECEIPT',
      message: null,
      receipt: { participantId: participants['bot'], readUpto: 1 },
    });
  });
});

describe('the payload of a message', () => {
  it('has every field that is the same for all, so that nobody is asked again on one member’s behalf', async () => {
    const typeDefs = await readTypeDefs('dialog');
    const message = typeDefs.definitions.find(
      (node) => node.kind === 'ObjectTypeDefinition' && node.name.value === 'Message',
    );
    const shared =
      message?.kind === 'ObjectTypeDefinition'
        ? (message.fields ?? [])
            .filter((field) => readAuthRule(field.directives)?.scope !== 'SUBJECT')
            .map((field) => field.name.value)
        : [];
    expect(shared.length).toBeGreaterThan(15);
    const { id } = await rig.createDialog(ada);
    await rig.send(ada, id, 'x');
    const { received } = await rig.replay(ada, 'messageReceived', { dialogId: id });
    const payload = received[0]!['message'] as Record<string, unknown>;
    expect(shared.filter((field) => payload[field] === undefined)).toEqual([]);
  });
});

describe('presence and typing', () => {
  it('pass by on the bus and leave no row', async () => {
    const { id, participants } = await rig.createDialog(ada, trio);
    const before = (await rig.stream(id)).length;
    rig.events.length = 0;
    const stop = rig.service(bot).presence.start();
    expect(codesOf(await rig.mutate(bot, 'setPresence', '$dialogId: ID!', { dialogId: id }, 'ok'))).toEqual([]);
    await rig.mutate(bot, 'setTyping', '$dialogId: ID!', { dialogId: id }, 'ok');
    expect(codesOf(await rig.mutate(eve, 'setTyping', '$dialogId: ID!', { dialogId: id }, 'ok'))).toEqual([
      'NOT_A_PARTICIPANT',
    ]);
    const passed = rig.events.filter((event): event is EphemeralEvent => !('sequence' in event));
    expect(passed.map((event) => event.type)).toEqual(['dialog.presence', 'dialog.typing']);
    const gate = await dialogSubscriptions['typing']!.admit(cat, { dialogId: id }, { sql: rig.sql });
    expect(gate.decide(passed[1]!)).toBe('deliver');
    expect(dialogSubscriptions['typing']!.payload(passed[1]!)).toMatchObject({
      dialogId: id,
      participantId: participants['bot'],
      subject: 'bot',
      typing: true,
    });
    expect(
      (await rig.ask(cat, 'query ($id: ID!) { dialogPresence(dialogId: $id) { subject state } }', { id }))[
        'dialogPresence'
      ],
    ).toEqual([{ subject: 'bot', state: 'ONLINE' }]);
    expect(await rig.stream(id)).toHaveLength(before);
    await stop.close();
  });
});
