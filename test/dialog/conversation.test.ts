import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { newId } from '#shared/ids.ts';
import { codesOf, type DialogRig, openDialogRig, principal } from './rig.ts';

let rig: DialogRig;
const ada = principal('ada', { subjectType: 'human', displayName: 'Ada Lovelace' });
const bot = principal('bot');
const eve = principal('eve');
const stranger = principal('stranger', { tenantId: 'two' });

beforeAll(async () => {
  rig = await openDialogRig();
});
afterAll(async () => {
  await rig[Symbol.asyncDispose]();
});

const pair = { participants: [{ subject: 'bot' }] };

describe('a conversation', () => {
  it('opens with its creator as moderator and the others at work', async () => {
    const { id } = await rig.createDialog(ada, { ...pair, type: 'BRAINSTORMING', tags: ['x'] });
    const data = await rig.ask(
      bot,
      'query ($id: ID!) { dialog(id: $id) { id name type status tags contextId participantCount messageCount lastSequence viewer { subject role } participants { totalCount nodes { subject role status type permissions } } configuration { maxParticipants visibility } } }',
      { id },
    );
    expect(data['dialog']).toMatchObject({
      name: 'A dialog',
      type: 'BRAINSTORMING',
      status: 'ACTIVE',
      tags: ['x'],
      participantCount: 2,
      messageCount: 0,
      viewer: { subject: 'bot', role: 'CONTRIBUTOR' },
      participants: {
        totalCount: 2,
        nodes: [
          { subject: 'ada', role: 'MODERATOR', type: 'HUMAN', status: 'ACTIVE' },
          { subject: 'bot', type: 'AI_AGENT' },
        ],
      },
    });
  });

  it('numbers messages from 1 and maps their roles', async () => {
    const { id, participants } = await rig.createDialog(ada, pair);
    const first = await rig.send(ada, id, 'Hello @bot, can you help?');
    expect(first['message']).toMatchObject({
      sequence: 1,
      role: 'USER',
      senderType: 'HUMAN',
      senderId: participants['ada'],
      mentions: { mentions: [participants['bot']] },
    });
    expect(first['deliveryStatus']).toEqual({ total: 1, delivered: 0, pending: 1 });
    expect(first['duplicate']).toBe(false);
    const second = await rig.send(bot, id, 'Yes.', { replyTo: first['message']!['id'] });
    expect(second['message']).toMatchObject({ sequence: 2, role: 'ASSISTANT', senderType: 'AGENT' });
    const third = await rig.send(bot, id, 'To myself.', { replyTo: second['message']!['id'] });
    expect(third['message']).toMatchObject({ sequence: 3, role: 'AGENT' });
  });

  it('hands messages out until they are acknowledged, and marks them delivered', async () => {
    const { id, participants } = await rig.createDialog(ada, pair);
    for (let n = 1; n <= 5; n += 1) await rig.send(ada, id, `m${n}`);
    const inboxQuery =
      'query ($id: ID!, $after: Int, $limit: Int!) { dialogInbox(dialogId: $id, after: $after, limit: $limit) { messages { sequence content { text } } nextCursor hasMore gapDetected unread } }';
    const first = await rig.ask(bot, inboxQuery, { id, limit: 2 });
    expect(first['dialogInbox']).toMatchObject({
      messages: [{ sequence: 1, content: { text: 'm1' } }, { sequence: 2 }],
      nextCursor: 2,
      hasMore: true,
      gapDetected: false,
      unread: 5,
    });
    await rig.service(bot).receipts.drain();
    const status = await rig.ask(
      ada,
      'query ($id: ID!) { dialogMessages(dialogId: $id, first: 3) { nodes { deliveryStatus { total delivered pending details { participantId status } } readStatus { participantId } } } }',
      { id },
    );
    expect(
      status['dialogMessages']!['nodes']!.map((node) => node['deliveryStatus']!['details']![0]!['status']),
    ).toEqual(['DELIVERED', 'DELIVERED', 'SENT']);
    // Not acknowledged: it comes again.
    expect((await rig.ask(bot, inboxQuery, { id, limit: 2 }))['dialogInbox']).toMatchObject({
      messages: [{ sequence: 1 }, { sequence: 2 }],
    });
    const acked = await rig.mutate(
      bot,
      'ackMessages',
      '$dialogId: ID!, $upToSequence: Int!',
      { dialogId: id, upToSequence: 3 },
      'newCursor unread',
    );
    expect(acked).toMatchObject({ newCursor: 3, unread: 2, userErrors: [] });
    expect((await rig.ask(bot, inboxQuery, { id, limit: 200 }))['dialogInbox']).toMatchObject({
      messages: [{ sequence: 4 }, { sequence: 5 }],
      hasMore: false,
      nextCursor: 5,
    });
    const back = await rig.mutate(
      bot,
      'ackMessages',
      '$dialogId: ID!, $upToSequence: Int!',
      { dialogId: id, upToSequence: 2 },
      'newCursor',
    );
    expect(codesOf(back)).toEqual(['CURSOR_REGRESSION']);
    const ahead = await rig.mutate(
      bot,
      'ackMessages',
      '$dialogId: ID!, $upToSequence: Int!',
      { dialogId: id, upToSequence: 6 },
      'newCursor',
    );
    expect(codesOf(ahead)).toEqual(['VALIDATION_FAILED']);
    const read = await rig.ask(
      ada,
      'query ($id: ID!) { dialogMessages(dialogId: $id, first: 1) { nodes { readStatus { participantId } } } }',
      { id },
    );
    expect(read['dialogMessages']!['nodes']![0]!['readStatus']).toEqual([{ participantId: participants['bot'] }]);
    for (const limit of [0, 201])
      expect((await rig.run(bot, inboxQuery, { id, limit })).errors[0]?.code).toBe('VALIDATION_FAILED');
    expect((await rig.run(eve, inboxQuery, { id, limit: 5 })).errors[0]?.code).toBe('NOT_A_PARTICIPANT');
  });

  it('reads history both ways, filtered and searched', async () => {
    const { id } = await rig.createDialog(ada, pair);
    const threadId = newId();
    for (let n = 1; n <= 7; n += 1)
      await rig.send(
        n % 2 ? ada : bot,
        id,
        n === 4 ? 'the blue whale sings' : `message ${n}`,
        n > 4 ? { threadId } : {},
      );
    const page = 'pageInfo { hasNextPage hasPreviousPage startCursor endCursor } totalCount nodes { sequence }';
    const history = (args: string, variables: Record<string, unknown> = {}) =>
      rig.ask(
        bot,
        `query ($id: ID!, ${args.includes('$cursor') ? '$cursor: String, ' : ''}$filter: MessageFilter, $query: String) { dialogMessages(dialogId: $id, filter: $filter, query: $query, ${args}) { ${page} edges { score snippet } threadSummary { threadId participantCount messageCount openActionItems } } }`,
        { id, ...variables },
      );
    const sequences = (data: Awaited<ReturnType<typeof history>>) =>
      data['dialogMessages']!['nodes']!.map((node) => node['sequence']);
    const first = await history('first: 3');
    expect(sequences(first)).toEqual([1, 2, 3]);
    expect(first['dialogMessages']).toMatchObject({
      totalCount: 7,
      pageInfo: { hasNextPage: true, hasPreviousPage: false },
      threadSummary: { threadId: null, participantCount: 2, messageCount: 7 },
    });
    expect(
      sequences(
        await history('first: 100, after: $cursor', { cursor: first['dialogMessages']!['pageInfo']!['endCursor'] }),
      ),
    ).toEqual([4, 5, 6, 7]);
    const last = await history('last: 2');
    expect(sequences(last)).toEqual([6, 7]);
    expect(last['dialogMessages']!['pageInfo']).toMatchObject({ hasPreviousPage: true, hasNextPage: false });
    expect(
      sequences(
        await history('last: 2, before: $cursor', { cursor: last['dialogMessages']!['pageInfo']!['startCursor'] }),
      ),
    ).toEqual([4, 5]);
    const thread = await history('first: 10', { filter: { threadId } });
    expect(sequences(thread)).toEqual([5, 6, 7]);
    expect(thread['dialogMessages']!['threadSummary']).toMatchObject({
      threadId,
      messageCount: 3,
      participantCount: 2,
    });
    expect(sequences(await history('first: 10', { filter: { senderSubject: 'bot' } }))).toEqual([2, 4, 6]);
    expect(sequences(await history('first: 10', { filter: { fromSequence: 2, toSequence: 3 } }))).toEqual([2, 3]);
    const found = await history('first: 10', { query: 'whale' });
    expect(sequences(found)).toEqual([4]);
    expect(found['dialogMessages']!['edges']![0]).toMatchObject({
      snippet: expect.stringContaining('<b>whale</b>'),
      score: expect.any(Number),
    });
    const searched = await rig.ask(
      bot,
      'query ($id: ID!) { searchMessages(query: "blue whale", filter: { dialogId: $id }) { totalCount edges { score snippet node { sequence } } } }',
      { id },
    );
    expect(searched['searchMessages']).toMatchObject({ totalCount: 1, edges: [{ node: { sequence: 4 } }] });
    expect(
      (
        await rig.ask(
          eve,
          'query ($id: ID!) { searchMessages(query: "whale", filter: { dialogId: $id }) { totalCount } }',
          { id },
        )
      )['searchMessages']!['totalCount'],
    ).toBe(0);
    for (const args of ['first: 0', 'first: 101', 'first: 1, last: 1']) {
      expect(
        (await rig.run(bot, `query ($id: ID!) { dialogMessages(dialogId: $id, ${args}) { totalCount } }`, { id }))
          .errors[0]?.code,
      ).toBe('VALIDATION_FAILED');
    }
    expect(
      (
        await rig.run(bot, 'query ($id: ID!) { dialogMessages(dialogId: $id, after: "nonsense") { totalCount } }', {
          id,
        })
      ).errors[0]?.code,
    ).toBe('CURSOR_INVALID');
    const threads = await rig.ask(
      bot,
      'query ($id: ID!) { dialog(id: $id) { threads { nodes { threadId summary { messageCount } } totalCount } messages(last: 2) { nodes { sequence } } } }',
      { id },
    );
    expect(threads['dialog']).toEqual({
      threads: { nodes: [{ threadId, summary: { messageCount: 3 } }], totalCount: 1 },
      messages: { nodes: [{ sequence: 6 }, { sequence: 7 }] },
    });
  });

  it('finds the latest first where messages match as well', async () => {
    const { id } = await rig.createDialog(ada, pair);
    for (let n = 0; n < 4; n += 1) await rig.send(ada, id, 'a parrot');
    await rig.send(ada, id, 'parrot and parrot');
    const found: unknown[] = [];
    for (let cursor: unknown = null, more = true; more; ) {
      const page = await rig.ask(
        bot,
        'query ($id: ID!, $cursor: String) { searchMessages(query: "parrot", filter: { dialogId: $id }, first: 2, after: $cursor) { pageInfo { hasNextPage endCursor } nodes { sequence } } }',
        { id, cursor },
      );
      const { nodes, pageInfo } = page['searchMessages']!;
      found.push(...nodes!.map((node) => node['sequence']));
      cursor = pageInfo!['endCursor'];
      more = Boolean(pageInfo!['hasNextPage']);
    }
    expect(found).toEqual([5, 4, 3, 2, 1]);
  });

  it('sends nothing twice', async () => {
    const { id } = await rig.createDialog(ada, pair);
    const first = await rig.send(ada, id, 'once', { clientMessageId: 'c1' });
    const again = await rig.send(ada, id, 'once', { clientMessageId: 'c1' });
    expect(again).toMatchObject({ duplicate: true, message: { id: first['message']!['id'], sequence: 1 } });
    expect(codesOf(await rig.send(ada, id, 'other', { clientMessageId: 'c1' }))).toEqual(['DUPLICATE_MESSAGE']);
    // Another sender has ids of its own.
    expect((await rig.send(bot, id, 'once', { clientMessageId: 'c1' }))['message']!['sequence']).toBe(2);
    const keyed = await rig.send(ada, id, 'keyed', { idempotencyKey: 'k1' });
    expect((await rig.send(ada, id, 'keyed', { idempotencyKey: 'k1' }))['message']!['id']).toBe(
      keyed['message']!['id'],
    );
    expect(codesOf(await rig.send(ada, id, 'keyed otherwise', { idempotencyKey: 'k1' }))).toEqual([
      'IDEMPOTENCY_MISMATCH',
    ]);
    expect((await rig.send(ada, id, 'next'))['message']!['sequence']).toBe(4);
  });

  it('answers foreign and unknown dialogs alike', async () => {
    const { id } = await rig.createDialog(ada, pair);
    expect((await rig.ask(stranger, 'query ($id: ID!) { dialog(id: $id) { id } }', { id }))['dialog']).toBeNull();
    expect((await rig.ask(ada, 'query ($id: ID!) { dialog(id: $id) { id } }', { id: newId() }))['dialog']).toBeNull();
    expect(
      (await rig.ask(ada, 'query ($id: ID!) { dialog(id: $id) { id } }', { id: 'nonsense' }))['dialog'],
    ).toBeNull();
    expect(codesOf(await rig.send(stranger, id, 'hi'))).toEqual(['NOT_FOUND']);
    expect(codesOf(await rig.send(ada, newId(), 'hi'))).toEqual(['NOT_FOUND']);
    expect(
      (await rig.run(stranger, 'query ($id: ID!) { dialogMessages(dialogId: $id) { totalCount } }', { id })).errors[0]
        ?.code,
    ).toBe('NOT_FOUND');
  });
});
