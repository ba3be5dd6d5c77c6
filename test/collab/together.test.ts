import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ann, bob, type CollabRig, cat, codesOf, dan, openCollabRig, typesOf } from './rig.ts';

let rig: CollabRig;
beforeAll(async () => {
  rig = await openCollabRig();
});
afterAll(() => rig[Symbol.asyncDispose]());

const able = (participantId: string, ...capabilities: string[]) => ({
  ...{ participantId, kind: 'AGENT', roleId: 'worker', capabilities },
});
const session = () =>
  rig.session('ORCHESTRATED', [], {
    participants: [able('ann'), able('bob', 'code'), able('cat', 'test'), able('dan', 'code', 'test')],
  });
const create = (collabId: string, task: object) =>
  rig.mutate(
    ann,
    'createCollabTasks',
    { collabId, tasks: [{ name: 'together', estimatedEffortHours: 4, requiredSkills: ['code', 'test'], ...task }] },
    'tasks { id status assignedTo assignees }',
  );
const idOf = (payload: Awaited<ReturnType<typeof create>>) => String(payload['tasks']!.map((task) => task['id'])[0]);
const read = async (id: string) =>
  (
    await rig.ask(
      ann,
      'query ($id: ID!) { collaboration(id: $id) { tasks { nodes { status assignedTo assignees progress } } } }',
      { id },
    )
  )['collaboration']!['tasks']!['nodes']!.map((task) => task)[0];

test('a task of several from the beginning: together they need its skills, the first leads, each may work on it', async () => {
  const id = await session();
  expect(codesOf(await create(id, { assignees: ['bob'] }))).toEqual(['INSUFFICIENT_CAPABILITIES']);
  expect(codesOf(await create(id, { assignees: ['bob', 'nobody'] }))).toEqual(['PARTICIPANT_NOT_FOUND']);
  expect(codesOf(await create(id, { assignees: ['bob', 'bob'] }))).toEqual(['VALIDATION_FAILED']);
  const taskId = idOf(await create(id, { assignees: ['bob', 'cat'] }));
  expect(await read(id)).toMatchObject({ status: 'ASSIGNED', assignedTo: 'bob', assignees: ['bob', 'cat'] });
  expect(codesOf(await rig.mutate(dan, 'updateCollabTask', { taskId, status: 'IN_PROGRESS' }, 'task { id }'))).toEqual([
    'PERMISSION_DENIED',
  ]);
  await rig.act(cat, 'updateCollabTask', { taskId, status: 'IN_PROGRESS', progress: 0.5 });
  await rig.act(cat, 'completeTask', { taskId });
  expect(await read(id)).toMatchObject({ status: 'COMPLETED', assignees: ['bob', 'cat'] });
});

test('helpers come and go while it is done; given to others it begins anew with them', async () => {
  const id = await session();
  const taskId = idOf(await create(id, { assignees: ['dan'] }));
  await rig.act(dan, 'updateCollabTask', { taskId, status: 'IN_PROGRESS', progress: 0.25 });
  expect(codesOf(await rig.mutate(dan, 'updateCollabTask', { taskId, helpers: ['bob'] }, 'task { id }'))).toEqual([
    'PERMISSION_DENIED',
  ]);
  expect(codesOf(await rig.mutate(ann, 'updateCollabTask', { taskId, helpers: ['dan'] }, 'task { id }'))).toEqual([
    'VALIDATION_FAILED',
  ]);
  await rig.act(ann, 'updateCollabTask', { taskId, helpers: ['bob', 'cat'] });
  expect(await read(id)).toMatchObject({ status: 'IN_PROGRESS', progress: 0.25, assignees: ['dan', 'bob', 'cat'] });
  expect(typesOf(await rig.stream(id))).toContain('collab.task.helpers.changed');
  await rig.act(ann, 'reassignCollabTask', { taskId, toParticipantId: 'cat', helpers: ['bob'] });
  expect(await read(id)).toMatchObject({ status: 'ASSIGNED', assignees: ['cat', 'bob'] });
  const twice = { taskId, toParticipantId: 'dan', helpers: ['dan'] };
  expect(codesOf(await rig.mutate(ann, 'reassignCollabTask', twice, 'task { id }'))).toEqual(['VALIDATION_FAILED']);
  await rig.act(ann, 'reassignCollabTask', { taskId, toParticipantId: 'dan' });
  expect(await read(id)).toMatchObject({ assignees: ['dan'] });
});

