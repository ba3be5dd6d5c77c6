import { afterAll, beforeAll, expect, test } from 'vitest';
import { codesOf, type DialogRig, type Json, openDialogRig, principal } from './rig.ts';

let rig: DialogRig;
const ada = principal('ada', { subjectType: 'human' });
const bot = principal('bot');

beforeAll(async () => {
  rig = await openDialogRig();
});
afterAll(() => rig[Symbol.asyncDispose]());

const fields =
  'notifications { email push mentionAlerts decisionAlerts approvalAlerts escalationAlerts } availability { workingHours { start end } preferredResponseMs } timezone';
const everything = {
  ...{ email: true, push: true, mentionAlerts: true },
  ...{ decisionAlerts: true, approvalAlerts: true, escalationAlerts: true },
};
const own = async (id: string): Promise<Json> =>
  (await rig.ask(bot, `query ($id: ID!) { dialog(id: $id) { viewer { id ${fields} } } }`, { id }))['dialog']![
    'viewer'
  ]!;
const change = async (id: string, patch: object) =>
  rig.mutate(
    bot,
    'updateParticipantRole',
    '$dialogId: ID!, $participantId: ID!, $patch: DialogParticipantPatch!',
    { dialogId: id, participantId: (await own(id))['id'], patch },
    `participant { ${fields} }`,
  );

test('a participant is told of everything until it turns something off, and says when it is there', async () => {
  const { id } = await rig.createDialog(ada, {
    participants: [{ subject: 'bot', notifications: { email: false }, timezone: 'Europe/Athens' }],
  });
  expect(await own(id)).toMatchObject({
    notifications: { ...everything, email: false },
    availability: null,
    timezone: 'Europe/Athens',
  });
  const availability = { workingHours: { start: '22:30', end: '06:00' }, preferredResponseMs: 7_200_000 };
  const changed = await change(id, { notifications: { mentionAlerts: false }, availability });
  expect(changed['participant']).toEqual({
    notifications: { ...everything, email: false, mentionAlerts: false },
    availability,
    timezone: 'Europe/Athens',
  });
  // What is said of the hours takes the place of all that was said before.
  expect((await change(id, { availability: { preferredResponseMs: 0 } }))['participant']).toMatchObject({
    availability: { workingHours: null, preferredResponseMs: 0 },
  });
  expect((await change(id, { availability: null, notifications: { email: true } }))['participant']).toMatchObject({
    notifications: { ...everything, mentionAlerts: false },
    availability: null,
  });
});

test('hours that are none, zones that nobody knows and times without end are refused', async () => {
  const { id } = await rig.createDialog(ada, { participants: [{ subject: 'bot' }] });
  for (const patch of [
    { availability: { workingHours: { start: '9', end: '17:00' } } },
    { availability: { workingHours: { start: '09:00', end: '24:00' } } },
    { availability: { preferredResponseMs: 400 * 86_400_000 } },
    { timezone: 'Middle/Earth' },
  ])
    expect([patch, codesOf(await change(id, patch))]).toEqual([patch, ['VALIDATION_FAILED']]);
});

test('what rows of another form hold is not shown', async () => {
  const { id } = await rig.createDialog(ada, { participants: [{ subject: 'bot' }] });
  await rig.runtime.sql`
    UPDATE dialog.participant SET notifications = '{"push": "on", "sms": true, "email": false}', availability = '{"from": "9"}' WHERE subject = 'bot' AND dialog_id = ${id}`;
  expect(await own(id)).toMatchObject({ notifications: { ...everything, email: false }, availability: null });
});

test('a participant was active when it joined, said or received something last', async () => {
  const { id } = await rig.createDialog(ada, { participants: [{ subject: 'bot' }, { subject: 'eve', invited: true }] });
  const times = async () => {
    const found = await rig.ask(
      ada,
      'query ($id: ID!) { dialog(id: $id) { participants { nodes { subject joinedAt lastActiveAt } } } }',
      { id },
    );
    const nodes = found['dialog']!['participants']!['nodes']!;
    return Object.fromEntries(nodes.map((node) => [String(node['subject']), node])) as Record<string, Json>;
  };
  const before = await times();
  expect(before['eve']!['lastActiveAt']).toBeNull();
  expect(before['bot']!['lastActiveAt']).toBe(before['bot']!['joinedAt']);
  await rig.runtime
    .sql`UPDATE dialog.participant SET joined_at = now() - interval '1 hour' WHERE dialog_id = ${id} AND status = 'ACTIVE'`;
  const sent = await rig.mutate(
    bot,
    'sendMessage',
    '$input: SendMessageInput!',
    { input: { dialogId: id, content: { text: 'hello' } } },
    'message { sentAt }',
  );
  const after = await times();
  expect(after['bot']!['lastActiveAt']).toBe(sent['message']!['sentAt']);
  // Nobody has received it yet.
  expect(after['ada']!['lastActiveAt']).toBe(after['ada']!['joinedAt']);
  await rig.ask(ada, 'query ($id: ID!) { dialogInbox(dialogId: $id) { messages { id } } }', { id });
  const joinedMs = Date.parse(String(after['ada']!['joinedAt']));
  // That a message was handed out is written behind the answer.
  await expect
    .poll(async () => Date.parse(String((await times())['ada']!['lastActiveAt'])), { timeout: 10_000 })
    .toBeGreaterThan(joinedMs);
});
