import { afterAll, beforeAll, expect, test } from 'vitest';
import { newId } from '#shared/ids.ts';
import { admin, ann, bob, type CollabRig, cat, codesOf, openCollabRig } from './rig.ts';

let rig: CollabRig;
beforeAll(async () => {
  rig = await openCollabRig();
});
afterAll(() => rig[Symbol.asyncDispose]());

const options = [
  { id: 'go', label: 'Go' },
  { id: 'no', label: 'No', statusQuo: true },
];
const ballots = ['ann', 'bob', 'cat'].map((participantId) => ({ participantId, optionId: 'go' }));
const decision = { title: 'Ship?', type: 'TACTICAL', impact: 0.1, options, ballots };

test('what is decided is carried out by whom its implementation names, and told to those who follow', async () => {
  const collabId = await rig.session('ORCHESTRATED', ['bob', 'cat']);
  const taskId = newId();
  const implementation = {
    summary: 'Ship it on Friday',
    ownerId: 'cat',
    dueAt: '2099-01-01T00:00:00.000Z',
    rollback: 'Take it back',
    steps: [{ description: 'Build', ownerId: 'bob', taskId }, { description: 'Ship' }],
  };
  const fields =
    'decision { id status implementation { summary ownerId dueAt rollback steps { description ownerId taskId dueAt } } }';
  const made = await rig.act(ann, 'makeDecision', { collabId, ...decision, implementation }, fields);
  expect(made['decision']).toMatchObject({
    status: 'DECIDED',
    implementation: {
      ...implementation,
      steps: [
        { description: 'Build', ownerId: 'bob', taskId, dueAt: null },
        { description: 'Ship', ownerId: null, taskId: null, dueAt: null },
      ],
    },
  });
  const decisionId = made['decision']!['id'];
  const advance = (who: typeof ann, status: string) => rig.mutate(who, 'advanceDecision', { decisionId, status });
  expect(codesOf(await advance(bob, 'IMPLEMENTED'))).toEqual(['PERMISSION_DENIED']);
  expect(codesOf(await advance(cat, 'REVIEWED'))).not.toEqual([]);
  expect(codesOf(await advance(cat, 'IMPLEMENTED'))).toEqual([]);
  expect(codesOf(await advance(admin, 'REVIEWED'))).toEqual([]);
  const told = (await rig.replay(bob, 'coordinationUpdate', { collabId })).filter(
    ({ type }) => String(type) === 'collab.decision.implemented',
  );
  expect(told).toMatchObject([{ decision: { status: 'IMPLEMENTED', implementation: { ownerId: 'cat' } } }]);
});

test('an owner that takes no part, and what is no plan, are refused with nothing stored', async () => {
  const collabId = await rig.session('ORCHESTRATED', ['bob', 'cat']);
  for (const [code, implementation] of [
    ['NOT_A_PARTICIPANT', { ownerId: 'nobody' }],
    ['NOT_A_PARTICIPANT', { steps: [{ description: 'Build', ownerId: 'nobody' }] }],
    ['VALIDATION_FAILED', { steps: [{ description: '' }] }],
    ['VALIDATION_FAILED', { steps: Array.from({ length: 51 }, () => ({ description: 'Build' })) }],
  ] as const)
    expect(codesOf(await rig.mutate(ann, 'makeDecision', { collabId, ...decision, implementation }))).toEqual([code]);
  expect(await rig.sql`SELECT 1 FROM collab.decision WHERE collab_id = ${collabId}`).toHaveLength(0);
});

test('the frozen events of the profile come typed, with the document that validates', async () => {
  const collabId = await rig.session('ROUND_ROBIN', ['bob']);
  const { turn } = await rig.act(ann, 'dispatchTurn', { collabId }, 'turn { id participantId number tokenId }');
  await rig.act(ann, 'completeTurn', { turnId: turn!['id'], result: { done: true }, passOn: false });
  const events = await rig.replay(bob, 'mapEvents', { collabId });
  expect(events.map(({ eventType }) => String(eventType))).toEqual([
    ...['MAP_SESSION_STARTED', 'MAP_ROLES_ASSIGNED', 'MAP_TURN_DISPATCHED', 'MAP_TURN_COMPLETED'],
  ]);
  const [started, assigned, dispatched, completed] = events;
  expect(started!['payload']).toMatchObject({
    mode: 'ROUND_ROBIN',
    status: 'ACTIVE',
    participants: 2,
    turnNumber: null,
  });
  expect(assigned!['payload']!['assignments']).toEqual([
    { participantId: 'ann', roleId: 'worker' },
    { participantId: 'bob', roleId: 'worker' },
  ]);
  expect(dispatched!['payload']).toMatchObject({
    turnNumber: turn!['number'],
    tokenId: turn!['tokenId'],
    result: null,
  });
  expect(completed!['payload']).toMatchObject({ result: { done: true } });
  for (const { eventId, document } of events)
    expect(document).toMatchObject({ event_id: String(eventId), session_id: collabId });
});

test('a session names the network that its participants are nodes of, and is listed below it', async () => {
  const contextId = rig.openContext();
  const [networkId, elsewhere] = [newId(), newId()];
  rig.answers.set('CollabNetwork', ({ id }) => ({
    data: { found: { context: { id: id === networkId ? contextId : newId() } } },
    errors: [],
  }));
  const collabId = await rig.session('ORCHESTRATED', ['bob'], { contextId, networkId });
  const read = await rig.ask(
    admin,
    `{ collaboration(id: "${collabId}") { networkId network { id } } collaborations(filter: { networkId: "${networkId}" }) { nodes { id } } other: collaborations(filter: { networkId: "${elsewhere}" }) { nodes { id } } }`,
  );
  expect(read).toMatchObject({
    collaboration: { networkId, network: { id: networkId } },
    collaborations: { nodes: [{ id: collabId }] },
    other: { nodes: [] },
  });
  const below = await rig.ask(
    admin,
    'query ($of: [_Any!]!) { _entities(representations: $of) { ... on Network { collaborations { nodes { id } } } } }',
    { of: [{ __typename: 'Network', id: networkId }] },
  );
  expect(below['_entities']).toMatchObject([{ collaborations: { nodes: [{ id: collabId }] } }]);
  const foreign = await rig.mutate(ann, 'createCollaboration', {
    ...{ contextId, networkId: elsewhere, title: 'T', purpose: 'P', mode: 'ORCHESTRATED' },
    participants: [{ participantId: 'ann', kind: 'AGENT' }],
  });
  expect(codesOf(foreign)).toEqual(['NOT_FOUND']);
});
