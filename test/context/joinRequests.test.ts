import { afterAll, beforeAll, expect, test } from 'vitest';
import type { EventRow } from '#shared/events.ts';
import { contextSubscriptions } from '../../subgraphs/context/events.ts';
import { alice, bob, type ContextRig, type Json, openContextRig, principal } from './rig.ts';

let rig: ContextRig;
beforeAll(async () => {
  rig = await openContextRig();
});
afterAll(() => rig[Symbol.asyncDispose]());

const fields =
  '{ participant { id agentId status permissions version leftAt } context { participantCount } userErrors { code path } }';
const join = `mutation ($id: ID!, $capabilities: [String!]) { answer: joinContext(contextId: $id, capabilities: $capabilities) ${fields} }`;
const leave = `mutation ($id: ID!) { answer: leaveContext(contextId: $id) ${fields} }`;
const decide = `mutation ($id: ID!, $participant: ID!, $decision: ContextJoinDecision!, $key: String) { answer: decideJoinRequest(contextId: $id, participantId: $participant, decision: $decision, reason: "so", idempotencyKey: $key) ${fields} }`;
const patch = `mutation ($id: ID!, $participant: ID!, $status: ContextParticipantStatus!) { answer: updateParticipant(contextId: $id, participantId: $participant, patch: { status: $status }) ${fields} }`;
const remove = `mutation ($id: ID!, $participant: ID!) { answer: removeParticipant(contextId: $id, participantId: $participant) ${fields} }`;

const ask = async (who: typeof alice, query: string, variables: Record<string, unknown>): Promise<Json> =>
  (await rig.ask(who, query, variables))['answer']!;
const approved = (accessControl: object = {}, configuration: object = {}) =>
  rig.createContext(alice, { accessControl: { joinPolicy: 'APPROVAL', ...accessControl }, configuration });
const typesOf = (id: string) =>
  rig.events.flatMap((event) => (event.streamId === id && 'sequence' in event ? [event.type] : []));
const change = (id: string, accessControl: object) =>
  rig.ask(
    alice,
    'mutation ($id: ID!, $patch: ContextPatch!) { updateContext(contextId: $id, patch: $patch) { userErrors { code } } }',
    { id, patch: { accessControl } },
  );
const carol = principal('carol');

test('who asks to join waits, is listed, and is let in by the owner alone', async () => {
  const id = await approved({
    permissions: [{ principal: 'bob', principalType: 'AGENT', resource: 'plan', actions: ['READ'] }],
  });
  const asked = await ask(bob, join, { id });
  expect(asked).toMatchObject({
    participant: { agentId: 'bob', status: 'JOINING', permissions: [], version: 1 },
    context: { participantCount: 0 },
    userErrors: [],
  });
  // Asking twice changes nothing.
  expect(await ask(bob, join, { id })).toEqual(asked);
  const lists = `query ($id: ID!) { context(contextId: $id) { participantCount
    participants { totalCount nodes { agentId } } waiting: participants(status: [JOINING]) { totalCount nodes { agentId } } } }`;
  expect((await rig.ask(alice, lists, { id }))['context']).toEqual({
    participantCount: 0,
    participants: { totalCount: 0, nodes: [] },
    waiting: { totalCount: 1, nodes: [{ agentId: 'bob' }] },
  });
  const of = { id, participant: asked['participant']!['id'] };
  for (const [query, variables] of [
    [decide, { ...of, decision: 'APPROVE' }],
    [decide, { ...of, decision: 'REFUSE' }],
    [patch, { ...of, status: 'ACTIVE' }],
  ] as const)
    for (const who of [bob, carol])
      expect((await rig.run(who, query, variables)).errors).toMatchObject([{ code: 'PERMISSION_DENIED' }]);
  expect((await rig.run(carol, remove, of)).errors).toMatchObject([{ code: 'PERMISSION_DENIED' }]);
  const session = `mutation ($id: ID!, $of: [ID!]) { answer: createSession(input: { contextId: $id, name: "s", participantIds: $of }) { userErrors { code } } }`;
  expect((await ask(alice, session, { id, of: [of.participant] }))['userErrors']).toEqual([
    { code: 'PARTICIPANT_NOT_FOUND' },
  ]);

  const let_in = await ask(alice, decide, { ...of, decision: 'APPROVE', key: 'in' });
  expect(let_in).toMatchObject({
    participant: { id: of.participant, status: 'ACTIVE', permissions: ['plan:read'], version: 2 },
    context: { participantCount: 1 },
    userErrors: [],
  });
  expect(await ask(alice, decide, { ...of, decision: 'APPROVE', key: 'in' })).toEqual(let_in);
  expect((await ask(alice, decide, { ...of, decision: 'REFUSE' }))['userErrors']).toEqual([
    { code: 'INVALID_STATE', path: ['participantId'] },
  ]);
  expect(typesOf(id)).toEqual(['context.created', 'context.participant.requested', 'context.participant.joined']);
});

