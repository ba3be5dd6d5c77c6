import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { newId } from '#shared/ids.ts';
import { createPooledProvider } from '../../subgraphs/dialog/analysis/index.ts';
import { createDialogService } from '../../subgraphs/dialog/service.ts';
import { codesOf, type DialogRig, openDialogRig, principal } from './rig.ts';

let rig: DialogRig;
const ada = principal('ada', { subjectType: 'human' });
const bob = principal('bob', { subjectType: 'human' });
const bot = principal('bot');
const info = { attempt: 1, jobId: '1', signal: new AbortController().signal };
const fact = 'The quarterly budget review takes place on the second Monday of March.';
const question = 'When does the budget review take place?';

beforeAll(async () => {
  rig = await openDialogRig();
});
beforeEach(async () => {
  await rig.sql`DELETE FROM graphile_worker._private_jobs`;
});
afterAll(async () => {
  await rig[Symbol.asyncDispose]();
});

interface Waiting {
  readonly key: string;
  readonly payload: { readonly tenantId: string; readonly messageId: string };
  readonly delayMs: number;
}

const assisted = (more: Record<string, unknown> = {}, input: Record<string, unknown> = {}) =>
  rig.createDialog(ada, {
    participants: [{ subject: 'bob', type: 'HUMAN' }, { subject: 'bot' }],
    ...input,
    configuration: { aiAssistanceEnabled: true, ...more },
  });
const analyze = (dialogId: string) => rig.subgraph.jobs['analyzeMessages']!({ tenantId: 'one', dialogId }, info);

/** Jobs that wait to answer, as they lie in the queue. */
async function waiting(): Promise<Waiting[]> {
  return (await rig.sql`
    SELECT j.key, j.payload, (extract(epoch FROM j.run_at - m.created_at) * 1000)::int AS "delayMs" FROM graphile_worker._private_jobs j
    JOIN graphile_worker._private_tasks t ON t.id = j.task_id JOIN dialog.message m ON m.id = (j.payload->>'messageId')::uuid
    WHERE t.identifier = 'dialog.autoReply'`) as unknown as Waiting[];
}

async function answerWaiting(service?: ReturnType<typeof createDialogService>): Promise<void> {
  for (const { payload } of await waiting()) await (service?.jobs() ?? rig.subgraph.jobs)['autoReply']!(payload, info);
}

async function messagesOf(dialogId: string) {
  const data = await rig.ask(
    ada,
    'query ($id: ID!) { dialogMessages(dialogId: $id, first: 100) { nodes { sequence type role senderType senderId senderSubject sender { id } replyToMessageId content { text } } } }',
    { id: dialogId },
  );
  return data['dialogMessages']!['nodes']!.map((node) => node);
}
const repliesIn = async (dialogId: string) =>
  (await messagesOf(dialogId)).filter((message) => String(message['type']) === 'AI_RESPONSE');

async function askQuestion(dialogId: string, text = question): Promise<string> {
  const sent = await rig.send(bob, dialogId, text);
  await analyze(dialogId);
  return String(sent['message']!['id']);
}

