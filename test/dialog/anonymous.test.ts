import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { codesOf, type DialogRig, type Json, openDialogRig, principal } from './rig.ts';

let rig: DialogRig;
const secret = 'whistleblower-7';
const hidden = principal(secret, { subjectType: 'human', displayName: 'Whistle Blower' });
const ada = principal('ada', { subjectType: 'human' });
const admin = principal('admin', {
  scopes: ['dialog:read', 'dialog:write', 'dialog:create', 'dialog:admin', 'dialog:moderate', 'dialog:observe'],
});
const open = { configuration: { allowAnonymous: true } };

beforeAll(async () => {
  rig = await openDialogRig();
});
afterAll(async () => {
  await rig[Symbol.asyncDispose]();
});

const part = 'participant { id subject anonymous displayName status type }';
const join = (who: typeof ada, dialogId: string, anonymous = true) =>
  rig.mutate(who, 'joinDialog', '$dialogId: ID!, $anonymous: Boolean!', { dialogId, anonymous }, part);
const invite = (dialogId: string, subject: string) =>
  rig.mutate(
    ada,
    'inviteParticipant',
    '$input: InviteParticipantInput!',
    { input: { dialogId, participant: { subject } } },
    part,
  );
const leave = (dialogId: string) => rig.mutate(hidden, 'leaveDialog', '$dialogId: ID!', { dialogId }, part);
const partsOf = async (dialogId: string): Promise<Json> =>
  (
    await rig.ask(ada, 'query ($id: ID!) { dialog(id: $id) { participants { nodes { subject anonymous status } } } }', {
      id: dialogId,
    })
  )['dialog']!['participants']!['nodes']!;

