import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { StartedModule } from '#shared/subgraph.ts';
import { codesOf, type DialogRig, openDialogRig, principal } from './rig.ts';

let rig: DialogRig;
let started: StartedModule;
const ada = principal('ada', { subjectType: 'human' });
const bot = principal('bot');
const job = { attempt: 1, jobId: '1', signal: new AbortController().signal };

beforeAll(async () => {
  rig = await openDialogRig();
  started = await rig.subgraph.start();
});
afterAll(async () => {
  await started.close();
  await rig[Symbol.asyncDispose]();
});

describe('presence', () => {
  it.each(['leaveDialog', 'removeDialogParticipant'])('ends with the part: %s', async (field) => {
    const { id, participants } = await rig.createDialog(ada, { participants: [{ subject: 'bot' }] });
    for (const who of [ada, bot]) await rig.mutate(who, 'setPresence', '$dialogId: ID!', { dialogId: id }, 'ok');
    const present = async () =>
      (await rig.ask(ada, 'query ($id: ID!) { dialogPresence(dialogId: $id) { subject } }', { id }))[
        'dialogPresence'
      ]!.map((entry) => entry['subject']);
    expect(await present()).toEqual(['ada', 'bot']);
    if (field === 'leaveDialog') await rig.mutate(bot, field, '$dialogId: ID!', { dialogId: id }, 'participant { id }');
    else
      await rig.mutate(
        ada,
        field,
        '$dialogId: ID!, $participantId: ID!',
        { dialogId: id, participantId: participants['bot'] },
        'participant { id }',
      );
    expect(await present()).toEqual(['ada']);
  });

  it('who may not write is not shown as writing', async () => {
    const { id } = await rig.createDialog(ada, { participants: [{ subject: 'bot', role: 'OBSERVER' }] });
    const heard = rig.events.length;
    const typing = await rig.mutate(bot, 'setTyping', '$dialogId: ID!', { dialogId: id }, 'ok');
    expect(codesOf(typing)).toEqual(['NOT_A_PARTICIPANT']);
    expect(rig.events.slice(heard)).toEqual([]);
  });
});

describe('permissions', () => {
  it('APPROVE, REJECT and REQUEST_CHANGES are needed to decide so, and the audit tells of it', async () => {
    const { id } = await rig.createDialog(ada, {
      participants: [
        { subject: 'bot', role: 'APPROVER' },
        { subject: 'eve', permissions: ['READ', 'WRITE', 'REJECT'] },
      ],
    });
    const decide = async (who: typeof bot, decision: string) =>
      (
        await rig.run(who, 'mutation ($input: SendMessageInput!) { sendMessage(input: $input) { message { id } } }', {
          input: { dialogId: id, type: 'DECISION', content: { text: 'so be it', structuredData: { decision } } },
        })
      ).errors.map(({ code }) => code);
    const eve = principal('eve');
    expect(await decide(eve, 'approved')).toEqual(['PERMISSION_DENIED']);
    expect(await decide(eve, 'changes_requested')).toEqual(['PERMISSION_DENIED']);
    expect(await decide(eve, 'rejected')).toEqual([]);
    expect(await decide(eve, 'postponed')).toEqual([]);
    expect(await decide(bot, 'approved')).toEqual([]);
    const audit = await rig.sql<{ actor: string; action: string; decision: string | null }[]>`
      SELECT actor, action, detail->>'decision' AS decision FROM dialog.audit WHERE detail->>'dialogId' = ${id} AND action <> 'dialog.sendMessage' ORDER BY detail->>'sequence', action DESC`;
    expect(audit).toEqual([
      { actor: 'eve', action: 'dialog.makeDecision', decision: 'rejected' },
      { actor: 'eve', action: 'dialog.makeDecision', decision: null },
      { actor: 'bot', action: 'dialog.makeDecision', decision: 'approved' },
      { actor: 'bot', action: 'dialog.giveApproval', decision: 'approved' },
    ]);
  });

  it('INITIATE_TOPICS is needed to begin a topic, not to go on with one', async () => {
    const { id } = await rig.createDialog(ada, { participants: [{ subject: 'bot', permissions: ['READ', 'WRITE'] }] });
    const begun = await rig.send(ada, id, 'About the budget', { topic: 'budget' });
    const send = (more: Record<string, unknown>) =>
      rig.run(bot, 'mutation ($input: SendMessageInput!) { sendMessage(input: $input) { message { topic } } }', {
        input: { dialogId: id, content: { text: 'hm' }, topic: 'budget', ...more },
      });
    expect((await send({})).errors).toMatchObject([{ code: 'PERMISSION_DENIED' }]);
    expect((await send({ replyTo: begun['message']!['id'] })).errors).toEqual([]);
    expect(await rig.sql`SELECT count(*)::int AS n FROM dialog.message WHERE dialog_id = ${id}`).toEqual([{ n: 2 }]);
  });
});

