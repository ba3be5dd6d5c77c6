import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { newId } from '#shared/ids.ts';
import { type DialogRig, openDialogRig, principal } from './rig.ts';

let rig: DialogRig;
const ada = principal('ada', { subjectType: 'human' });
const bot = principal('bot');
const stranger = principal('stranger', { tenantId: 'two' });

type Variables = Record<string, unknown>;
type Case = readonly [field: string, args: string, variables: Variables, selection: string];
interface Fixture {
  readonly dialogId: string;
  readonly contextId: string;
  readonly messageId: string;
  readonly adaId: string;
  readonly botId: string;
}

async function createFixture(owner: typeof ada, more: Variables = {}): Promise<Fixture> {
  const { id, contextId, participants } = await rig.createDialog(owner, {
    participants: [{ subject: 'bot' }],
    ...more,
  });
  const sent = await rig.send(owner, id, 'first');
  return {
    dialogId: id,
    contextId,
    messageId: String(sent['message']!['id']),
    adaId: participants[owner.subject]!,
    botId: participants['bot']!,
  };
}

let own: Fixture;
let foreign: Fixture;

beforeAll(async () => {
  rig = await openDialogRig();
  own = await createFixture(ada, { turnTaking: { mode: 'MODERATED' }, configuration: { allowInterruptions: true } });
  foreign = await createFixture(stranger);
});
afterAll(async () => {
  await rig[Symbol.asyncDispose]();
});

const participant = {
  subject: 'new',
  displayName: 'New',
  capabilities: ['speech'],
  notifications: { push: false },
  availability: { workingHours: { start: '09:00', end: '17:00' }, preferredResponseMs: 60_000 },
  timezone: 'Europe/Athens',
};
const flow = {
  initial: 'a',
  states: [{ name: 'a' }, { name: 'b', terminal: true }],
  transitions: [{ name: 'go', from: 'a', to: 'b' }],
};
const dialogIds = 'dialogId: ID!';

/** Every mutation with every text it takes; the idempotency key stands in each. */
function casesOf({ dialogId, contextId, messageId, adaId, botId }: Fixture): readonly Case[] {
  const d = { dialogId };
  return [
    [
      'createDialog',
      '$input: CreateDialogInput!',
      {
        input: {
          contextId,
          name: 'n',
          category: 'c',
          description: 'd',
          tags: ['t'],
          creatorDisplayName: 'Ada',
          participants: [participant],
          flow,
          governance: { lifecyclePhase: 'p', truthDomain: 't' },
        },
      },
      'dialog { id }',
    ],
    [
      'updateDialog',
      `$${dialogIds}, $patch: DialogPatch!`,
      { ...d, patch: { name: 'n', category: 'c', description: 'd', tags: ['t'] } },
      'dialog { id }',
    ],
    ['pauseDialog', `$${dialogIds}, $reason: String`, { ...d, reason: 'r' }, 'dialog { id }'],
    ['resumeDialog', `$${dialogIds}`, d, 'dialog { id }'],
    ['endDialog', `$${dialogIds}, $reason: String`, { ...d, reason: 'r' }, 'dialog { id }'],
    ['archiveDialog', `$${dialogIds}`, d, 'dialog { id }'],
    [
      'sendMessage',
      '$input: SendMessageInput!',
      {
        input: {
          ...d,
          clientMessageId: newId(),
          content: { text: 'hello', structuredData: { key: 'value' }, language: 'en' },
          replyTo: messageId,
          topic: 't',
          recipients: [botId],
          attachments: [
            {
              type: 't',
              name: 'n',
              sizeBytes: 1,
              url: 'https://example.org/a',
              checksum: 'c',
              accessPermissions: ['read'],
            },
          ],
        },
      },
      'message { id }',
    ],
    [
      'editMessage',
      '$messageId: ID!, $content: MessageContentInput!',
      { messageId, content: { text: 'hello', structuredData: { key: 'value' }, language: 'en' } },
      'message { id }',
    ],
    ['deleteMessage', '$messageId: ID!, $reason: String', { messageId, reason: 'r' }, 'message { id }'],
    ['reactToMessage', '$messageId: ID!, $type: String!', { messageId, type: 'r' }, 'message { id }'],
    ['ackMessages', `$${dialogIds}, $upToSequence: Int!`, { ...d, upToSequence: 1 }, 'newCursor'],
    ['inviteParticipant', '$input: InviteParticipantInput!', { input: { ...d, participant } }, 'participant { id }'],
    [
      'joinDialog',
      `$${dialogIds}, $displayName: String, $capabilities: [String!]`,
      { ...d, displayName: 'n', capabilities: ['c'] },
      'participant { id }',
    ],
    ['leaveDialog', `$${dialogIds}, $reason: String`, { ...d, reason: 'r' }, 'participant { id }'],
    [
      'removeDialogParticipant',
      `$${dialogIds}, $participantId: ID!, $reason: String`,
      { ...d, participantId: botId, reason: 'r' },
      'participant { id }',
    ],
    [
      'updateParticipantRole',
      `$${dialogIds}, $participantId: ID!, $patch: DialogParticipantPatch!`,
      {
        ...d,
        participantId: adaId,
        patch: {
          displayName: 'n',
          capabilities: ['c'],
          notifications: { push: false },
          availability: { workingHours: { start: '09:00', end: '17:00' }, preferredResponseMs: 60_000 },
          timezone: 'Europe/Athens',
        },
      },
      'participant { id }',
    ],
    ['passTurn', `$${dialogIds}, $toParticipantId: ID`, { ...d, toParticipantId: botId }, 'dialog { id }'],
    ['setDialogFlow', `$${dialogIds}, $flow: DialogFlowInput`, { ...d, flow }, 'dialog { id }'],
    ['advanceFlow', `$${dialogIds}, $transition: String!`, { ...d, transition: 'go' }, 'dialog { id }'],
    [
      'updateMemory',
      `$${dialogIds}, $entries: [DialogMemoryInput!]!, $forget: [DialogMemoryKeyInput!]`,
      {
        ...d,
        entries: [{ kind: 'LONG_TERM', key: 'k', value: { deep: ['v'] } }],
        forget: [{ kind: 'LONG_TERM', key: 'old' }],
      },
      'entries { key }',
    ],
    ['generateSummary', `$${dialogIds}, $threadId: ID`, { ...d, threadId: newId() }, 'summary { summaryId }'],
  ];
}

