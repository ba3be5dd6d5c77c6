import { afterAll, beforeAll, expect, test } from 'vitest';
import { alice, bob, type ContextRig, type Json, openContextRig, principal } from './rig.ts';

let rig: ContextRig;
beforeAll(async () => {
  // Room in one group for whatever a test asks at once.
  rig = await openContextRig({ BATCH_MAX_DELAY_MS: '20', BATCH_MAX_ITEMS: '200' });
});
afterAll(() => rig[Symbol.asyncDispose]());

const fields = '{ participant { id agentId status version } context { participantCount } userErrors { code path } }';
const add = `mutation ($input: AddParticipantInput!) { answer: addParticipant(input: $input) ${fields} }`;
const patch = `mutation ($id: ID!, $participant: ID!, $patch: ContextParticipantPatch!, $version: Int) { answer: updateParticipant(contextId: $id, participantId: $participant, patch: $patch, expectedVersion: $version) ${fields} }`;
const remove = `mutation ($id: ID!, $participant: ID!) { answer: removeParticipant(contextId: $id, participantId: $participant) ${fields} }`;
const join = `mutation ($id: ID!) { answer: joinContext(contextId: $id) ${fields} }`;
const leave = `mutation ($id: ID!) { answer: leaveContext(contextId: $id) ${fields} }`;

const ask = async (who: typeof alice, query: string, variables: Record<string, unknown>): Promise<Json> =>
  (await rig.ask(who, query, variables))['answer']!;
const roomy = () => rig.createContext(alice, { configuration: { maxParticipants: 1_000 } });

test("what is asked at once is one transaction, and a refusal is nobody else's", async () => {
  const ids = await Promise.all([roomy(), roomy(), roomy()]);
  const full = await rig.createContext(alice, { configuration: { maxParticipants: 1 } });
  const foreign = '6f9619ff-8b86-4011-b42d-00cf4fc964ff';
  rig.statements.length = 0;
  const answers = await Promise.all([
    ...Array.from({ length: 60 }, (_, index) =>
      ask(alice, add, { input: { contextId: ids[index % 3], agentId: `agent-${index}` } }),
    ),
    ask(alice, add, { input: { contextId: ids[0], agentId: 'agent-0' } }),
    ask(alice, add, { input: { contextId: foreign, agentId: 'a' } }),
    ask(bob, join, { id: full }),
    ask(alice, join, { id: full }),
    ask(alice, remove, { id: ids[0], participant: foreign }),
  ]);
  expect(answers.slice(60).map((answer) => answer['userErrors']![0]?.['code'] ?? 'done')).toEqual([
    'PARTICIPANT_ALREADY_EXISTS',
    'NOT_FOUND',
    'done',
    'CONTEXT_FULL',
    'PARTICIPANT_NOT_FOUND',
  ]);
  expect(answers.slice(0, 60).flatMap((answer) => answer['userErrors'] as unknown as unknown[])).toEqual([]);
  const transactions =
    await rig.sql`SELECT DISTINCT p.xmin::text AS id FROM context.participant p WHERE p.context_id = ANY(${[...ids, full]}::uuid[])`;
  expect(transactions).toHaveLength(1);
  // Each answer holds the count as it stood after its own change.
  const counts = answers.slice(0, 60).map((answer) => answer['context']!['participantCount'] as unknown as number);
  expect(counts).toEqual(Array.from({ length: 60 }, (_, index) => Math.floor(index / 3) + 1));
  for (const id of ids) {
    const sequences =
      await rig.sql`SELECT array_agg(sequence ORDER BY sequence) AS list FROM context.event WHERE stream_id = ${id}`;
    expect(sequences[0]!['list']).toEqual(Array.from({ length: 21 }, (_, index) => index + 1));
  }
  // Nothing is read again for the answers; who listens before somebody joins is read once a second.
  expect(rig.statements.filter((text) => !text.includes("'ExtensionHooks'"))).toEqual([]);
});

test('coming and going of one agent within a group ends as the last step says', async () => {
  const id = await roomy();
  const agent = principal('restless');
  const steps = [join, leave, join, join, leave, join];
  const answers = await Promise.all(steps.map((step) => ask(agent, step, { id })));
  expect(answers.map((answer) => answer['userErrors']![0]?.['code'] ?? answer['participant']!['status'])).toEqual([
    'ACTIVE',
    'LEFT',
    'ACTIVE',
    'PARTICIPANT_ALREADY_EXISTS',
    'LEFT',
    'ACTIVE',
  ]);
  const rows =
    await rig.sql`SELECT status, count(*)::int AS n FROM context.participant WHERE context_id = ${id} GROUP BY status ORDER BY status`;
  expect(rows).toMatchObject([
    { status: 'ACTIVE', n: 1 },
    { status: 'LEFT', n: 2 },
  ]);
  const [row] = await rig.sql`SELECT participant_count AS n FROM context.context WHERE id = ${id}`;
  expect(row).toEqual({ n: 1 });
});

