import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type DialogRig, type Json, openDialogRig, principal } from './rig.ts';

let rig: DialogRig;
const ada = principal('ada');
const bot = principal('bot');
const cat = principal('cat');
const observer = principal('olga', { scopes: ['dialog:read', 'dialog:observe'] });
beforeAll(async () => {
  rig = await openDialogRig();
});
afterAll(async () => {
  await rig[Symbol.asyncDispose]();
});

const summary = `mutation ($id: ID!) { generateSummary(dialogId: $id) { summary { status } userErrors { code } } }`;
const count = async (id: string) =>
  (await rig.sql`SELECT count(*)::int AS n FROM dialog.message WHERE dialog_id = ${id}`)[0]!['n'] as number;

describe('permissions of a participant', () => {
  const said = { aiProcessing: { sentiment: true } };
  const all = ['READ', 'WRITE', 'INITIATE_TOPICS', 'ATTACH_DOCUMENTS', 'SUGGEST', 'ANALYZE', 'SUMMARIZE'];

  it('let who is given none by name suggest, ask for analysis and for summaries, but not an observer', async () => {
    const { id } = await rig.createDialog(ada, {
      participants: [{ subject: 'bot' }, { subject: 'cat', role: 'OBSERVER' }],
    });
    const { dialog } = await rig.ask(bot, 'query ($id: ID!) { dialog(id: $id) { viewer { permissions } } }', { id });
    expect(dialog!['viewer']!['permissions']).toEqual(all);
    for (const more of [said, { type: 'POLL' }, { type: 'ACTION_ITEM' }])
      expect((await rig.send(bot, id, 'hello', more))['userErrors']).toEqual([]);
    expect((await rig.ask(bot, summary, { id }))['generateSummary']).toEqual({
      summary: { status: 'PENDING' },
      userErrors: [],
    });
    expect((await rig.run(cat, summary, { id })).errors).toMatchObject([{ code: 'PERMISSION_DENIED' }]);
  });

  it.each([
    ['SUGGEST', { type: 'POLL' }],
    ['SUGGEST', { type: 'ACTION_ITEM' }],
    ['ANALYZE', said],
  ])('refuse who takes part without %s, and nothing is stored', async (permission, more) => {
    const { id, participants } = await rig.createDialog(ada, {
      participants: [{ subject: 'bot', permissions: all.filter((each) => each !== permission) }],
    });
    const send = (input: object) =>
      rig.run(
        bot,
        'mutation ($input: SendMessageInput!) { sendMessage(input: $input) { message { id } userErrors { code } } }',
        { input: { dialogId: id, content: { text: 'hello' }, ...input } },
      );
    const refused = await send(more);
    expect(refused.errors).toEqual([
      { code: 'PERMISSION_DENIED', message: expect.stringContaining(`without the permission ${permission}`) },
    ]);
    expect(await count(id)).toBe(0);
    // What it does not name is sent.
    expect((await send({})).errors).toEqual([]);
    await rig.ask(
      ada,
      'mutation ($id: ID!, $who: ID!, $patch: DialogParticipantPatch!) { updateParticipantRole(dialogId: $id, participantId: $who, patch: $patch) { userErrors { code } } }',
      { id, who: participants['bot'], patch: { permissions: all } },
    );
    expect((await send(more)).errors).toEqual([]);
    expect(await count(id)).toBe(2);
  });

  it('refuse an edit of what one may no longer suggest', async () => {
    const { id, participants } = await rig.createDialog(ada, { participants: [{ subject: 'bot' }] });
    const sent = await rig.send(bot, id, 'shall we?', { type: 'POLL' });
    await rig.ask(
      ada,
      'mutation ($id: ID!, $who: ID!) { updateParticipantRole(dialogId: $id, participantId: $who, patch: { permissions: [READ, WRITE] }) { userErrors { code } } }',
      { id, who: participants['bot'] },
    );
    const edit =
      'mutation ($id: ID!) { editMessage(messageId: $id, content: { text: "we shall" }) { userErrors { code } } }';
    expect((await rig.run(bot, edit, { id: sent['message']!['id'] })).errors).toMatchObject([
      { code: 'PERMISSION_DENIED' },
    ]);
  });

  it('refuse a summary to who takes part without SUMMARIZE, unless it moderates', async () => {
    const { id } = await rig.createDialog(ada, {
      participants: [
        { subject: 'bot', permissions: ['READ', 'WRITE'] },
        { subject: 'cat', permissions: ['READ', 'MODERATE'] },
      ],
    });
    await rig.send(ada, id, 'hello');
    expect((await rig.run(bot, summary, { id })).errors).toEqual([
      { code: 'PERMISSION_DENIED', message: expect.stringContaining('SUMMARIZE') },
    ]);
    const kept = () =>
      rig.sql`SELECT requested_by FROM dialog.summary WHERE dialog_id = ${id}`.then((rows) => [...rows]);
    expect(await kept()).toEqual([]);
    expect((await rig.ask(cat, summary, { id }))['generateSummary']!['userErrors']).toEqual([]);
    expect(await kept()).toEqual([{ requested_by: 'cat' }]);
  });
});