describe('anonymous participants', () => {
  it('are let in only where the dialog allows it', async () => {
    const { id } = await rig.createDialog(ada);
    const { errors } = await rig.run(hidden, `mutation { joinDialog(dialogId: "${id}", anonymous: true) { ${part} } }`);
    expect(errors).toMatchObject([{ code: 'PERMISSION_DENIED', message: 'this dialog takes no one in anonymously' }]);
    expect(await partsOf(id)).toHaveLength(1);
    const closed = await rig.createDialog(ada, { configuration: { allowAnonymous: true, visibility: 'PARTICIPANTS' } });
    expect(codesOf(await join(hidden, closed.id))).toEqual(['NOT_FOUND']);
  });

  it('do everything under a pseudonym that not even the tenant’s administrators see through', async () => {
    const { id, contextId } = await rig.createDialog(ada, open);
    const joined = await join(hidden, id);
    expect(joined['participant']).toMatchObject({
      subject: expect.stringMatching(/^anonymous:[0-9a-f-]{36}$/),
      anonymous: true,
      displayName: null,
      type: 'HUMAN',
    });
    const pseudonym = String(joined['participant']!['subject']);
    const participantId = String(joined['participant']!['id']);
    const first = await rig.send(hidden, id, 'The report was forged #fraud', {
      clientMessageId: 'c-1',
      priority: 'URGENT',
    });
    expect(codesOf(first)).toEqual([]);
    const messageId = String(first['message']!['id']);
    // Repeats are still recognised as its own.
    expect(
      await rig.send(hidden, id, 'The report was forged #fraud', { clientMessageId: 'c-1', priority: 'URGENT' }),
    ).toMatchObject({
      duplicate: true,
      message: { id: messageId },
    });
    const answer = await rig.send(ada, id, `Who says so, @${secret}?`, { recipients: [participantId] });
    expect(answer['message']!['mentions']).toEqual({ mentions: [] });
    const steps: [string, string, Record<string, unknown>, string][] = [
      [
        'editMessage',
        '$messageId: ID!, $content: MessageContentInput!',
        { messageId, content: { text: 'It was forged' } },
        'message { id }',
      ],
      ['reactToMessage', '$messageId: ID!, $type: String!', { messageId, type: 'sad' }, 'message { id }'],
      ['ackMessages', '$dialogId: ID!, $upToSequence: Int!', { dialogId: id, upToSequence: 2 }, 'newCursor'],
      ['setPresence', '$dialogId: ID!', { dialogId: id }, 'ok'],
      ['setTyping', '$dialogId: ID!', { dialogId: id }, 'ok'],
      [
        'updateMemory',
        '$dialogId: ID!, $entries: [DialogMemoryInput!]!',
        { dialogId: id, entries: [{ kind: 'LONG_TERM', key: 'k', value: 1 }] },
        'entries { updatedBy }',
      ],
      ['generateSummary', '$dialogId: ID!', { dialogId: id }, 'summary { summaryId requestedBy }'],
      [
        'updateParticipantRole',
        '$dialogId: ID!, $participantId: ID!, $patch: DialogParticipantPatch!',
        { dialogId: id, participantId, patch: { timezone: 'Europe/Athens' } },
        part,
      ],
    ];
    const answers: Record<string, Json> = {};
    for (const [field, args, variables, selection] of steps) {
      const payload = await rig.mutate(hidden, field, args, variables, selection);
      expect([field, codesOf(payload)]).toEqual([field, []]);
      answers[field] = payload;
    }
    expect(answers['updateMemory']!['entries']).toEqual([{ updatedBy: pseudonym }]);
    const { summaryId, requestedBy } = answers['generateSummary']!['summary'] as never as Record<string, string>;
    expect(requestedBy).toBe(pseudonym);
    await rig.subgraph.jobs['summarize']!(
      { tenantId: 'one', summaryId },
      { attempt: 1, jobId: '1', signal: new AbortController().signal },
    );
    const second = await rig.send(hidden, id, 'to be taken back');
    await rig.mutate(
      hidden,
      'deleteMessage',
      '$messageId: ID!',
      { messageId: second['message']!['id'] },
      'message { deletedBy }',
    );
    await leave(id);

    const seen = await rig.ask(
      admin,
      `query ($id: ID!) { dialog(id: $id) { updatedBy createdBy document participants { nodes { subject displayName invitedBy statusReason } }
         messages { nodes { senderSubject senderId deletedBy sender { subject displayName } readStatus { participantId } } }
         memoryContext { longTerm { updatedBy } } }
       dialogMetrics(dialogId: $id) { messagesByParticipant { value } } dialogSummary(dialogId: $id) { requestedBy contributions { senderId } } dialogPresence(dialogId: $id) { subject } }`,
      { id },
    );
    const kept = await rig.stream(id);
    const replayed = await rig.replay(admin, 'messageReceived', { dialogId: id, receipts: true });
    expect(replayed.received.map(({ actor }) => actor)).toContain(pseudonym);
    // All but what ada herself has written.
    const everything = JSON.stringify([seen, kept, replayed.received, rig.events]).replaceAll(`@${secret}?`, '');
    expect([pseudonym, secret, 'Whistle Blower'].map((name) => everything.includes(name))).toEqual([
      true,
      false,
      false,
    ]);
    expect(kept.filter(({ actor }) => actor === pseudonym).length).toBeGreaterThan(8);
    // Nor does a search for the name find anything.
    const found = await rig.ask(
      admin,
      `query ($id: ID!, $c: ID!, $s: String!) { dialogMessages(dialogId: $id, filter: { senderSubject: $s }) { totalCount }
        dialogs(filter: { contextId: $c, participant: $s }) { totalCount } searchMessages(query: "forged", filter: { dialogId: $id, senderSubject: $s }) { totalCount } }`,
      { id, c: contextId, s: secret },
    );
    expect(found).toEqual({
      dialogMessages: { totalCount: 0 },
      dialogs: { totalCount: 0 },
      searchMessages: { totalCount: 0 },
    });
    const audit = await rig.sql`SELECT DISTINCT action FROM dialog.audit WHERE actor = ${secret} ORDER BY action`;
    expect(audit.map((row) => row['action'])).toEqual([
      'dialog.deleteMessage',
      'dialog.editMessage',
      'dialog.generateSummary',
      'dialog.joinDialog',
      'dialog.leaveDialog',
      'dialog.sendMessage',
      'dialog.updateMemory',
      'dialog.updateParticipantRole',
    ]);
  });

  it('read, find and receive as anyone who takes part', async () => {
    const { id, contextId } = await rig.createDialog(ada, open);
    await rig.send(ada, id, 'before');
    const { participant } = (await join(hidden, id)) as never as { participant: { id: string; subject: string } };
    await rig.mutate(
      ada,
      'updateDialog',
      '$dialogId: ID!, $patch: DialogPatch!',
      { dialogId: id, patch: { configuration: { visibility: 'PARTICIPANTS' } } },
      'dialog { id }',
    );
    await rig.send(ada, id, 'periwinkle after', { recipients: [participant.id] });
    const answer = await rig.ask(
      hidden,
      `query ($id: ID!, $c: ID!) { dialog(id: $id) { viewer { subject anonymous } } dialogs(filter: { contextId: $c }) { nodes { id } }
        dialogMessages(dialogId: $id) { nodes { content { text } } } searchMessages(query: "periwinkle") { totalCount } dialogInbox(dialogId: $id) { messages { sequence } } }`,
      { id, c: contextId },
    );
    expect(answer).toEqual({
      dialog: { viewer: { subject: participant.subject, anonymous: true } },
      dialogs: { nodes: [{ id }] },
      dialogMessages: { nodes: [{ content: { text: 'periwinkle after' } }] },
      searchMessages: { totalCount: 1 },
      dialogInbox: { messages: [{ sequence: 2 }] },
    });
    const removal = await rig.replay(hidden, 'messageReceived', { dialogId: id });
    expect(removal.received).toHaveLength(1);
    await rig.mutate(
      ada,
      'removeDialogParticipant',
      '$dialogId: ID!, $participantId: ID!',
      { dialogId: id, participantId: participant.id },
      part,
    );
    const last = (await rig.stream(id)).at(-1)!;
    expect(removal.gate.decide(last)).toBe('end');
    expect(codesOf(await rig.send(hidden, id, 'still here'))).toEqual(['NOT_FOUND']);
  });

  it('come back under the same pseudonym, and not after a removal or under another face', async () => {
    const { id } = await rig.createDialog(ada, open);
    const subject = String((await join(hidden, id))['participant']!['subject']);
    expect(codesOf(await join(hidden, id))).toEqual(['PARTICIPANT_ALREADY_EXISTS']);
    await leave(id);
    expect((await join(hidden, id))['participant']).toMatchObject({ subject, status: 'ACTIVE' });
    const participantId = String((await leave(id))['participant']!['id']);
    await rig.mutate(
      ada,
      'removeDialogParticipant',
      '$dialogId: ID!, $participantId: ID!',
      { dialogId: id, participantId },
      part,
    );
    for (const anonymous of [true, false]) {
      const { errors } = await rig.run(
        hidden,
        `mutation { joinDialog(dialogId: "${id}", anonymous: ${anonymous}) { ${part} } }`,
      );
      expect(errors).toMatchObject([{ code: 'PERMISSION_DENIED' }]);
    }
    // Invited by its pseudonym it returns, whoever it is.
    expect((await invite(id, subject))['participant']).toMatchObject({ subject, status: 'INVITED' });
    expect((await join(hidden, id, false))['participant']).toMatchObject({
      subject,
      anonymous: true,
      status: 'ACTIVE',
    });
    expect(codesOf(await join(ada, id))).toEqual(['PARTICIPANT_ALREADY_EXISTS']);
    const named = principal('named');
    await join(named, id, false);
    await rig.mutate(named, 'leaveDialog', '$dialogId: ID!', { dialogId: id }, part);
    expect(codesOf(await join(named, id))).toEqual(['INVALID_STATE']);
  });

  it('an invitation by name does not tell that the invited is there, and waits beside the pseudonym', async () => {
    const { id } = await rig.createDialog(ada, open);
    const pseudonym = String((await join(hidden, id))['participant']!['subject']);
    await rig.send(ada, id, 'heard under the pseudonym');
    expect((await invite(id, secret))['participant']).toMatchObject({
      subject: secret,
      anonymous: false,
      status: 'INVITED',
    });
    expect(codesOf(await invite(id, secret))).toEqual(['PARTICIPANT_ALREADY_EXISTS']);
    expect(codesOf(await rig.send(hidden, id, 'still hidden'))).toEqual([]);
    expect(codesOf(await join(hidden, id, false))).toEqual(['PARTICIPANT_ALREADY_EXISTS']);
    await leave(id);
    await rig.send(ada, id, 'said to nobody');
    expect((await join(hidden, id, false))['participant']).toMatchObject({ subject: secret, status: 'ACTIVE' });
    await rig.send(hidden, id, 'now with my name');
    expect(await partsOf(id)).toEqual([
      { subject: 'ada', anonymous: false, status: 'ACTIVE' },
      { subject: pseudonym, anonymous: true, status: 'LEFT' },
      { subject: secret, anonymous: false, status: 'ACTIVE' },
    ]);
    const { dialogMessages } = (await rig.ask(
      hidden,
      'query ($id: ID!) { dialogMessages(dialogId: $id) { nodes { sequence senderSubject } } }',
      { id },
    )) as never as { dialogMessages: { nodes: unknown } };
    expect(dialogMessages.nodes).toEqual([
      { sequence: 1, senderSubject: 'ada' },
      { sequence: 2, senderSubject: pseudonym },
      { sequence: 4, senderSubject: secret },
    ]);
    // The events say nothing that connects the two.
    for (const event of await rig.stream(id)) {
      const text = JSON.stringify(event);
      expect(text.includes(secret) && text.includes(pseudonym)).toBe(false);
    }
    expect(
      await rig.sql`SELECT subject, identity FROM dialog.participant WHERE dialog_id = ${id} AND subject <> 'ada' ORDER BY ordinal`,
    ).toEqual([
      { subject: pseudonym, identity: null },
      { subject: secret, identity: secret },
    ]);
  });
});