test('of writers with one version one wins within a group; a patch that changes nothing leaves no trace', async () => {
  const id = await roomy();
  const { participant } = await ask(alice, add, { input: { contextId: id, agentId: 'a' } });
  const call = { id, participant: participant!['id'] };
  const answers = await Promise.all(
    Array.from({ length: 8 }, (_, index) =>
      ask(alice, patch, { ...call, patch: { displayName: `by ${index}` }, version: 1 }),
    ),
  );
  const codes = answers.map((answer) => answer['userErrors']![0]?.['code'] ?? 'won');
  expect(codes.filter((code) => code === 'won')).toHaveLength(1);
  expect(codes.filter((code) => code === 'VERSION_CONFLICT')).toHaveLength(7);
  const before = rig.events.length;
  for (const same of [{}, { status: 'ACTIVE' }, { roles: [], capabilities: [] }, { timeoutMs: 300_000 }])
    expect((await ask(alice, patch, { ...call, patch: same }))['participant']).toMatchObject({ version: 2 });
  expect(rig.events.length).toBe(before);
});

test('those who leave together leave a session once, in the order it had', async () => {
  const id = await roomy();
  const joined = await Promise.all(
    ['a', 'b', 'c', 'd'].map((agentId) => ask(alice, add, { input: { contextId: id, agentId } })),
  );
  const participants = joined.map((answer) => String(answer['participant']!['id']));
  const create =
    'mutation ($input: CreateSessionInput!) { answer: createSession(input: $input) { session { id } userErrors { code } } }';
  const session = (
    await ask(alice, create, { input: { contextId: id, name: 's', participantIds: [...participants].reverse() } })
  )['session']!['id'];
  const other = (await ask(alice, create, { input: { contextId: id, name: 't', participantIds: [participants[3]] } }))[
    'session'
  ]!['id'];
  await Promise.all([participants[0], participants[2]].map((participant) => ask(alice, remove, { id, participant })));
  const rows =
    await rig.sql`SELECT id, version, active_participant_ids AS active FROM context.session WHERE context_id = ${id} ORDER BY started_at`;
  expect(rows).toEqual([
    { id: session, version: 2, active: [participants[3], participants[1]] },
    { id: other, version: 1, active: [participants[3]] },
  ]);
  const told = await rig.sql`SELECT type FROM context.event WHERE stream_id = ${id} ORDER BY sequence DESC LIMIT 3`;
  expect(told.map((row) => row['type'] as string)).toEqual([
    'context.session.updated',
    'context.participant.left',
    'context.participant.left',
  ]);
});

test('who was idle is awake by what it does, not by what it is refused', async () => {
  const id = await roomy();
  const { participant } = await ask(bob, join, { id });
  const idle = () =>
    rig.sql`UPDATE context.participant SET status = 'INACTIVE', last_activity_at = now() - interval '1 hour' WHERE id = ${String(participant!['id'])}`;
  const standing = async () =>
    (
      await rig.sql`SELECT status, last_activity_at > now() - interval '1 minute' AS recent FROM context.participant WHERE id = ${String(participant!['id'])}`
    )[0];
  await idle();
  expect((await ask(bob, join, { id }))['userErrors']).toMatchObject([{ code: 'PARTICIPANT_ALREADY_EXISTS' }]);
  expect(await standing()).toEqual({ status: 'INACTIVE', recent: false });
  await ask(bob, add, { input: { contextId: id, agentId: 'guest' } });
  expect(await standing()).toEqual({ status: 'ACTIVE', recent: true });
  const woken =
    await rig.sql`SELECT data->'participant'->>'status' AS status FROM context.event WHERE stream_id = ${id} AND type = 'context.participant.updated'`;
  expect(woken).toMatchObject([{ status: 'ACTIVE' }]);
  // Only the time is noted while it is active.
  await rig.sql`UPDATE context.participant SET last_activity_at = now() - interval '2 minutes' WHERE id = ${String(participant!['id'])}`;
  const before = rig.events.length;
  await ask(bob, add, { input: { contextId: id, agentId: 'second guest' } });
  expect(await standing()).toEqual({ status: 'ACTIVE', recent: true });
  expect(rig.events.slice(before).map(({ type }) => type)).toEqual(['context.participant.joined']);
});

test('a participant of another context is not found here', async () => {
  const [id, other] = [await roomy(), await roomy()];
  const { participant } = await ask(alice, add, { input: { contextId: other, agentId: 'a' } });
  for (const call of [
    ask(alice, remove, { id, participant: participant!['id'] }),
    ask(alice, patch, { id, participant: participant!['id'], patch: { displayName: 'x' } }),
  ])
    expect((await call)['userErrors']).toEqual([{ code: 'PARTICIPANT_NOT_FOUND', path: ['participantId'] }]);
});