describe('status', () => {
  it('of a dialog that is for its participants is for those too who are invited, and not for strangers', async () => {
    const { id } = await rig.createDialog(ada, {
      participants: [{ subject: 'bot', invited: true }],
      configuration: { visibility: 'PARTICIPANTS' },
    });
    expect(
      await rig.ask(bot, 'query ($id: ID!) { dialog(id: $id) { status viewer { status } } }', { id }),
    ).toMatchObject({ dialog: { status: 'ACTIVE', viewer: { status: 'INVITED' } } });
    await rig.mutate(ada, 'pauseDialog', '$dialogId: ID!', { dialogId: id }, 'dialog { id }');
    expect((await rig.replay(bot, 'dialogStatusChanged', { dialogId: id })).received).toMatchObject([
      { status: 'PAUSED' },
    ]);
    await expect(rig.replay(bot, 'messageReceived', { dialogId: id })).rejects.toThrow('takes no active part');
    await expect(rig.replay(principal('outsider'), 'dialogStatusChanged', { dialogId: id })).rejects.toThrow(
      'no such dialog',
    );
  });

  it('goes on for who joined after subscribing when the dialog closes itself to all others', async () => {
    const { id } = await rig.createDialog(ada);
    const [cat, dog] = [principal('cat'), principal('dog')];
    const gates = await Promise.all([cat, dog].map((who) => rig.replay(who, 'dialogStatusChanged', { dialogId: id })));
    const before = (await rig.stream(id)).at(-1)!.sequence;
    await rig.mutate(cat, 'joinDialog', '$dialogId: ID!', { dialogId: id }, 'participant { id }');
    await rig.mutate(
      ada,
      'updateDialog',
      '$dialogId: ID!, $patch: DialogPatch!',
      { dialogId: id, patch: { configuration: { visibility: 'PARTICIPANTS' } } },
      'dialog { id }',
    );
    await rig.mutate(ada, 'pauseDialog', '$dialogId: ID!', { dialogId: id }, 'dialog { id }');
    const news = await rig.stream(id, 'one', before);
    expect(gates.map(({ gate }) => news.map((event) => gate.decide(event)))).toEqual([
      ['deliver', 'deliver', 'deliver'],
      ['deliver', 'end', 'end'],
    ]);
  });

  it('of a dialog that closes itself to all but its participants is theirs alone from then on', async () => {
    const { id } = await rig.createDialog(ada, { participants: [{ subject: 'bot' }] });
    const gates = await Promise.all(
      [principal('outsider'), bot, ada].map((who) => rig.replay(who, 'dialogStatusChanged', { dialogId: id })),
    );
    await rig.mutate(ada, 'pauseDialog', '$dialogId: ID!', { dialogId: id }, 'dialog { id }');
    await rig.mutate(
      ada,
      'updateDialog',
      '$dialogId: ID!, $patch: DialogPatch!',
      { dialogId: id, patch: { configuration: { visibility: 'PARTICIPANTS' } } },
      'dialog { id }',
    );
    await rig.mutate(ada, 'resumeDialog', '$dialogId: ID!', { dialogId: id }, 'dialog { id }');
    const news = (await rig.stream(id)).slice(-3);
    expect(gates.map(({ gate }) => news.map((event) => gate.decide(event)))).toEqual([
      ['deliver', 'end', 'end'],
      ['deliver', 'deliver', 'deliver'],
      ['deliver', 'deliver', 'deliver'],
    ]);
  });
});