describe('automatic replies', () => {
  it('answer a person’s question from what was said before, two seconds later, once', async () => {
    const { id } = await assisted();
    await rig.send(ada, id, `Welcome. ${fact} Bring your figures.`);
    const messageId = await askQuestion(id);
    expect(await waiting()).toEqual([
      { key: `dialog.autoReply:one:${id}`, payload: { tenantId: 'one', messageId }, delayMs: 2_000 },
    ]);
    await answerWaiting();
    await answerWaiting();
    expect(await repliesIn(id)).toEqual([
      {
        sequence: 3,
        type: 'AI_RESPONSE',
        role: 'ASSISTANT',
        senderType: 'AGENT',
        senderId: null,
        senderSubject: 'assistant:deterministic',
        sender: null,
        replyToMessageId: messageId,
        content: { text: `This was said before:\n- ${fact} (message 1)` },
      },
    ]);
    const { received } = await rig.replay(bot, 'messageReceived', { dialogId: id });
    expect(received.at(-1)).toMatchObject({
      kind: 'MESSAGE',
      sequence: expect.any(Number),
      actor: 'assistant:deterministic',
    });
    expect(
      await rig.sql`SELECT actor FROM dialog.audit WHERE action = 'dialog.autoReply' AND detail->>'dialogId' = ${id}`,
    ).toEqual([{ actor: 'assistant:deterministic' }]);
    // The next message goes on behind it.
    expect((await rig.send(ada, id, 'Thanks'))['message']).toMatchObject({ sequence: 4 });
  });

  it('answer neither themselves nor other agents, nor what is not asked or not sure', async () => {
    const { id } = await assisted();
    await rig.send(ada, id, `${fact} Is the budget review of the quarterly figures in March?`);
    await askQuestion(id);
    await answerWaiting();
    await rig.sql`DELETE FROM graphile_worker._private_jobs`;
    expect(await repliesIn(id)).toHaveLength(1);
    // A reply in the form of a question, as a hosted provider may give it, starts nothing either.
    await rig.sql`UPDATE dialog.message SET text = ${question}, ai_processing = '{"actionItems": true}' WHERE dialog_id = ${id} AND type = 'AI_RESPONSE'`;
    await rig.send(bot, id, question);
    await rig.send(bob, id, 'The budget review is important.');
    await rig.send(bob, id, question, { recipients: [(await messagesOf(id))[0]!['senderId']] });
    await analyze(id);
    expect(await waiting()).toEqual([]);
    await askQuestion(id, 'Who brings the cake to the harbour festival?');
    await answerWaiting();
    expect(await repliesIn(id)).toHaveLength(1);
  });

  it('come only where the dialog wants them and nobody else has the turn', async () => {
    const plain = await rig.createDialog(ada, { participants: [{ subject: 'bob', type: 'HUMAN' }] });
    await rig.send(ada, plain.id, fact);
    await rig.send(bob, plain.id, question, { aiProcessing: { actionItems: true } });
    await analyze(plain.id);
    expect(await waiting()).toEqual([]);
    const turns = await assisted({}, { turnTaking: { mode: 'ROUND_ROBIN' } });
    await rig.send(ada, turns.id, fact);
    await askQuestion(turns.id);
    await answerWaiting();
    expect(await repliesIn(turns.id)).toEqual([]);
    const { id } = await assisted();
    await rig.send(ada, id, fact);
    await askQuestion(id);
    await rig.mutate(
      ada,
      'updateDialog',
      '$dialogId: ID!, $patch: DialogPatch!',
      { dialogId: id, patch: { configuration: { aiAssistanceEnabled: false } } },
      'dialog { id }',
    );
    await answerWaiting();
    expect(await repliesIn(id)).toEqual([]);
  });

  it.each([
    ['pauseDialog', false],
    ['pauseDialog', true],
    ['endDialog', false],
  ])('are taken back by %s (going on: %s)', async (field, goesOn) => {
    const { id } = await assisted();
    await rig.send(ada, id, fact);
    await askQuestion(id);
    expect(codesOf(await rig.mutate(ada, field, '$dialogId: ID!', { dialogId: id }, 'dialog { id }'))).toEqual([]);
    if (goesOn) await rig.mutate(ada, 'resumeDialog', '$dialogId: ID!', { dialogId: id }, 'dialog { id }');
    await answerWaiting();
    expect(await repliesIn(id)).toEqual([]);
  });

  it('say nothing to a question that was changed or taken back', async () => {
    const { id } = await assisted();
    await rig.send(ada, id, fact);
    const messageId = await askQuestion(id);
    await rig.mutate(bob, 'deleteMessage', '$messageId: ID!', { messageId }, 'message { id }');
    await answerWaiting();
    expect(await repliesIn(id)).toEqual([]);
  });

  it('are at most 20 an hour in a dialog', async () => {
    const { id } = await assisted();
    await rig.send(ada, id, fact);
    for (let n = 0; n < 20; n += 1)
      await rig.sql`INSERT INTO dialog.auto_reply (tenant_id, message_id, dialog_id) VALUES ('one', ${newId()}, ${id})`;
    await askQuestion(id);
    await answerWaiting();
    expect(await repliesIn(id)).toEqual([]);
    await rig.sql`UPDATE dialog.auto_reply SET created_at = created_at - interval '61 minutes' WHERE dialog_id = ${id}`;
    await answerWaiting();
    expect(await repliesIn(id)).toHaveLength(1);
  });

  it('draw only on what everybody there may know, memory included', async () => {
    const { id, participants } = await assisted();
    await rig.send(ada, id, fact);
    await rig.send(ada, id, 'The secret budget review takes place in April.', { recipients: [participants['bob']] });
    const note = (value: string) =>
      rig.mutate(
        ada,
        'updateMemory',
        '$dialogId: ID!, $entries: [DialogMemoryInput!]!',
        { dialogId: id, entries: [{ kind: 'LONG_TERM', key: 'budget_review', value }] },
        'entries { key }',
      );
    await note('takes place in May');
    await rig.mutate(principal('late'), 'joinDialog', '$dialogId: ID!', { dialogId: id }, 'participant { id }');
    await askQuestion(id);
    await answerWaiting();
    expect(await repliesIn(id)).toEqual([]);
    await note('takes place in March');
    await askQuestion(id);
    await answerWaiting();
    const replies = await repliesIn(id);
    expect(replies.map(({ content }) => String(content!['text']))).toEqual([
      'This was said before:\n- budget_review: takes place in March (memory)',
    ]);
  });

  it('of another provider pass the same filters as everyone’s messages', async () => {
    const { id } = await assisted();
    const texts = ['see [this](javascript:alert(1)) now', 'x'.repeat(262_145), 'in\0March', 'In March.'];
    const service = createDialogService(rig.runtime, {
      provider: {
        ...createPooledProvider(rig.runtime.compute),
        suggestReply: async () => ({ text: texts.shift()!, confidence: 1 }),
      },
    });
    await askQuestion(id);
    for (let n = 0; n < 4; n += 1) await answerWaiting(service);
    expect(texts).toEqual([]);
    expect((await repliesIn(id)).map(({ content }) => content)).toEqual([{ text: 'In March.' }]);
  });
});