test('who is refused, or asks no longer, may ask again; who asked is let in once the context is open', async () => {
  const id = await approved();
  const participant = async () => (await ask(bob, join, { id }))['participant']!['id'];
  expect(
    (await ask(alice, decide, { id, participant: await participant(), decision: 'REFUSE' }))['participant'],
  ).toMatchObject({
    status: 'LEFT',
    leftAt: expect.any(String) as string,
  });
  expect((await ask(alice, remove, { id, participant: await participant() }))['participant']).toMatchObject({
    status: 'LEFT',
  });
  await participant();
  expect(await ask(bob, leave, { id })).toMatchObject({
    participant: { status: 'LEFT' },
    context: { participantCount: 0 },
  });
  const last = await participant();
  await change(id, { joinPolicy: 'OPEN' });
  expect(await ask(bob, join, { id })).toMatchObject({
    participant: { id: last, status: 'ACTIVE', version: 2 },
    context: { participantCount: 1 },
  });
  expect(typesOf(id).filter((type) => type.startsWith('context.participant'))).toEqual([
    ...['requested', 'refused', 'requested', 'refused', 'requested', 'refused', 'requested', 'joined'].map(
      (name) => `context.participant.${name}`,
    ),
  ]);
});

test('requests take no place and have to meet what the context requires', async () => {
  const id = await approved({ requiredCapabilities: ['code'] }, { maxParticipants: 1 });
  expect((await ask(bob, join, { id }))['userErrors']).toEqual([{ code: 'VALIDATION_FAILED', path: ['capabilities'] }]);
  const [first, second] = [
    await ask(bob, join, { id, capabilities: ['code'] }),
    await ask(carol, join, { id, capabilities: ['code'] }),
  ];
  const decision = 'APPROVE';
  expect((await ask(alice, decide, { id, participant: first!['participant']!['id'], decision }))['userErrors']).toEqual(
    [],
  );
  const other = { id, participant: second!['participant']!['id'] };
  expect((await ask(alice, decide, { ...other, decision }))['userErrors']).toMatchObject([{ code: 'CONTEXT_FULL' }]);
  expect((await ask(alice, patch, { ...other, status: 'ACTIVE' }))['userErrors']).toMatchObject([
    { code: 'CONTEXT_FULL' },
  ]);
  expect((await ask(alice, patch, { ...other, status: 'LEAVING' }))['userErrors']).toMatchObject([
    { code: 'INVALID_STATE_TRANSITION' },
  ]);
});

test('of a private context who asked to join sees nothing until it is in', async () => {
  const id = await approved();
  const { participant } = await ask(bob, join, { id });
  await change(id, { visibility: 'PRIVATE' });
  const see = `query ($id: ID!) { context(contextId: $id) { id } contexts { nodes { id } } searchContexts { nodes { id } }
    filtered: contexts(filter: { participantAgentId: "bob" }) { nodes { id } } contextStatistics { total } }`;
  const seen = async () => JSON.stringify(await rig.ask(bob, see, { id })).includes(id);
  expect(await seen()).toBe(false);
  for (const query of [
    'mutation ($id: ID!) { answer: setMetadata(contextId: $id, entries: [{ key: "a", value: 1 }]) { userErrors { code } } }',
    'mutation ($id: ID!) { answer: updateContext(contextId: $id, patch: { title: "x" }) { userErrors { code } } }',
    'mutation ($id: ID!) { answer: updateSharedState(input: { contextId: $id, baseVersion: 0, changes: [{ key: "variables.a", value: 1 }] }) { userErrors { code } } }',
    join,
    leave,
  ])
    expect((await ask(bob, query, { id }))['userErrors']).toMatchObject([{ code: 'NOT_FOUND' }]);
  const admit = () => contextSubscriptions['participantActivities']!.admit(bob, { contextId: id }, { sql: rig.sql });
  await expect(admit()).rejects.toMatchObject({ code: 'NOT_FOUND' });
  await ask(alice, decide, { id, participant: participant!['id'], decision: 'APPROVE' });
  expect(await seen()).toBe(true);
  await admit();
});