test('whoever leads and leaves is followed by who helped; a helper is replaced in its place', async () => {
  const id = await session();
  const taskId = idOf(await create(id, { assignees: ['dan', 'bob', 'cat'] }));
  await rig.act(dan, 'updateCollabTask', { taskId, status: 'IN_PROGRESS' });
  await rig.act(dan, 'leaveCollaboration', { collabId: id });
  expect(await read(id)).toMatchObject({ status: 'IN_PROGRESS', assignees: ['bob', 'cat'] });
  await rig.act(ann, 'replaceCollabParticipant', {
    ...{ collabId: id, participantId: 'cat', replacement: { participantId: 'eve', kind: 'AGENT' } },
  });
  expect(await read(id)).toMatchObject({ assignees: ['bob', 'eve'] });
  await rig.act(ann, 'leaveCollaboration', { collabId: id, participantId: 'eve' });
  await rig.act(bob, 'leaveCollaboration', { collabId: id });
  expect(await read(id)).toMatchObject({ status: 'PENDING', assignedTo: null, assignees: [] });
});

test('who helps has a task at that time as who leads: what overlaps is found', async () => {
  const id = await session();
  for (const name of ['one', 'two']) await create(id, { name, assignees: ['dan', 'bob'] });
  await rig.sql.unsafe(
    `UPDATE collab.task SET planned_start = now(), planned_finish = now() + interval '1 hour' WHERE collab_id = $1`,
    [id],
  );
  const found = await rig.mutate(ann, 'detectConflicts', { collabId: id }, 'conflicts { type participants }');
  expect(found['conflicts']!.map(({ participants }) => participants)).toEqual([['dan'], ['bob']]);
});

const coordinate =
  'assignments { taskId participantId assignees match startHours finishHours } unassigned { reason } avoidedParticipants';
const assigned = async (collabId: string, more: object = {}) =>
  rig.act(ann, 'coordinateTaskAssignment', { collabId, ...more }, coordinate);

test('the assignment forms a team where nobody has all skills, of as many as are asked for, and stores it', async () => {
  const id = await rig.session('ORCHESTRATED', [], {
    participants: [able('ann'), able('bob', 'code'), able('cat', 'test')],
  });
  await create(id, {});
  const { assignments } = await assigned(id);
  expect(assignments!.map((one) => one['assignees']!.map(String).sort())).toEqual([['bob', 'cat']]);
  expect(assignments!.map((one) => [one['match'], one['startHours'], one['finishHours']])).toEqual([[1, 0, 2]]);
  expect((await read(id))!['assignees']!.map(String).sort()).toEqual(['bob', 'cat']);

  await create(id, { requiredSkills: ['code'], teamSize: 3 });
  await create(id, { requiredSkills: ['code'], teamSize: 4 });
  await create(id, { requiredSkills: ['fly'] });
  const further = await assigned(id);
  expect(further['assignments']!.map((one) => one['assignees']!.length)).toEqual([3]);
  expect(
    further['unassigned']!.map((one) => one['reason'])
      .map(String)
      .sort(),
  ).toEqual(['SKILLS', 'TEAM']);
  expect(codesOf(await create(id, { teamSize: 21 }))).toEqual(['VALIDATION_FAILED']);
});

test('who fails in the session’s network is given only what nobody else can do', async () => {
  const [networkId, contextId] = [crypto.randomUUID(), rig.openContext()];
  const node = (agentId: string, state: string) => ({ agentId, status: 'ACTIVE', circuit: { state } });
  rig.answers.set('CollabNetwork', () => ({ data: { found: { context: { id: contextId } } }, errors: [] }));
  rig.answers.set('CollabNodes', () => ({
    data: { network: { nodes: [node('bob', 'OPEN'), node('cat', 'CLOSED')] } },
    errors: [],
  }));
  const agent = (name: string, ...capabilities: string[]) => ({ ...able(name, ...capabilities), agentId: name });
  const id = await rig.session('ORCHESTRATED', [], {
    ...{ contextId, networkId },
    participants: [{ ...agent('bob', 'code', 'fly'), priority: 100 }, agent('cat', 'code'), able('ann')],
  });
  for (const requiredSkills of [['code'], ['code'], ['fly']]) await create(id, { requiredSkills });
  const { assignments, avoidedParticipants } = await assigned(id);
  expect(avoidedParticipants).toEqual(['bob']);
  expect(assignments!.map((one) => String(one['participantId'])).sort()).toEqual(['bob', 'cat', 'cat']);
});