describe('analysis', () => {
  it('of an edited message is that of its new text', async () => {
    const { id } = await rig.createDialog(ada, { participants: [{ subject: 'bot' }] });
    const sent = await rig.send(ada, id, 'I will send the report by Friday.', { aiProcessing: { actionItems: true } });
    const analyze = async () => {
      const jobs = await rig.sql<{ payload: unknown }[]>`
        DELETE FROM graphile_worker._private_jobs j USING graphile_worker._private_tasks t
        WHERE t.id = j.task_id AND t.identifier = 'dialog.analyzeMessages' RETURNING j.payload`;
      for (const { payload } of jobs) await rig.subgraph.jobs['analyzeMessages']!(payload, job);
    };
    const found = async () => {
      const data = await rig.ask(
        bot,
        'query ($id: ID!) { dialogMessages(dialogId: $id) { nodes { analysis { actionItems { action } decisions { text } } } threadSummary { openActionItems } } }',
        { id },
      );
      return data['dialogMessages'];
    };
    await analyze();
    expect(await found()).toMatchObject({ threadSummary: { openActionItems: 1 } });
    const edit = (text: string) =>
      rig.mutate(
        ada,
        'editMessage',
        '$messageId: ID!, $content: MessageContentInput!',
        { messageId: sent['message']!['id'], content: { text } },
        'message { id }',
      );
    await edit('We decided to cancel the report.');
    // Nothing is better than what was found in words that are gone.
    expect(await found()).toEqual({ nodes: [{ analysis: null }], threadSummary: { openActionItems: 0 } });
    await analyze();
    expect(await found()).toMatchObject({
      nodes: [{ analysis: { actionItems: [], decisions: [expect.anything()] } }],
      threadSummary: { openActionItems: 0 },
    });
    const { received } = await rig.replay(bot, 'aiAnalysisCompleted', { dialogId: id });
    expect(received).toHaveLength(2);
    await analyze();
    expect((await rig.replay(bot, 'aiAnalysisCompleted', { dialogId: id })).received).toHaveLength(2);
  });
});

describe('read receipts', () => {
  it.each([true, false])('are shown to the others as the dialog wants it: %s', async (readReceipts) => {
    const { id, participants } = await rig.createDialog(ada, {
      participants: [{ subject: 'bot' }],
      configuration: { readReceipts },
    });
    await rig.send(ada, id, 'x', { requiresResponse: true });
    await rig.mutate(
      bot,
      'ackMessages',
      '$dialogId: ID!, $upToSequence: Int!',
      { dialogId: id, upToSequence: 1 },
      'newCursor',
    );
    const seenBy = async (who: typeof ada) => {
      const data = await rig.ask(
        who,
        `query ($id: ID!) { dialog(id: $id) { participants { nodes { id receipts { deliveredUpto readUpto readAt unread } } }
          messages { nodes { deliveryStatus { delivered details { participantId status } } readStatus { participantId } } } } }`,
        { id },
      );
      const bots = data['dialog']!['participants']!['nodes']!.flatMap((row) =>
        String(row['id']) === participants['bot'] ? [row['receipts']!] : [],
      );
      return { receipts: bots[0], message: data['dialog']!['messages']!['nodes']!.map((row) => row)[0] };
    };
    const read = {
      receipts: { deliveredUpto: 1, readUpto: 1, readAt: expect.any(String), unread: 0 },
      message: {
        deliveryStatus: { delivered: 1, details: [{ participantId: participants['bot'], status: 'READ' }] },
        readStatus: [{ participantId: participants['bot'] }],
      },
    };
    expect(await seenBy(bot)).toEqual(read);
    expect(await seenBy(ada)).toEqual(
      readReceipts
        ? read
        : {
            receipts: { deliveredUpto: 1, readUpto: 0, readAt: null, unread: 0 },
            message: {
              deliveryStatus: { delivered: 1, details: [{ participantId: participants['bot'], status: 'DELIVERED' }] },
              readStatus: [],
            },
          },
    );
  });
});
