import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { newId } from '#shared/ids.ts';
import { codesOf, type DialogRig, openDialogRig, principal } from './rig.ts';

let rig: DialogRig;
const ada = principal('ada', { subjectType: 'human' });
const bot = principal('bot');
const cat = principal('cat');
const eve = principal('eve');
const warden = principal('warden', { scopes: ['dialog:*', 'context:read'] });

beforeAll(async () => {
  rig = await openDialogRig({ QUOTA_MESSAGES_PER_MINUTE: '40', QUOTA_DIALOG_PARTICIPANTS: '5' });
});
afterAll(async () => {
  await rig[Symbol.asyncDispose]();
});

const words = Array.from({ length: 40_000 }, (_, n) => `word${n}`).join(' ');
const pair = { participants: [{ subject: 'bot' }] };
const dialogArgs = '$dialogId: ID!';
const selection =
  'dialog { status statusReason pausedBy revision archivedAt endedAt conversationFlow { currentPhase turnTaking { currentTurn } } }';

describe('states', () => {
  it('runs active, paused, active, completed, archived, by those who may', async () => {
    const { id } = await rig.createDialog(ada, pair);
    expect(
      await rig.run(bot, 'mutation ($id: ID!) { pauseDialog(dialogId: $id) { dialog { id } } }', { id }),
    ).toMatchObject({ errors: [{ code: 'PERMISSION_DENIED' }] });
    expect(
      await rig.mutate(
        ada,
        'pauseDialog',
        `${dialogArgs}, $reason: String`,
        { dialogId: id, reason: 'lunch' },
        selection,
      ),
    ).toMatchObject({ dialog: { status: 'PAUSED', statusReason: 'lunch', pausedBy: 'USER', revision: 2 } });
    expect(codesOf(await rig.send(bot, id, 'still there?'))).toEqual(['DIALOG_NOT_ACTIVE']);
    expect(await rig.send(ada, id, 'back at two', { type: 'SYSTEM' })).toMatchObject({
      message: { role: 'SYSTEM', senderType: 'SYSTEM' },
    });
    expect(codesOf(await rig.mutate(ada, 'pauseDialog', dialogArgs, { dialogId: id }, selection))).toEqual([
      'INVALID_STATE_TRANSITION',
    ]);
    expect(codesOf(await rig.mutate(ada, 'archiveDialog', dialogArgs, { dialogId: id }, selection))).toEqual([
      'INVALID_STATE',
    ]);
    expect(await rig.mutate(ada, 'resumeDialog', dialogArgs, { dialogId: id }, selection)).toMatchObject({
      dialog: { status: 'ACTIVE', pausedBy: null },
    });
    expect(
      codesOf(
        await rig.mutate(
          ada,
          'endDialog',
          `${dialogArgs}, $expectedVersion: Int`,
          { dialogId: id, expectedVersion: 1 },
          selection,
        ),
      ),
    ).toEqual(['VERSION_CONFLICT']);
    expect(
      await rig.mutate(ada, 'endDialog', `${dialogArgs}, $reason: String`, { dialogId: id, reason: 'done' }, selection),
    ).toMatchObject({ dialog: { status: 'COMPLETED', statusReason: 'done', endedAt: expect.any(String) } });
    expect(codesOf(await rig.send(ada, id, 'one more thing'))).toEqual(['DIALOG_NOT_ACTIVE']);
    expect(codesOf(await rig.mutate(ada, 'resumeDialog', dialogArgs, { dialogId: id }, selection))).toEqual([
      'INVALID_STATE_TRANSITION',
    ]);
    expect(await rig.mutate(ada, 'archiveDialog', dialogArgs, { dialogId: id }, selection)).toMatchObject({
      dialog: { status: 'COMPLETED', archivedAt: expect.any(String) },
    });
    const { received } = await rig.replay(ada, 'dialogStatusChanged', { dialogId: id });
    expect(received.map(({ previousStatus, status, archived }) => [previousStatus, status, archived])).toEqual([
      ['ACTIVE', 'PAUSED', false],
      ['PAUSED', 'ACTIVE', false],
      ['ACTIVE', 'COMPLETED', false],
      ['COMPLETED', 'COMPLETED', true],
    ]);
  });

  it('is cancelled by creator or administrator only', async () => {
    const { id } = await rig.createDialog(ada, { participants: [{ subject: 'bot', role: 'MODERATOR' }] });
    const cancel =
      'mutation ($id: ID!) { endDialog(dialogId: $id, outcome: CANCELLED) { dialog { status } userErrors { code } } }';
    expect((await rig.run(bot, cancel, { id })).errors[0]?.code).toBe('PERMISSION_DENIED');
    expect((await rig.ask(warden, cancel, { id }))['endDialog']!['dialog']!['status']).toBe('CANCELLED');
  });

  it('needs an open context', async () => {
    const closed = rig.openContext('one', 'CLOSED');
    const create = (contextId: string) =>
      rig.mutate(
        ada,
        'createDialog',
        '$input: CreateDialogInput!',
        { input: { name: 'x', contextId } },
        'dialog { id }',
      );
    expect(codesOf(await create(closed))).toEqual(['CONTEXT_NOT_ACTIVE']);
    expect(codesOf(await create(newId()))).toEqual(['NOT_FOUND']);
    expect(codesOf(await create('ctx-001'))).toEqual(['VALIDATION_FAILED']);
    expect(codesOf(await create(rig.openContext('two')))).toEqual(['NOT_FOUND']);
  });

  it('answers a repeated creation with the first', async () => {
    const contextId = rig.openContext();
    const create = (name: string) =>
      rig.mutate(
        ada,
        'createDialog',
        '$input: CreateDialogInput!',
        { input: { name, contextId, idempotencyKey: 'same' } },
        'dialog { id name }',
      );
    const [first, second] = await Promise.all([create('x'), create('x')]);
    expect(second['dialog']).toEqual(first['dialog']);
    expect((await create('x'))['dialog']).toEqual(first['dialog']);
    expect(codesOf(await create('y'))).toEqual(['IDEMPOTENCY_MISMATCH']);
  });
});