it('stored participants with what their role brought keep what they could do, those with a list of their own its words', async () => {
  const contributor = ['READ', 'WRITE', 'INITIATE_TOPICS', 'ATTACH_DOCUMENTS', 'SUGGEST'];
  const before: [role: string, permissions: string[], added: string[]][] = [
    ['CONTRIBUTOR', contributor, ['ANALYZE', 'SUMMARIZE']],
    ['CONTRIBUTOR', [...contributor].reverse(), ['ANALYZE', 'SUMMARIZE']],
    ['REVIEWER', [...contributor, 'REQUEST_CHANGES', 'ANALYZE'], ['SUMMARIZE']],
    ['APPROVER', [...contributor, 'APPROVE', 'REJECT', 'REQUEST_CHANGES'], ['ANALYZE', 'SUMMARIZE']],
    ['CONTRIBUTOR', ['READ', 'WRITE'], []],
    ['CONTRIBUTOR', [...contributor, 'APPROVE'], []],
    ['OBSERVER', ['READ'], []],
  ];
  const { id, participants } = await rig.createDialog(ada, {
    participants: before.map(([role], at) => ({ subject: `p${at}`, role })),
  });
  for (const [at, [, permissions]] of before.entries())
    await rig.sql`UPDATE dialog.participant SET permissions = ${permissions} WHERE id = ${participants[`p${at}`]!}`;
  const migration = await readFile('prisma/migrations/20261129190000_context_and_dialog_rights/migration.sql', 'utf8');
  for (const _time of [1, 2]) {
    await rig.sql.unsafe(migration);
    const rows = await rig.sql`SELECT subject, permissions FROM dialog.participant WHERE dialog_id = ${id}`;
    const stored = new Map(rows.map((row) => [row['subject'], row['permissions']]));
    expect(before.map((_, at) => stored.get(`p${at}`))).toEqual(
      before.map(([, permissions, added]) => [...permissions, ...added]),
    );
  }
});

