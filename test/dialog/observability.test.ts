import { afterAll, beforeAll, expect, it } from 'vitest';
import { validateEvent } from '../../schema/protocol/index.ts';
import { dialogCodec } from '../../subgraphs/dialog/codec.ts';
import { type DialogRig, openDialogRig, principal } from './rig.ts';

let rig: DialogRig;
const ada = principal('ada', { subjectType: 'human' });
const bot = principal('bot');
const job = { attempt: 1, jobId: '1', signal: new AbortController().signal };

beforeAll(async () => {
  rig = await openDialogRig();
});
afterAll(async () => {
  await rig[Symbol.asyncDispose]();
});

const observed = async (id: string) => (await rig.stream(id)).flatMap((event) => dialogCodec.observe!(event));
const sequencesOf = async (id: string) =>
  (await observed(id)).map(({ event_type, payload }) => [event_type, (payload as { sequence: number }).sequence]);

it('tells of what people say, what is found in it and what they change, in the frozen envelopes', async () => {
  const { id, contextId } = await rig.createDialog(ada, { participants: [{ subject: 'bot' }] });
  const first = await rig.send(ada, id, 'I will write the report by Friday. Could you review the budget?', {
    aiProcessing: { actionItems: true },
  });
  const asked = await rig.send(bot, id, 'Which budget do you mean?', { replyTo: first['message']!['id'] });
  await rig.send(ada, id, 'The one of last year', { replyTo: asked['message']!['id'] });
  const done = await rig.send(bot, id, 'Reviewed, nothing found', { type: 'AI_RESPONSE' });
  await rig.send(ada, id, 'Thanks', { replyTo: done['message']!['id'] });
  await rig.send(ada, id, 'Use the draft instead', { type: 'COMMAND', replyTo: done['message']!['id'] });
  await rig.mutate(
    ada,
    'editMessage',
    '$messageId: ID!, $content: MessageContentInput!',
    { messageId: first['message']!['id'], content: { text: 'I will write it by Monday' } },
    'message { id }',
  );
  await rig.mutate(
    bot,
    'editMessage',
    '$messageId: ID!, $content: MessageContentInput!',
    { messageId: done['message']!['id'], content: { text: 'Reviewed' } },
    'message { id }',
  );
  await rig.subgraph.jobs['analyzeMessages']!({ tenantId: 'one', dialogId: id }, job);
  expect(await sequencesOf(id)).toEqual([
    ['user_message_received', 1],
    ['user_message_received', 3],
    ['clarification_received', 3],
    ['user_message_received', 5],
    ['user_message_received', 6],
    ['modification_requested', 6],
    ['modification_requested', 1],
    ['intent_extracted', 1],
    ['intent_classified', 1],
  ]);
  const events = await observed(id);
  for (const event of events) {
    expect(validateEvent(event, 'core')).toEqual([]);
    expect(event).toMatchObject({ project_id: contextId, payload: { dialog_id: id } });
  }
  expect(new Set(events.map((event) => event['event_id'])).size).toBe(events.length);
  expect(await observed(id)).toEqual(events);
  expect(events.at(-1)).toMatchObject({
    event_family: 'intent',
    payload: { intent: 'task', confidence: expect.any(Number) },
  });
  expect(JSON.stringify(events)).not.toContain('report');
});

it('says no more of a message than is left of it', async () => {
  const { id } = await rig.createDialog(ada, { participants: [{ subject: 'bot' }] });
  const sent = await rig.send(ada, id, 'We decided to cancel the order.', { aiProcessing: { actionItems: true } });
  await rig.subgraph.jobs['analyzeMessages']!({ tenantId: 'one', dialogId: id }, job);
  expect((await sequencesOf(id)).map(([type]) => type)).toContain('intent_extracted');
  await rig.mutate(ada, 'deleteMessage', '$messageId: ID!', { messageId: sent['message']!['id'] }, 'message { id }');
  expect(await sequencesOf(id)).toEqual([['user_message_received', 1]]);
});
