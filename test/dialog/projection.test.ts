import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type DialogRig, openDialogRig, principal } from './rig.ts';

let rig: DialogRig;
const ada = principal('ada');
let dialogId = '';
beforeAll(async () => {
  rig = await openDialogRig();
  const dialog = await rig.createDialog(ada, { participants: [{ subject: 'bot' }] });
  dialogId = String(dialog.id);
  const first = await rig.send(ada, dialogId, 'hello @bot, see #plan');
  const second = await rig.send(ada, dialogId, 'more', {
    replyTo: first['message']!['id'],
    topic: 'greeting',
    priority: 'HIGH',
    requiresResponse: true,
    responseDeadline: '2100-01-01T00:00:00.000Z',
    clientMessageId: 'second',
    content: { text: 'more', structuredData: { deep: [1, 2] }, language: 'en' },
    attachments: [{ type: 'text', name: 'a.txt', sizeBytes: 3, url: 'https://example.test/a.txt' }],
  });
  await rig.ask(ada, 'mutation ($id: ID!) { reactToMessage(messageId: $id, type: "agree") { userErrors { code } } }', {
    id: second['message']!['id'],
  });
  const third = await rig.send(ada, dialogId, 'gone');
  await rig.ask(ada, 'mutation ($id: ID!) { deleteMessage(messageId: $id) { userErrors { code } } }', {
    id: third['message']!['id'],
  });
});
afterAll(async () => {
  await rig[Symbol.asyncDispose]();
});

const fields = [
  'id messageId dialogId sequence __typename',
  'threadId',
  'senderId',
  'senderSubject',
  'senderType',
  'role',
  'type',
  'content { text }',
  'content { structuredData }',
  'content { mentions }',
  'content { hashtags }',
  'content { language }',
  'replyToMessageId',
  'topic',
  'priority',
  'requiresResponse',
  'responseDeadline',
  'recipients',
  'attachments { name sizeBytes url }',
  'reactions { type participantId at }',
  'clientMessageId',
  'sentAt',
  'editedAt',
  'deletedAt',
  'deletedBy',
  'revision',
  'sender { subject }',
  'replyTo { sequence content { text } }',
  'dialog { name }',
  'analysis { provider }',
  'deliveryStatus { total }',
  'readStatus { participantId }',
];

const lists = {
  dialogInbox: (selection: string) =>
    `query ($id: ID!) { list: dialogInbox(dialogId: $id, after: 0) { nodes: messages { ${selection} } } }`,
  dialogMessages: (selection: string) =>
    `query ($id: ID!) { list: dialogMessages(dialogId: $id, last: 10) { nodes { ${selection} } } }`,
  'edges of dialogMessages': (selection: string) =>
    `query ($id: ID!) { list: dialogMessages(dialogId: $id, last: 10) { edges { node { ...M } } } } fragment M on Message { ... { ${selection} } }`,
  searchMessages: (selection: string) =>
    `query ($id: ID!) { list: searchMessages(query: "more", filter: { dialogId: $id }) { nodes { ${selection} } } }`,
};

describe.each(Object.entries(lists))('messages of %s', (_name, queryOf) => {
  it('show in each field alone what they show beside all others', async () => {
    const read = async (selection: string) => {
      const { list } = await rig.ask(ada, queryOf(selection), { id: dialogId });
      const answer = list as unknown as { nodes?: object[]; edges?: { node: object }[] };
      return answer.nodes ?? answer.edges!.map((edge) => edge.node);
    };
    const whole = await read(fields.join(' '));
    expect(whole.length).toBeGreaterThan(0);
    const merged: Record<string, unknown>[] = whole.map(() => ({}));
    for (const selection of fields)
      for (const [index, node] of (await read(selection)).entries()) merge(merged[index]!, node);
    expect(merged).toEqual(whole);
  });
});

function merge(target: Record<string, unknown>, source: object): void {
  for (const [key, value] of Object.entries(source)) {
    const known = target[key];
    if (isObject(known) && isObject(value)) merge(known, value);
    else target[key] = value;
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