describe('attachments that ask for permissions', () => {
  const file = (name: string, accessPermissions: string[] = []) => ({
    ...{ type: 'text', name, sizeBytes: 3, url: `https://example.test/${name}` },
    accessPermissions,
  });
  const names = (message: Json | undefined) => message!['attachments']!.map((each) => each['name']);
  const shown = 'nodes { id sequence attachments { name accessPermissions } }';

  async function open() {
    const dialog = await rig.createDialog(ada, {
      participants: [{ subject: 'bot', role: 'APPROVER' }, { subject: 'cat' }],
    });
    const sent = await rig.send(ada, dialog.id, 'contract zebra', {
      attachments: [file('all'), file('readers', ['READ']), file('approvers', ['approve', 'Reject'])],
    });
    return { ...dialog, messageId: String(sent['message']!['id']) };
  }

  it('are shown to who holds all of them, the sender and observers, wherever messages are read', async () => {
    const { id, messageId } = await open();
    const reads: Record<string, string> = {
      messages: `query ($id: ID!) { dialog(id: $id) { messages { ${shown} } } }`,
      dialogMessages: `query ($id: ID!) { dialogMessages(dialogId: $id) { ${shown} } }`,
      edges: `query ($id: ID!) { dialogMessages(dialogId: $id) { edges { node { attachments { name } } } } }`,
      searchMessages: `query ($id: ID!) { searchMessages(query: "zebra", filter: { dialogId: $id }) { ${shown} } }`,
      _entities: `query ($messageId: ID!) { _entities(representations: [{ __typename: "Message", id: $messageId }]) { ... on Message { attachments { name } } } }`,
    };
    for (const [who, expected] of [
      [ada, ['all', 'readers', 'approvers']],
      [bot, ['all', 'readers', 'approvers']],
      [cat, ['all', 'readers']],
      [observer, ['all', 'readers', 'approvers']],
    ] as const) {
      for (const [read, query] of Object.entries(reads)) {
        const variables = read === '_entities' ? { messageId } : { id };
        const found = JSON.stringify(await rig.ask(who, query, variables));
        const listed = [...found.matchAll(/"name":"(\w+)"/g)].map(([, name]) => name);
        expect([who.subject, read, listed]).toEqual([who.subject, read, expected]);
      }
    }
    const inbox = await rig.ask(
      cat,
      'query ($id: ID!) { dialogInbox(dialogId: $id) { messages { attachments { name } } } }',
      { id },
    );
    expect(names(inbox['dialogInbox']!['messages']![0 as never])).toEqual(['all', 'readers']);
    const reacted = await rig.ask(
      cat,
      'mutation ($id: ID!) { reactToMessage(messageId: $id, type: "like") { message { attachments { name } } } }',
      { id: messageId },
    );
    expect(names(reacted['reactToMessage']!['message'])).toEqual(['all', 'readers']);
    const told = (await rig.replay(cat, 'messageReceived', { dialogId: id })).received;
    // Streams send the same to all: what is not for all is left to be asked for in each one's name.
    expect(told.map(({ message }) => Object.hasOwn(message as object, 'attachments'))).toEqual([false, false]);
  });

  it('are no attachments to filters of who does not see them', async () => {
    const { id } = await rig.createDialog(ada, {
      participants: [{ subject: 'bot', role: 'APPROVER' }, { subject: 'cat' }],
    });
    await rig.send(ada, id, 'none');
    await rig.send(ada, id, 'hidden', { attachments: [file('secret', ['APPROVE'])] });
    await rig.send(ada, id, 'open', { attachments: [file('all')] });
    const having = async (who: typeof ada, hasAttachments: boolean) =>
      (
        await rig.ask(
          who,
          'query ($id: ID!, $has: Boolean) { dialogMessages(dialogId: $id, filter: { hasAttachments: $has }) { nodes { sequence } } }',
          { id, has: hasAttachments },
        )
      )['dialogMessages']!['nodes']!.map(({ sequence }) => sequence);
    for (const who of [ada, bot, observer])
      expect([await having(who, true), await having(who, false)]).toEqual([[2, 3], [1]]);
    expect([await having(cat, true), await having(cat, false)]).toEqual([[3], [1, 2]]);
  });

  it('follow what a participant holds when it reads', async () => {
    const { id, participants } = await open();
    const change = (permissions: string[]) =>
      rig.ask(
        ada,
        'mutation ($id: ID!, $who: ID!, $patch: DialogParticipantPatch!) { updateParticipantRole(dialogId: $id, participantId: $who, patch: $patch) { userErrors { code } } }',
        { id, who: participants['cat'], patch: { permissions } },
      );
    const read = async () =>
      names(
        (await rig.ask(cat, `query ($id: ID!) { dialogMessages(dialogId: $id) { ${shown} } }`, { id }))[
          'dialogMessages'
        ]!['nodes']![0 as never],
      );
    await change(['READ', 'APPROVE']);
    expect(await read()).toEqual(['all', 'readers']);
    await change(['READ', 'APPROVE', 'REJECT']);
    expect(await read()).toEqual(['all', 'readers', 'approvers']);
    await change(['READ']);
    expect(await read()).toEqual(['all', 'readers']);
  });

  it('are refused where they ask for what nobody can hold', async () => {
    const { id } = await rig.createDialog(ada);
    for (const [permissions, path] of [
      [['download'], ['input', 'attachments', '0', 'accessPermissions', '0']],
      [
        ['READ', ''],
        ['input', 'attachments', '0', 'accessPermissions', '1'],
      ],
      [Array.from({ length: 12 }, () => 'READ'), ['input', 'attachments', '0', 'accessPermissions']],
    ] as const)
      expect(
        (await rig.send(ada, id, 'x', { attachments: [file('a', [...permissions])] }))['userErrors'],
      ).toMatchObject([{ code: 'VALIDATION_FAILED', path }]);
    expect(await count(id)).toBe(0);
  });
});
