import { afterAll, beforeAll, expect, it } from 'vitest';
import { type DialogRig, openDialogRig, principal } from './rig.ts';

let rig: DialogRig;
const ada = principal('ada');
const bot = principal('bot');
beforeAll(async () => {
  rig = await openDialogRig();
});
afterAll(async () => {
  await rig[Symbol.asyncDispose]();
});

const query =
  'query ($first: Int! = 20, $limit: Int! = 50) { dialogInboxes(first: $first, limit: $limit) { dialogId nextCursor hasMore unread messages { sequence content { text } } } }';

async function inboxes(who = bot, variables: Record<string, unknown> = {}) {
  const { dialogInboxes } = await rig.ask(who, query, variables);
  return dialogInboxes as unknown as {
    dialogId: string;
    nextCursor: number;
    hasMore: boolean;
    messages: { content: { text: string } }[];
  }[];
}

const textsOf = (list: Awaited<ReturnType<typeof inboxes>>) =>
  list.map((inbox) => [inbox.dialogId, ...inbox.messages.map((message) => message.content.text)]);

it('gathers what waits in all dialogs, longest waiting first, until it is acknowledged', async () => {
  const open = async () => (await rig.createDialog(ada, { participants: [{ subject: 'bot' }, { subject: 'eve' }] })).id;
  const [one, two, three] = [await open(), await open(), await open()];
  expect(await inboxes()).toEqual([]);
  await rig.send(ada, two, 'in two');
  await rig.send(ada, one, 'in one');
  await rig.send(ada, one, 'more in one');
  await rig.send(bot, three, 'my own');
  expect(textsOf(await inboxes())).toEqual([
    [two, 'in two'],
    [one, 'in one', 'more in one'],
  ]);
  // For the writer of the third only the others wait.
  expect(textsOf(await inboxes(ada))).toEqual([[three, 'my own']]);
  expect(textsOf(await inboxes(bot, { first: 1 }))).toEqual([[two, 'in two']]);
  const [, short] = await inboxes(bot, { limit: 1 });
  expect(short).toMatchObject({ dialogId: one, nextCursor: 1, hasMore: true });
  await rig.ask(bot, 'mutation ($id: ID!) { ackMessages(dialogId: $id, upToSequence: 1) { userErrors { code } } }', {
    id: two,
  });
  expect(textsOf(await inboxes())).toEqual([[one, 'in one', 'more in one']]);
});

it('shows nothing of dialogs that were left, nor what is for others, nor of another tenant', async () => {
  const { id, participants } = await rig.createDialog(ada, { participants: [{ subject: 'zoe' }, { subject: 'eve' }] });
  const zoe = principal('zoe');
  await rig.send(ada, id, 'for eve alone', { recipients: [participants['eve']] });
  expect(await inboxes(zoe)).toEqual([]);
  await rig.send(ada, id, 'for all');
  expect(textsOf(await inboxes(zoe))).toEqual([[id, 'for all']]);
  expect(await inboxes(principal('zoe', { tenantId: 'two' }))).toEqual([]);
  await rig.ask(zoe, 'mutation ($id: ID!) { leaveDialog(dialogId: $id) { userErrors { code } } }', { id });
  expect(await inboxes(zoe)).toEqual([]);
});

it('refuses pages out of range', async () => {
  for (const variables of [{ first: 0 }, { first: 51 }, { first: -1 }])
    expect((await rig.run(bot, query, variables)).errors).toMatchObject([{ code: 'VALIDATION_FAILED' }]);
});
