import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { newId } from '#shared/ids.ts';
import { dialogSubscriptions } from '../../subgraphs/dialog/subscriptions.ts';
import { codesOf, type DialogRig, openDialogRig, principal } from './rig.ts';

let rig: DialogRig;
const ada = principal('ada');
const bot = principal('bot');
const cat = principal('cat');
const observer = principal('observer', { scopes: ['dialog:read', 'dialog:observe'] });
const trio = { participants: [{ subject: 'bot' }, { subject: 'cat' }] };

beforeAll(async () => {
  rig = await openDialogRig();
});
afterAll(async () => {
  await rig[Symbol.asyncDispose]();
});

const leave = (dialogId: string) =>
  rig.mutate(bot, 'leaveDialog', '$dialogId: ID!', { dialogId }, 'participant { status }');
const join = (who: typeof bot, dialogId: string) =>
  rig.mutate(who, 'joinDialog', '$dialogId: ID!', { dialogId }, 'participant { status }');
const remove = (dialogId: string, participantId: string) =>
  rig.mutate(
    ada,
    'removeDialogParticipant',
    '$dialogId: ID!, $participantId: ID!',
    { dialogId, participantId },
    'participant { status }',
  );
const invite = (dialogId: string, subject: string) =>
  rig.mutate(
    ada,
    'inviteParticipant',
    '$input: InviteParticipantInput!',
    { input: { dialogId, participant: { subject } } },
    'participant { status }',
  );

const ask = (who: typeof bot, dialogId: string, range: Readonly<Record<string, number>> = {}) =>
  rig.mutate(
    who,
    'generateSummary',
    '$dialogId: ID!, $fromSequence: Int, $toSequence: Int',
    { dialogId, ...range },
    'summary { summaryId fromSequence toSequence }',
  );

async function summarize(who: typeof bot, dialogId: string, range: Readonly<Record<string, number>> = {}) {
  const asked = await ask(who, dialogId, range);
  expect(codesOf(asked)).toEqual([]);
  const summaryId = String(asked['summary']!['summaryId']);
  await rig.subgraph.jobs['summarize']!(
    { tenantId: 'one', summaryId },
    { attempt: 1, jobId: '1', signal: new AbortController().signal },
  );
  return summaryId;
}

const note = (who: typeof bot, dialogId: string, key: string) =>
  rig.mutate(
    who,
    'updateMemory',
    '$dialogId: ID!, $entries: [DialogMemoryInput!]!',
    { dialogId, entries: [{ kind: 'LONG_TERM', key, value: `about ${key}` }] },
    'entries { key }',
  );

async function reads(who: typeof bot, dialogId: string) {
  const { data, errors } = await rig.run(
    who,
    `query ($id: ID!) {
      dialogSummary(dialogId: $id) { fromSequence toSequence text }
      dialogMemory(dialogId: $id) { key }
      dialog(id: $id) { memoryContext { longTerm { key } conversationSummary keyTopics } }
    }`,
    { id: dialogId },
  );
  expect(errors).toEqual([]);
  const summary = data['dialogSummary'] as never as { fromSequence: number; toSequence: number; text: string } | null;
  const memory = data['dialog']!['memoryContext']!;
  expect(memory['longTerm']!.map((entry) => entry['key']).sort()).toEqual(
    data['dialogMemory']!.map((entry) => entry['key']).sort(),
  );
  expect(memory['conversationSummary'] ?? null).toEqual(summary?.text ?? null);
  if (summary === null) expect(memory['keyTopics']).toEqual([]);
  return {
    range: summary && [summary.fromSequence, summary.toSequence],
    keys: data['dialogMemory']!.map((entry) => String(entry['key'])).sort(),
  };
}