test('a gate of who follows an open context closes when that becomes private while it waits', async () => {
  const id = await approved();
  const gate = await contextSubscriptions['participantActivities']!.admit(bob, { contextId: id }, { sql: rig.sql });
  await ask(bob, join, { id });
  await change(id, { visibility: 'PRIVATE' });
  const events = rig.events.filter((event): event is EventRow => event.streamId === id && 'sequence' in event);
  expect(events.slice(1).map((event) => [event.type, gate.decide(event)])).toEqual([
    ['context.participant.requested', 'deliver'],
    ['context.updated', 'end'],
  ]);
});

test('no more ask than may wait; who is decided about makes room, together and one after the other', async () => {
  await using small = await openContextRig({ QUOTA_JOIN_REQUESTS_PER_CONTEXT: '3' });
  const id = await small.createContext(alice, { accessControl: { joinPolicy: 'APPROVAL' } });
  const tryJoin = async (name: string) => (await small.ask(principal(name), join, { id }))['answer']!;
  const answers = await Promise.all(['a', 'b', 'c', 'd', 'e'].map(tryJoin));
  const refused = answers.filter((answer) => answer['userErrors']![0] !== undefined);
  expect(refused.map((answer) => answer['userErrors']![0]!['code'])).toEqual(['QUOTA_EXCEEDED', 'QUOTA_EXCEEDED']);
  const waiting = answers.map((answer) => answer['participant']!).filter((participant) => participant !== null);
  expect(waiting.map(({ status }) => status)).toEqual(['JOINING', 'JOINING', 'JOINING']);
  // Asking again is no further request.
  expect((await tryJoin(String(waiting[0]!['agentId'])))['userErrors']).toEqual([]);
  for (const [at, decision] of ['APPROVE', 'REFUSE'].entries())
    await small.ask(alice, decide, { id, participant: waiting[at]!['id'], decision });
  expect((await tryJoin('f'))['userErrors']).toEqual([]);
  expect((await small.ask(principal(String(waiting[2]!['agentId'])), leave, { id }))['answer']!['userErrors']).toEqual(
    [],
  );
  for (const name of ['g', 'h']) expect((await tryJoin(name))['userErrors']).toEqual([]);
  expect((await tryJoin('i'))['userErrors']).toMatchObject([{ code: 'QUOTA_EXCEEDED' }]);
});

test('a request is decided at the version that is expected', async () => {
  const id = await approved();
  const decideAt = `mutation ($id: ID!, $participant: ID!, $decision: ContextJoinDecision!, $version: Int) { answer: decideJoinRequest(contextId: $id, participantId: $participant, decision: $decision, expectedVersion: $version) ${fields} }`;
  const { participant } = await ask(bob, join, { id });
  const of = { id, participant: participant!['id'] };
  const refused = async (decision: string, version: number) =>
    expect((await ask(alice, decideAt, { ...of, decision, version }))['userErrors']).toEqual([
      { code: 'VERSION_CONFLICT', path: ['expectedVersion'] },
    ]);
  await refused('APPROVE', 2);
  await refused('REFUSE', 0);
  const stored = () =>
    rig.sql`SELECT status, version FROM context.participant WHERE id = ${participant!['id']}`.then((rows) => [...rows]);
  expect(await stored()).toEqual([{ status: 'JOINING', version: 1 }]);
  expect(typesOf(id)).toEqual(['context.created', 'context.participant.requested']);
  expect(await ask(alice, decideAt, { ...of, decision: 'APPROVE', version: 1 })).toMatchObject({
    participant: { status: 'ACTIVE', version: 2 },
    userErrors: [],
  });
  await refused('REFUSE', 1);
  expect(await stored()).toEqual([{ status: 'ACTIVE', version: 2 }]);
});