/** Not text of the caller's: enums, and ids that nobody here knows to be wrong. */
const notText = new Set(['kind', 'LONG_TERM']);

/** Paths to every text in the variables. */
function textsOf(value: unknown, path: readonly (string | number)[] = []): readonly (readonly (string | number)[])[] {
  if (typeof value === 'string') return notText.has(String(path.at(-1))) ? [] : [path];
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, item]) =>
    textsOf(item, [...path, Array.isArray(value) ? Number(key) : key]),
  );
}

function replaced(value: unknown, [key, ...rest]: readonly (string | number)[], by: unknown): unknown {
  if (key === undefined) return by;
  const copy: Record<string | number, unknown> | unknown[] = Array.isArray(value)
    ? [...value]
    : { ...(value as object) };
  (copy as Record<string | number, unknown>)[key] = replaced((value as never)[key], rest, by);
  return copy;
}

/** Everything the module keeps, as numbers and versions. */
async function stored(): Promise<unknown> {
  const tables = ['event', 'audit', 'idempotency', 'dialog', 'participant', 'message', 'memory', 'summary', 'delivery'];
  const counts = await rig.sql.unsafe(
    `SELECT ${tables.map((table) => `(SELECT count(*)::int FROM dialog.${table}) AS ${table}`).join(', ')}, (SELECT count(*)::int FROM graphile_worker._private_jobs) AS jobs`,
  );
  return [
    counts[0],
    await rig.sql`SELECT id, revision FROM dialog.dialog ORDER BY id`,
    await rig.sql`SELECT id, version FROM dialog.participant ORDER BY id`,
    await rig.sql`SELECT read_upto FROM dialog.participant_cursor ORDER BY participant_id`,
  ];
}

async function refusal(who: typeof ada, [field, args, , selection]: Case, variables: Variables) {
  const used = `${args}, $idempotencyKey: String`;
  const inInput = 'input' in variables;
  const passed = [...(inInput ? args : used).matchAll(/\$(\w+):/g)].map(([, name]) => `${name}: $${name}`).join(', ');
  const { data, errors } = await rig.run(
    who,
    `mutation (${inInput ? args : used}) { ${field}(${passed}) { ${selection} userErrors { code message path } } }`,
    variables,
  );
  if (errors.length > 0) return errors.map(({ code, message }) => ({ code, message }));
  return data[field]!['userErrors']!.map((error) => ({
    code: String(error['code']),
    message: String(error['message']),
  }));
}