describe('how tasks follow each other', () => {
  const two = async (executionPattern: string | undefined, types = ['one', 'one']) => {
    const id = await rig.session('ORCHESTRATED', [], {
      ...{ executionPattern },
      participants: [able('ann'), able('bob', 'code'), able('cat', 'code')],
    });
    const made = [];
    for (const [at, type] of types.entries())
      made.push(idOf(await create(id, { type, requiredSkills: ['code'], assignees: [['bob', 'cat'][at]] })));
    return { id, taskIds: made };
  };
  const begin = async (who: typeof ann, taskId: string) =>
    codesOf(await rig.mutate(who, 'updateCollabTask', { taskId, status: 'IN_PROGRESS' }, 'task { id }'));

  test.each([
    [undefined, ['one', 'one'], []],
    ['PARALLEL', ['one', 'one'], []],
    ['HYBRID', ['one', 'one'], []],
    ['SEQUENTIAL', ['one', 'two'], ['INVALID_STATE']],
    ['PIPELINE', ['one', 'one'], ['INVALID_STATE']],
    ['PIPELINE', ['one', 'two'], []],
  ] as const)('%s, types %s: a second one beside the first: %s', async (pattern, types, refused) => {
    const { taskIds } = await two(pattern, [...types]);
    expect(await begin(bob, taskIds[0]!)).toEqual([]);
    expect(await begin(cat, taskIds[1]!)).toEqual(refused);
    await rig.act(bob, 'completeTask', { taskId: taskIds[0] });
    expect(await begin(cat, taskIds[1]!)).toEqual(refused.length > 0 ? [] : ['INVALID_STATE_TRANSITION']);
  });

  test('HYBRID: nobody works on two at once', async () => {
    const { id, taskIds } = await two('HYBRID');
    const third = idOf(await create(id, { requiredSkills: ['code'], assignees: ['bob'] }));
    expect(await begin(bob, taskIds[0]!)).toEqual([]);
    expect(await begin(bob, third)).toEqual(['INVALID_STATE']);
  });

  test('MESH: whoever has a task hands it on; elsewhere the coordinator does', async () => {
    const hand = async (pattern: string) => {
      const { taskIds } = await two(pattern);
      return codesOf(await rig.mutate(bob, 'reassignCollabTask', { taskId: taskIds[0], toParticipantId: 'cat' }));
    };
    expect([await hand('MESH'), await hand('PARALLEL')]).toEqual([[], ['PERMISSION_DENIED']]);
    const { taskIds } = await two('MESH');
    const foreign = await rig.mutate(cat, 'reassignCollabTask', { taskId: taskIds[0], toParticipantId: 'cat' });
    expect(codesOf(foreign)).toEqual(['PERMISSION_DENIED']);
  });

  test('the plan keeps to it', async () => {
    const planned = async (executionPattern: string) => {
      const id = await rig.session('ORCHESTRATED', [], {
        ...{ executionPattern },
        participants: [able('ann'), able('bob', 'code'), able('cat', 'code')],
      });
      for (const type of ['one', 'two']) await create(id, { type, requiredSkills: ['code'] });
      const { assignments, makespanHours } = await rig.act(
        ann,
        'coordinateTaskAssignment',
        { collabId: id },
        `${coordinate} makespanHours`,
      );
      return [assignments!.length, makespanHours];
    };
    expect(await planned('PARALLEL')).toEqual([2, 4]);
    expect(await planned('PIPELINE')).toEqual([2, 4]);
    expect(await planned('SEQUENTIAL')).toEqual([2, 8]);
    const { id } = await two('SEQUENTIAL');
    const read = 'query ($id: ID!) { collaboration(id: $id) { executionPattern } }';
    expect((await rig.ask(ann, read, { id }))['collaboration']).toEqual({ executionPattern: 'SEQUENTIAL' });
  });
});
