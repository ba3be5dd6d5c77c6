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

describe('a replay from before the rights were lost', () => {
  const permit = (dialogId: string, participantId: string, permissions: readonly string[]) =>
    rig.mutate(
      ada,
      'updateParticipantRole',
      '$dialogId: ID!, $participantId: ID!, $patch: DialogParticipantPatch!',
      { dialogId, participantId, patch: { permissions } },
      'participant { status }',
    );
  const acknowledge = (who: typeof bot, dialogId: string, upToSequence: number) =>
    rig.mutate(who, 'ackMessages', '$dialogId: ID!, $upToSequence: Int!', { dialogId, upToSequence }, 'newCursor');

  /** What the stream tells: texts, and how far was read. */
  async function told(who: typeof bot, dialogId: string): Promise<(string | number)[]> {
    const { received } = await rig.replay(who, 'messageReceived', { dialogId, receipts: true });
    return received.map(({ kind, message, receipt }) =>
      kind === 'RECEIPT'
        ? (receipt as { readUpto: number }).readUpto
        : `${String(kind)} ${String((message as { content: { text: string } | null }).content?.text)}`,
    );
  }
  const listed = async (who: typeof bot, dialogId: string) =>
    (
      await rig.ask(who, 'query ($id: ID!) { dialogMessages(dialogId: $id) { nodes { content { text } } } }', {
        id: dialogId,
      })
    )['dialogMessages']!['nodes']!.map((node) => String(node['content']!['text']));

  it.each([
    [
      'took it from the dialog',
      async (id: string, part: string) => {
        await remove(id, part);
        return async () => {
          await invite(id, 'bot');
          await join(bot, id);
        };
      },
    ],
    [
      'let it no longer read',
      async (id: string, part: string) => {
        await permit(id, part, ['WRITE']);
        return async () => void (await permit(id, part, ['READ', 'WRITE']));
      },
    ],
  ])('tells nothing of what happened after a moderator %s', async (_name, lose) => {
    const { id, participants } = await rig.createDialog(ada, trio);
    await rig.send(ada, id, 'before');
    await acknowledge(cat, id, 1);
    const regain = await lose(id, participants['bot']!);
    const away = await rig.send(ada, id, 'meanwhile');
    await acknowledge(cat, id, 2);
    const messageId = String(away['message']!['id']);
    await rig.mutate(
      ada,
      'editMessage',
      '$messageId: ID!, $content: MessageContentInput!',
      {
        ...{ messageId, content: { text: 'meanwhile, changed' } },
      },
      'message { id }',
    );
    await rig.mutate(
      cat,
      'reactToMessage',
      '$messageId: ID!, $type: String!',
      { messageId, type: 'like' },
      'message { id }',
    );
    await note(ada, id, 'secret');
    await expect(rig.replay(bot, 'messageReceived', { dialogId: id })).rejects.toMatchObject({
      code: 'NOT_A_PARTICIPANT',
    });
    await regain();
    await rig.send(ada, id, 'after');
    await acknowledge(cat, id, 3);
    expect(await told(bot, id)).toEqual(['MESSAGE before', 1, 'MESSAGE after', 3]);
    expect(await listed(bot, id)).toEqual(['before', 'after']);
    expect((await reads(bot, id)).keys).toEqual([]);
    expect(await told(cat, id)).toEqual([
      ...['MESSAGE before', 1, 'MESSAGE meanwhile', 2, 'EDIT meanwhile, changed'],
      ...['REACTION meanwhile, changed', 'MESSAGE after', 3],
    ]);
    // A stream that ran meanwhile was ended, and what is told live follows the stay that began anew.
    const gate = await dialogSubscriptions['messageReceived']!.admit(bot, { dialogId: id }, rig);
    await permit(id, participants['bot']!, ['WRITE']);
    const before = rig.events.length;
    await rig.send(ada, id, 'unheard');
    const change = (await rig.stream(id)).filter(({ type }) => type === 'dialog.participant.updated').at(-1)!;
    expect(gate.decide(change)).toBe('end');
    expect(rig.events.length).toBeGreaterThan(before);
  });

  it('tells all of it where the dialog shows its history', async () => {
    const { id, participants } = await rig.createDialog(ada, { ...trio, configuration: { showHistory: true } });
    await rig.send(ada, id, 'before');
    await remove(id, participants['bot']!);
    await rig.send(ada, id, 'meanwhile');
    await invite(id, 'bot');
    await join(bot, id);
    expect(await told(bot, id)).toEqual(['MESSAGE before', 'MESSAGE meanwhile']);
  });

  it('tells nothing of how a closed dialog stood meanwhile', async () => {
    for (const visibility of ['PARTICIPANTS', 'TENANT']) {
      const { id, participants } = await rig.createDialog(ada, { ...trio, configuration: { visibility } });
      const move = (field: string, args: string, variables: object) =>
        rig.mutate(ada, field, `$dialogId: ID!${args}`, { dialogId: id, ...variables }, 'dialog { status }');
      const pause = async (reason: string) => {
        expect(codesOf(await move('pauseDialog', ', $reason: String', { reason }))).toEqual([]);
        expect(codesOf(await move('resumeDialog', '', {}))).toEqual([]);
      };
      await pause('before');
      for (const secret of ['once', 'twice']) {
        await remove(id, participants['bot']!);
        await pause(secret);
        await invite(id, 'bot');
        await join(bot, id);
      }
      await pause('after');
      const reasons = async (who: typeof bot, afterSequence = 0) =>
        (await rig.replay(who, 'dialogStatusChanged', { dialogId: id }, afterSequence)).received.flatMap(
          ({ reason }) => (reason as string | null) ?? [],
        );
      const all = ['before', 'once', 'twice', 'after'];
      expect(await reasons(cat)).toEqual(all);
      expect(await reasons(bot)).toEqual(visibility === 'TENANT' ? all : ['before', 'after']);
      // From a place within its absence as well.
      const [away] = (await rig.stream(id)).filter(({ type }) => type === 'dialog.participant.removed');
      expect(await reasons(bot, away!.sequence)).toEqual(visibility === 'TENANT' ? all.slice(1) : ['after']);
    }
  });
});