const isIdPath = (path: readonly (string | number)[]) =>
  (/(Id|replyTo)$/.test(String(path.at(-1))) && path.at(-1) !== 'clientMessageId') || path.at(-2) === 'recipients';
const badTexts = { NUL: 'a\0b', 'a lone surrogate': 'a\ud800b', 'more than 256 KiB': 'x'.repeat(262_145) };

const fields = casesOf({ dialogId: 'd', contextId: 'c', messageId: 'm', adaId: 'a', botId: 'b' }).map(
  ([field]) => field,
);

describe.each(fields)('%s', (field) => {
  it('refuses what cannot be stored, wherever it stands, and stores nothing', async () => {
    const entry = casesOf(own).find(([name]) => name === field)!;
    const variables =
      'input' in entry[2]
        ? { input: { ...(entry[2]['input'] as object), idempotencyKey: 'key' } }
        : { ...entry[2], idempotencyKey: 'key' };
    const before = await stored();
    for (const path of textsOf(variables)) {
      for (const [name, text] of Object.entries(badTexts)) {
        // Structured data is bounded together with the text, at 1 MB.
        if (path.includes('structuredData') && name === 'more than 256 KiB') continue;
        const found = await refusal(ada, entry, replaced(variables, path, text) as Variables);
        expect([path.join('.'), name, found]).toEqual([
          path.join('.'),
          name,
          [
            {
              code: expect.stringMatching(
                path.at(-1) === 'dialogId'
                  ? /^(VALIDATION_FAILED|NOT_FOUND)$/
                  : /^(VALIDATION_FAILED|MESSAGE_TOO_LARGE)$/,
              ),
              message: expect.any(String),
            },
          ],
        ]);
      }
    }
    expect(await stored()).toEqual(before);
  });

  it('answers ids that are malformed, unknown or of another tenant alike, and stores nothing', async () => {
    const entry = casesOf(own).find(([name]) => name === field)!;
    const elsewhere = casesOf(foreign).find(([name]) => name === field)![2];
    const before = await stored();
    for (const path of textsOf(entry[2]).filter(isIdPath)) {
      if (path.at(-1) === 'threadId') continue;
      const theirs = path.reduce<unknown>((value, key) => (value as never)[key], elsewhere);
      const codes: unknown[] = [];
      const expected =
        field === 'ackMessages' ? /^NOT_A_PARTICIPANT$/ : /^(NOT_FOUND|PARTICIPANT_NOT_FOUND|REPLY_TARGET_INVALID)$/;
      for (const id of [newId(), theirs]) {
        const found = await refusal(ada, entry, replaced(entry[2], path, id) as Variables);
        codes.push(found.map(({ code, message }) => [code, message.replaceAll(String(id), 'ID')]));
      }
      expect([path.join('.'), codes[1]]).toEqual([path.join('.'), codes[0]]);
      expect(codes[0]).toEqual([[expect.stringMatching(expected), expect.any(String)]]);
      for (const id of ['x', '', newId().toUpperCase(), `${newId()} `, 'a\0'])
        expect(await refusal(ada, entry, replaced(entry[2], path, id) as Variables)).toEqual([
          {
            code: expect.stringMatching(/^(VALIDATION_FAILED|NOT_FOUND|PARTICIPANT_NOT_FOUND)$/),
            message: expect.any(String),
          },
        ]);
    }
    expect(await stored()).toEqual(before);
  });

  it('is closed to who does not know the dialog', async () => {
    if (field === 'createDialog') return;
    const closed = await createFixture(ada, { configuration: { visibility: 'PARTICIPANTS' } });
    const entry = casesOf(closed).find(([name]) => name === field)!;
    const before = await stored();
    for (const who of [stranger, principal('outsider')]) {
      const found = await refusal(who, entry, entry[2]);
      expect([who.subject, found.map(({ code }) => code)]).toEqual([
        who.subject,
        [expect.stringMatching(field === 'ackMessages' ? /^(NOT_A_PARTICIPANT|NOT_FOUND)$/ : /^NOT_FOUND$/)],
      ]);
    }
    expect(await stored()).toEqual(before);
  });
});