describe('what was made of messages', () => {
  it('is not for who left before they were said', async () => {
    const { id } = await rig.createDialog(ada, trio);
    await rig.send(ada, id, 'The harbour was closed by the storm.');
    await rig.send(cat, id, 'We decided to open the harbour again.');
    await summarize(ada, id);
    await note(ada, id, 'harbour');
    await leave(id);
    await rig.send(ada, id, 'The salary of Bob was decided to be doubled.');
    await note(ada, id, 'salary');
    expect(await reads(bot, id)).toEqual({ range: [1, 2], keys: ['harbour'] });
    await summarize(ada, id);
    expect(await reads(cat, id)).toEqual({ range: [1, 3], keys: ['harbour', 'salary'] });
    // The newest that tells nothing of what it did not hear, not none at all.
    expect(await reads(bot, id)).toEqual({ range: [1, 2], keys: ['harbour'] });
    // What is written anew belongs to those who are there now.
    await note(cat, id, 'harbour');
    expect(await reads(bot, id)).toEqual({ range: [1, 2], keys: [] });
    expect(await reads(observer, id)).toEqual({ range: [1, 3], keys: ['harbour', 'salary'] });
  });

  it('is not for who was away meanwhile', async () => {
    const { id, participants } = await rig.createDialog(ada, trio);
    await rig.send(ada, id, 'The harbour was closed by the storm.');
    await remove(id, participants['bot']!);
    await rig.send(ada, id, 'The salary of Bob was decided to be doubled.');
    await note(ada, id, 'salary');
    await invite(id, 'bot');
    expect(codesOf(await join(bot, id))).toEqual([]);
    await rig.send(ada, id, 'Welcome back to the harbour, we decided to open it.');
    await note(ada, id, 'harbour');
    await summarize(ada, id);
    expect(await reads(bot, id)).toEqual({ range: null, keys: ['harbour'] });
    expect((await rig.replay(bot, 'aiAnalysisCompleted', { dialogId: id })).received).toEqual([]);
    expect((await rig.replay(cat, 'aiAnalysisCompleted', { dialogId: id })).received).toHaveLength(1);
    // It asks for what it was there for: its last stay, or another.
    for (const range of [{ fromSequence: 1 }, { fromSequence: 2 }, { fromSequence: 1, toSequence: 3 }])
      if (range.fromSequence === 2 || range.toSequence)
        expect(codesOf(await ask(bot, id, range))).toEqual(['HISTORY_FORBIDDEN']);
      else expect((await ask(bot, id, range))['summary']).toMatchObject({ fromSequence: 1, toSequence: 1 });
    expect((await ask(bot, id))['summary']).toMatchObject({ fromSequence: 3, toSequence: 3 });
    await summarize(bot, id);
    expect(await reads(bot, id)).toEqual({ range: [3, 3], keys: ['harbour'] });
    await summarize(cat, id, { fromSequence: 1, toSequence: 1 });
    expect(await reads(bot, id)).toEqual({ range: [1, 1], keys: ['harbour'] });
  });

  it('is for who was away while nothing was said', async () => {
    const { id } = await rig.createDialog(ada, trio);
    await rig.send(ada, id, 'The harbour was closed by the storm.');
    await leave(id);
    await note(ada, id, 'alone');
    await join(bot, id);
    await rig.send(ada, id, 'We decided to open the harbour again.');
    await summarize(ada, id);
    expect(await reads(bot, id)).toEqual({ range: [1, 2], keys: [] });
  });

  it('is not for who came later, unless the history is for all', async () => {
    for (const showHistory of [false, true]) {
      const { id } = await rig.createDialog(ada, { ...trio, configuration: { showHistory } });
      await rig.send(ada, id, 'The harbour was closed by the storm.');
      await note(ada, id, 'harbour');
      const late = principal(`late-${newId()}`);
      await join(late, id);
      await rig.send(ada, id, 'We decided to open the harbour again.');
      await summarize(ada, id);
      expect(await reads(late, id)).toEqual(
        showHistory ? { range: [1, 2], keys: ['harbour'] } : { range: null, keys: [] },
      );
      await note(late, id, 'own');
      expect((await reads(late, id)).keys).toContain('own');
    }
  });

  it('is not sent live to who came back', async () => {
    const { id, participants } = await rig.createDialog(ada, trio);
    await rig.send(ada, id, 'The harbour was closed by the storm.');
    await remove(id, participants['bot']!);
    await rig.send(ada, id, 'The salary of Bob was decided to be doubled.');
    await invite(id, 'bot');
    await join(bot, id);
    await rig.send(ada, id, 'We decided to open the harbour again.');
    const gates = await Promise.all(
      [bot, cat].map((who) => dialogSubscriptions['aiAnalysisCompleted']!.admit(who, { dialogId: id }, rig)),
    );
    const heard = async (of: () => Promise<unknown>) => {
      const before = rig.events.length;
      await of();
      const [event] = rig.events.slice(before).filter((one) => one.type === 'dialog.summary.completed');
      return gates.map((gate) => gate.decide(event!));
    };
    expect(await heard(() => summarize(ada, id))).toEqual(['skip', 'deliver']);
    expect(await heard(() => summarize(ada, id, { fromSequence: 2, toSequence: 3 }))).toEqual(['skip', 'deliver']);
    expect(await heard(() => summarize(ada, id, { fromSequence: 3, toSequence: 3 }))).toEqual(['deliver', 'deliver']);
    expect(await heard(() => summarize(ada, id, { fromSequence: 1, toSequence: 1 }))).toEqual(['deliver', 'deliver']);
  });
});