describe('membership', () => {
  it('takes in who is invited and keeps out who was removed', async () => {
    const { id } = await rig.createDialog(ada, { configuration: { visibility: 'PARTICIPANTS' } });
    expect((await rig.ask(eve, 'query ($id: ID!) { dialog(id: $id) { id } }', { id }))['dialog']).toBeNull();
    expect(codesOf(await rig.mutate(eve, 'joinDialog', dialogArgs, { dialogId: id }, 'participant { id }'))).toEqual([
      'NOT_FOUND',
    ]);
    const invite = (subject: string) =>
      rig.mutate(
        ada,
        'inviteParticipant',
        '$input: InviteParticipantInput!',
        { input: { dialogId: id, participant: { subject } } },
        'participant { id status } dialog { participantCount }',
      );
    const invited = await invite('eve');
    expect(invited).toMatchObject({ participant: { status: 'INVITED' }, dialog: { participantCount: 2 } });
    expect(codesOf(await invite('eve'))).toEqual(['PARTICIPANT_ALREADY_EXISTS']);
    expect(codesOf(await rig.send(eve, id, 'early'))).toEqual(['NOT_A_PARTICIPANT']);
    expect(
      await rig.mutate(eve, 'joinDialog', dialogArgs, { dialogId: id }, 'participant { id status }'),
    ).toMatchObject({ participant: { id: invited['participant']!['id'], status: 'ACTIVE' } });
    expect(codesOf(await rig.mutate(eve, 'joinDialog', dialogArgs, { dialogId: id }, 'participant { id }'))).toEqual([
      'PARTICIPANT_ALREADY_EXISTS',
    ]);
    expect(codesOf(await rig.send(eve, id, 'now'))).toEqual([]);
    const remove = await rig.mutate(
      ada,
      'removeDialogParticipant',
      `${dialogArgs}, $participantId: ID!, $reason: String`,
      { dialogId: id, participantId: invited['participant']!['id'], reason: 'rude' },
      'participant { status statusReason } dialog { participantCount }',
    );
    expect(remove).toMatchObject({
      participant: { status: 'REMOVED', statusReason: 'rude' },
      dialog: { participantCount: 1 },
    });
    expect(codesOf(await rig.send(eve, id, 'hey'))).toEqual(['NOT_FOUND']);
    await invite('eve');
    expect(codesOf(await rig.mutate(eve, 'joinDialog', dialogArgs, { dialogId: id }, 'participant { id }'))).toEqual(
      [],
    );
    expect(codesOf(await rig.send(eve, id, 'sorry'))).toEqual([]);
    expect(await rig.mutate(eve, 'leaveDialog', dialogArgs, { dialogId: id }, 'participant { status }')).toMatchObject({
      participant: { status: 'LEFT' },
    });
    expect(
      codesOf(await rig.mutate(eve, 'leaveDialog', dialogArgs, { dialogId: id }, 'participant { status }')),
    ).toEqual(['NOT_A_PARTICIPANT']);
  });

  it('is open to the tenant where the dialog is, up to its size', async () => {
    const { id } = await rig.createDialog(ada, { configuration: { maxParticipants: 2 } });
    expect(codesOf(await rig.mutate(bot, 'joinDialog', dialogArgs, { dialogId: id }, 'participant { id }'))).toEqual(
      [],
    );
    expect(codesOf(await rig.mutate(cat, 'joinDialog', dialogArgs, { dialogId: id }, 'participant { id }'))).toEqual([
      'QUOTA_EXCEEDED',
    ]);
    const closed = await rig.createDialog(ada, { configuration: { allowJoinMidConversation: false } });
    await rig.send(ada, closed.id, 'begun');
    expect(
      codesOf(await rig.mutate(cat, 'joinDialog', dialogArgs, { dialogId: closed.id }, 'participant { id }')),
    ).toEqual(['INVALID_STATE']);
    const many = await rig.mutate(
      ada,
      'createDialog',
      '$input: CreateDialogInput!',
      {
        input: {
          name: 'x',
          contextId: rig.openContext(),
          participants: Array.from({ length: 5 }, (_, n) => ({ subject: `p${n}` })),
        },
      },
      'dialog { id }',
    );
    expect(codesOf(many)).toEqual(['QUOTA_EXCEEDED']);
  });

  it('hides what was said before joining, unless history is shown', async () => {
    for (const showHistory of [false, true]) {
      const { id } = await rig.createDialog(ada, { configuration: { showHistory } });
      await rig.send(ada, id, 'before 1');
      await rig.send(ada, id, 'before 2');
      await rig.mutate(bot, 'joinDialog', dialogArgs, { dialogId: id }, 'participant { id }');
      await rig.send(ada, id, 'after');
      const seen = await rig.ask(
        bot,
        'query ($id: ID!) { dialogMessages(dialogId: $id, first: 10) { nodes { sequence } } dialogInbox(dialogId: $id) { messages { sequence } } }',
        { id },
      );
      const expected = showHistory ? [1, 2, 3] : [3];
      expect(seen['dialogMessages']!['nodes']!.map((node) => node['sequence'])).toEqual(expected);
      expect(seen['dialogInbox']!['messages']!.map((node) => node['sequence'])).toEqual(expected);
      const before = await rig.run(
        bot,
        'query ($id: ID!) { dialogMessages(dialogId: $id, filter: { toSequence: 2 }) { totalCount } }',
        { id },
      );
      expect(before.errors[0]?.code).toBe(showHistory ? undefined : 'HISTORY_FORBIDDEN');
      expect(
        (await rig.run(eve, 'query ($id: ID!) { dialogMessages(dialogId: $id) { totalCount } }', { id })).errors[0]
          ?.code,
      ).toBe('HISTORY_FORBIDDEN');
      const { received } = await rig.replay(bot, 'messageReceived', { dialogId: id });
      expect(received.map((event) => (event['message'] as { sequence: number }).sequence)).toEqual(expected);
    }
  });

  it('lets permissions be changed by moderators only', async () => {
    const { id, participants } = await rig.createDialog(ada, pair);
    const change =
      'mutation ($id: ID!, $who: ID!, $patch: DialogParticipantPatch!) { updateParticipantRole(dialogId: $id, participantId: $who, patch: $patch) { participant { role permissions timezone } userErrors { code } } }';
    expect(
      (await rig.run(bot, change, { id, who: participants['bot'], patch: { role: 'MODERATOR' } })).errors[0]?.code,
    ).toBe('PERMISSION_DENIED');
    expect(
      (await rig.ask(bot, change, { id, who: participants['bot'], patch: { timezone: 'Europe/Athens' } }))[
        'updateParticipantRole'
      ]!['participant']!['timezone'],
    ).toBe('Europe/Athens');
    expect(
      (await rig.ask(ada, change, { id, who: participants['bot'], patch: { role: 'OBSERVER' } }))[
        'updateParticipantRole'
      ],
    ).toMatchObject({ participant: { role: 'OBSERVER', permissions: ['READ'] } });
    expect(codesOf(await rig.send(bot, id, 'may I?'))).toEqual(['NOT_A_PARTICIPANT']);
    expect(codesOf((await rig.ask(ada, change, { id, who: newId(), patch: {} }))['updateParticipantRole']!)).toEqual([
      'PARTICIPANT_NOT_FOUND',
    ]);
  });
});

