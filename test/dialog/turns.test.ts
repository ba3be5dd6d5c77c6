import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { codesOf, type DialogRig, openDialogRig, principal } from './rig.ts';

let rig: DialogRig;
const ada = principal('ada', { subjectType: 'human' });
const bot = principal('bot');
const cat = principal('cat');

beforeAll(async () => {
  rig = await openDialogRig({ QUOTA_MESSAGES_PER_MINUTE: '40', QUOTA_DIALOG_PARTICIPANTS: '5' });
});
afterAll(async () => {
  await rig[Symbol.asyncDispose]();
});

const pair = { participants: [{ subject: 'bot' }] };
const dialogArgs = '$dialogId: ID!';
const selection =
  'dialog { status statusReason pausedBy revision archivedAt endedAt conversationFlow { currentPhase turnTaking { currentTurn } } }';

describe('turns and flow', () => {
  it('goes round and refuses who is not up', async () => {
    const { id, participants } = await rig.createDialog(ada, {
      participants: [{ subject: 'bot' }, { subject: 'cat' }],
      turnTaking: { mode: 'ROUND_ROBIN' },
    });
    expect(codesOf(await rig.send(bot, id, 'me first'))).toEqual(['NOT_YOUR_TURN']);
    for (const who of [ada, bot, cat, ada]) expect(codesOf(await rig.send(who, id, 'my turn'))).toEqual([]);
    await rig.mutate(bot, 'leaveDialog', dialogArgs, { dialogId: id }, 'participant { id }');
    expect(codesOf(await rig.send(cat, id, 'bot is gone'))).toEqual([]);
    const passed = await rig.mutate(
      ada,
      'passTurn',
      `${dialogArgs}, $toParticipantId: ID`,
      { dialogId: id, toParticipantId: participants['cat'] },
      selection,
    );
    expect(passed['dialog']!['conversationFlow']!['turnTaking']!['currentTurn']).toBe(participants['cat']);
    expect(
      codesOf(
        await rig.mutate(
          ada,
          'passTurn',
          `${dialogArgs}, $toParticipantId: ID`,
          { dialogId: id, toParticipantId: participants['bot'] },
          selection,
        ),
      ),
    ).toEqual(['PARTICIPANT_NOT_FOUND']);
  });

  it('is given by the moderator, lapses in time, and may be interrupted where allowed', async () => {
    const { id, participants } = await rig.createDialog(ada, {
      ...pair,
      turnTaking: { mode: 'MODERATED', turnDurationMs: 400 },
    });
    expect(codesOf(await rig.send(bot, id, 'hello'))).toEqual(['NOT_YOUR_TURN']);
    expect(codesOf(await rig.send(ada, id, 'welcome'))).toEqual([]);
    await rig.mutate(
      ada,
      'passTurn',
      `${dialogArgs}, $toParticipantId: ID`,
      { dialogId: id, toParticipantId: participants['bot'] },
      selection,
    );
    expect(codesOf(await rig.send(bot, id, 'thanks'))).toEqual([]);
    await new Promise((resolve) => setTimeout(resolve, 450));
    expect(codesOf(await rig.send(bot, id, 'and then'))).toEqual(['NOT_YOUR_TURN']);
    await rig.mutate(
      ada,
      'updateDialog',
      `${dialogArgs}, $patch: DialogPatch!`,
      { dialogId: id, patch: { configuration: { allowInterruptions: true } } },
      selection,
    );
    expect(codesOf(await rig.send(bot, id, 'ha'))).toEqual([]);
  });

  it('advances through its states and ends in a terminal one', async () => {
    const flow = {
      initial: 'gather',
      states: [{ name: 'gather' }, { name: 'decide' }, { name: 'done', terminal: true }],
      transitions: [
        { name: 'next', from: 'gather', to: 'decide', roles: ['CONTRIBUTOR'] },
        { name: 'finish', from: 'decide', to: 'done' },
      ],
    };
    const { id } = await rig.createDialog(ada, { ...pair, flow });
    const advance = (who: typeof ada, transition: string) =>
      rig.mutate(who, 'advanceFlow', `${dialogArgs}, $transition: String!`, { dialogId: id, transition }, selection);
    expect(codesOf(await advance(ada, 'finish'))).toEqual(['INVALID_STATE_TRANSITION']);
    expect((await advance(bot, 'next'))['dialog']!['conversationFlow']!['currentPhase']).toBe('decide');
    expect(
      (
        await rig.run(
          bot,
          'mutation ($id: ID!) { advanceFlow(dialogId: $id, transition: "finish") { dialog { id } } }',
          { id },
        )
      ).errors[0]?.code,
    ).toBe('PERMISSION_DENIED');
    expect(await advance(ada, 'finish')).toMatchObject({
      dialog: { status: 'COMPLETED', statusReason: 'flow reached done' },
    });
    const other = await rig.createDialog(ada);
    const bad = await rig.mutate(
      ada,
      'setDialogFlow',
      `${dialogArgs}, $flow: DialogFlowInput`,
      { dialogId: other.id, flow: { initial: 'nowhere', states: [{ name: 'a' }], transitions: [] } },
      selection,
    );
    expect(codesOf(bad)).toEqual(['VALIDATION_FAILED']);
    expect(codesOf(await advance(ada, 'next'))).toEqual(['DIALOG_NOT_ACTIVE']);
  });
});