describe('pages', () => {
  const queries = {
    dialogs: 'dialogs(ARGS) { totalCount }',
    dialogMessages: 'dialogMessages(dialogId: $id, ARGS) { totalCount }',
    searchMessages: 'searchMessages(query: "first", ARGS) { totalCount }',
    participants: 'dialog(id: $id) { participants(ARGS) { totalCount } }',
    messages: 'dialog(id: $id) { messages(ARGS) { totalCount } }',
    threads: 'dialog(id: $id) { threads(ARGS) { nodes { threadId } } }',
  };
  it.each(Object.entries(queries))('%s refuses what is no page of it', async (name, text) => {
    const cursor = async (query: string) =>
      (await rig.ask(ada, query, { id: own.dialogId })) as never as { c: { e: { cursor: string }[] } };
    const ofDialogs = (await cursor('query { c: dialogs(first: 1) { e: edges { cursor } } }')).c.e[0]!.cursor;
    const ofMessages = (
      await cursor('query ($id: ID!) { c: dialogMessages(dialogId: $id, first: 1) { e: edges { cursor } } }')
    ).c.e[0]!.cursor;
    const foreignCursor = name === 'dialogs' ? ofMessages : ofDialogs;
    const args = [
      'first: 0',
      'first: -1',
      'first: 101',
      `first: 5, after: "x"`,
      `first: 5, after: "${foreignCursor}"`,
      `first: 5, after: "\\u0000"`,
    ];
    for (const arg of args) {
      const query = `query ($id: ID!) { ${text.replace('ARGS', arg)} i: dialog(id: $id) { id } }`;
      const { errors } = await rig.run(ada, query, { id: own.dialogId });
      expect([arg, errors.map(({ code }) => code)]).toEqual([
        arg,
        [expect.stringMatching(/^(CURSOR_INVALID|VALIDATION_FAILED)$/)],
      ]);
    }
  });

  it.each([
    ['dialogInbox', 'dialogInbox(dialogId: $id, limit: 201) { unread }'],
    ['dialogInbox', 'dialogInbox(dialogId: $id, limit: 0) { unread }'],
    ['dialogInbox', 'dialogInbox(dialogId: $id, after: -1) { unread }'],
    ['dialogMemory', 'dialogMemory(dialogId: $id, limit: 101) { key }'],
    ['dialogMemory', 'dialogMemory(dialogId: $id, query: "\\u0000") { key }'],
    ['dialogMessages', 'dialogMessages(dialogId: $id, query: "\\u0000") { totalCount }'],
    ['dialogMessages', 'dialogMessages(dialogId: $id, filter: { topic: "\\u0000" }) { totalCount }'],
    ['dialogMessages', 'dialogMessages(dialogId: $id, filter: { senderSubject: "\\u0000" }) { totalCount }'],
    ['dialogMessages', 'dialogMessages(dialogId: $id, filter: { threadId: "x" }) { totalCount }'],
    ['dialogMessages', 'dialogMessages(dialogId: $id, filter: { senderId: "x" }) { totalCount }'],
    ['dialogMessages', 'dialogMessages(dialogId: $id, filter: { mentions: "x" }) { totalCount }'],
    ['dialogMessages', 'dialogMessages(dialogId: $id, filter: { replyTo: "x" }) { totalCount }'],
    ['searchMessages', 'searchMessages(query: "\\u0000") { totalCount }'],
    ['searchMessages', 'searchMessages(query: "") { totalCount }'],
    ['dialogs', 'dialogs(filter: { namePattern: "\\u0000" }) { totalCount }'],
    ['dialogs', 'dialogs(filter: { contextId: "x" }) { totalCount }'],
    ['dialogs', 'dialogs(filter: { planId: "x" }) { totalCount }'],
    ['dialogs', 'dialogs(filter: { tagsAny: ["\\u0000"] }) { totalCount }'],
    ['dialogs', 'dialogs(filter: { createdBy: "\\u0000" }) { totalCount }'],
  ])('%s refuses %s', async (_name, text) => {
    const { errors } = await rig.run(bot, `query ($id: ID!) { ${text} i: dialog(id: $id) { id } }`, {
      id: own.dialogId,
    });
    expect(errors.map(({ code }) => code)).toEqual(['VALIDATION_FAILED']);
  });
});