describe('what is refused', () => {
  it('bad content and bad references, with nothing stored', async () => {
    const { id } = await rig.createDialog(ada, pair);
    const other = await rig.createDialog(ada, pair);
    const elsewhere = (await rig.send(ada, other.id, 'elsewhere'))['message']!['id'];
    const cases: [string, Record<string, unknown>, string][] = [
      ['x'.repeat(262_145), {}, 'MESSAGE_TOO_LARGE'],
      ['€'.repeat(87_382), {}, 'MESSAGE_TOO_LARGE'],
      ['a\0b', {}, 'VALIDATION_FAILED'],
      ['a\ud800b', {}, 'VALIDATION_FAILED'],
      ['', {}, 'VALIDATION_FAILED'],
      ['x', { replyTo: elsewhere }, 'REPLY_TARGET_INVALID'],
      ['x', { replyTo: newId() }, 'REPLY_TARGET_INVALID'],
      ['x', { recipients: [newId()] }, 'PARTICIPANT_NOT_FOUND'],
      ['x', { recipients: [] }, 'VALIDATION_FAILED'],
      ['x', { threadId: 'thread' }, 'VALIDATION_FAILED'],
      ['x', { content: { text: 'x', structuredData: { big: 'y'.repeat(1_048_576) } } }, 'MESSAGE_TOO_LARGE'],
      [
        'x',
        {
          attachments: Array.from({ length: 11 }, () => ({
            type: 'text',
            name: 'a',
            sizeBytes: 1,
            url: 'https://example.org/a',
          })),
        },
        'VALIDATION_FAILED',
      ],
      [
        'x',
        { attachments: [{ type: 'text', name: 'a', sizeBytes: 10_485_761, url: 'https://example.org/a' }] },
        'MESSAGE_TOO_LARGE',
      ],
      [
        'x',
        { attachments: [{ type: 'text', name: 'a', sizeBytes: 1, url: 'javascript:alert(1)' }] },
        'VALIDATION_FAILED',
      ],
      [`see [this](javascript:alert(1)) now`, {}, 'CONTENT_REJECTED'],
      ['spam '.repeat(60), {}, 'CONTENT_REJECTED'],
    ];
    for (const [text, more, code] of cases)
      expect([code, codesOf(await rig.send(ada, id, text, more))]).toEqual([code, [code]]);
    // Exactly at the limit it passes, and the failures above took no sequence.
    expect((await rig.send(ada, id, words.slice(0, 262_144)))['message']!['sequence']).toBe(1);
  });

  it('too many messages a minute', async () => {
    const { id } = await rig.createDialog(ada);
    const answers = await Promise.all(Array.from({ length: 45 }, (_, n) => rig.send(ada, id, `m${n}`)));
    const refused = answers.filter((answer) => codesOf(answer).length > 0);
    expect(refused).toHaveLength(5);
    expect(refused[0]!['userErrors']![0]).toMatchObject({
      code: 'RATE_LIMITED',
      retryable: true,
      retryAfterMs: expect.any(Number),
    });
    expect(
      answers
        .flatMap((answer) => (answer['message'] ? Number(answer['message']['sequence']) : []))
        .sort((a, b) => a - b),
    ).toEqual(Array.from({ length: 40 }, (_, n) => n + 1));
  });

  it('everything while governance has it locked', async () => {
    const { id } = await rig.createDialog(ada, { governance: { locked: true } });
    expect(codesOf(await rig.send(ada, id, 'x'))).toEqual(['GOVERNANCE_LOCKED']);
    expect(
      codesOf(
        await rig.mutate(
          ada,
          'updateDialog',
          `${dialogArgs}, $patch: DialogPatch!`,
          { dialogId: id, patch: { name: 'y' } },
          selection,
        ),
      ),
    ).toEqual(['GOVERNANCE_LOCKED']);
    expect(
      codesOf(
        await rig.mutate(
          warden,
          'updateDialog',
          `${dialogArgs}, $patch: DialogPatch!`,
          { dialogId: id, patch: { governance: { locked: false } } },
          selection,
        ),
      ),
    ).toEqual([]);
    expect(codesOf(await rig.send(ada, id, 'x'))).toEqual([]);
  });
});
