import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ann, bob, type CollabRig, cat, codesOf, type Json, openCollabRig, principal } from './rig.ts';

let rig: CollabRig;
beforeAll(async () => {
  rig = await openCollabRig();
});
afterAll(() => rig[Symbol.asyncDispose]());

const hal = principal('hal', { subjectType: 'human' });
const coder = (participantId: string, more: object = {}) => ({ participantId, capabilities: ['code'], ...more });
const idsOf = (payload: Json, name: string) => payload[name]!.map((one) => String(one['id']));
const create = async (collabId: string, tasks: readonly object[]) =>
  idsOf(
    await rig.act(
      ann,
      'createCollabTasks',
      { collabId, tasks: tasks.map((task, at) => ({ name: `t${at}`, estimatedEffortHours: 2, ...task })) },
      'tasks { id }',
    ),
    'tasks',
  );
const tasksOf = async (collabId: string): Promise<Json> =>
  (
    await rig.ask(
      ann,
      'query ($id: ID!) { taskAssignments(collabId: $id, first: 100) { nodes { id name assignedTo status plannedStart plannedFinish version } } }',
      { id: collabId },
    )
  )['taskAssignments']!['nodes']!;

describe('tasks', () => {
  test('assigned within skills and capacity, scheduled along what they wait for; a dry run stores nothing', async () => {
    const id = await rig.session('ORCHESTRATED', [coder('bob'), coder('cat', { capabilities: ['code', 'test'] })]);
    const first = crypto.randomUUID();
    await create(id, [
      { id: first, requiredSkills: ['code'] },
      { requiredSkills: ['test'], dependencies: [first] },
      { requiredSkills: ['fly'] },
      { requiredSkills: ['code'], estimatedEffortHours: 100, deadline: new Date(Date.now() + 3_600_000).toISOString() },
    ]);
    const selection =
      'assignments { taskId participantId startHours finishHours match } unassigned { taskId reason } criticalPath makespanHours evaluatedPairs evaluatedSchedules applied utilisation { participantId tasks }';
    const dry = await rig.act(ann, 'coordinateTaskAssignment', { collabId: id, dryRun: true }, selection);
    expect((await tasksOf(id)).filter((task) => String(task['status']) !== 'PENDING')).toEqual([]);
    const done = await rig.act(ann, 'coordinateTaskAssignment', { collabId: id, idempotencyKey: 'once' }, selection);
    expect({ ...done, applied: null }).toMatchObject({
      assignments: dry['assignments'],
      criticalPath: dry['criticalPath'],
    });
    expect(
      done['unassigned']!.map((one) => one['reason'])
        .map(String)
        .sort(),
    ).toEqual(['DEADLINE', 'SKILLS']);
    expect(done['evaluatedPairs']).toBe(12);
    const [before, after] = [
      done['assignments']!.find((one) => one['taskId'] === (first as never)),
      done['assignments']!.find((one) => one['taskId'] !== (first as never)),
    ];
    expect(Number(after!['startHours'])).toBeGreaterThanOrEqual(Number(before!['finishHours']));
    const again = await rig.act(ann, 'coordinateTaskAssignment', { collabId: id, idempotencyKey: 'once' }, selection);
    expect(again).toEqual(done);
    expect((await tasksOf(id)).filter((task) => String(task['status']) === 'ASSIGNED').length).toBe(2);
    expect(codesOf(await rig.mutate(bob, 'coordinateTaskAssignment', { collabId: id }))).toEqual(['PERMISSION_DENIED']);
  });

  test('their states; a cycle, an unknown dependency, what others hold', async () => {
    const id = await rig.session('ORCHESTRATED', [coder('bob'), coder('cat')]);
    const [one, two] = [crypto.randomUUID(), crypto.randomUUID()];
    const raw = (tasks: readonly object[]) =>
      rig.mutate(ann, 'createCollabTasks', {
        collabId: id,
        tasks: tasks.map((task) => ({ name: 't', estimatedEffortHours: 1, ...task })),
      });
    expect(
      codesOf(
        await raw([
          { id: one, dependencies: [two] },
          { id: two, dependencies: [one] },
        ]),
      ),
    ).toEqual(['CYCLIC_DEPENDENCY']);
    expect(codesOf(await raw([{ dependencies: [one] }]))).toEqual(['NOT_FOUND']);
    expect(codesOf(await raw([{ id: one }, { id: one }]))).toEqual(['CONFLICT']);
    await create(id, [{ id: one }, { id: two, dependencies: [one] }]);
    for (const taskId of [one, two]) await rig.act(ann, 'reassignCollabTask', { taskId, toParticipantId: 'bob' });
    const set = (who: typeof ann, taskId: string, status: string) =>
      rig.mutate(who, 'updateCollabTask', { taskId, status }, 'task { status }');
    expect(codesOf(await set(bob, two, 'IN_PROGRESS'))).toEqual(['INVALID_STATE']);
    expect(codesOf(await set(cat, one, 'IN_PROGRESS'))).toEqual(['PERMISSION_DENIED']);
    expect(await set(bob, one, 'IN_PROGRESS')).toMatchObject({ task: { status: 'IN_PROGRESS' } });
    expect(await set(bob, one, 'BLOCKED')).toMatchObject({ task: { status: 'BLOCKED' } });
    expect(codesOf(await rig.mutate(bob, 'completeTask', { taskId: one }))).toEqual(['INVALID_STATE_TRANSITION']);
    await set(bob, one, 'IN_PROGRESS');
    const both = await Promise.all(
      [0, 1].map(() => rig.mutate(bob, 'completeTask', { taskId: one }, 'task { progress }')),
    );
    expect(both.flatMap(codesOf)).toEqual(['INVALID_STATE_TRANSITION']);
    expect(await set(bob, two, 'IN_PROGRESS')).toMatchObject({ task: { status: 'IN_PROGRESS' } });
    expect(codesOf(await set(bob, two, 'CANCELLED'))).toEqual(['PERMISSION_DENIED']);
    expect(codesOf(await rig.mutate(principal('x', { tenantId: 'two' }), 'completeTask', { taskId: two }))).toEqual([
      'NOT_FOUND',
    ]);
  });
});

describe('resources and conflicts', () => {
  const at = (hour: number) => new Date(Date.UTC(2099, 0, 1, hour)).toISOString();

  async function shared(capacity = 10) {
    const id = await rig.session('ORCHESTRATED', [
      'bob',
      'cat',
      { participantId: 'hal', kind: 'HUMAN', permissions: ['MAKE_DECISIONS', 'OVERSEE'] },
    ]);
    const payload = await rig.act(ann, 'putCollabResource', { collabId: id, name: 'gpu', capacity }, 'resource { id }');
    return { id, resourceId: String(payload['resource']!['id']) };
  }
  const claim = (who: typeof ann, resourceId: string, amount: number, more: object = {}) =>
    rig.mutate(
      who,
      'claimCollabResource',
      { resourceId, amount, start: at(0), end: at(4), ...more },
      'allocation { allocationId status granted } conflicts { id type severity participants status }',
    );
  const allocations = async (id: string) =>
    (
      await rig.ask(
        ann,
        'query ($id: ID!) { collaboration(id: $id) { resources { capacity allocations { participantId granted status start end } } } }',
        { id },
      )
    )['collaboration']!['resources']!.map((one) => one)[0]!['allocations']!;

  test('what fits is given, what does not waits and is a conflict; fair shares once all agree, never above capacity', async () => {
    const { id, resourceId } = await shared();
    expect(await claim(ann, resourceId, 6)).toMatchObject({
      allocation: { status: 'GRANTED', granted: 6 },
      conflicts: [],
    });
    const waiting = await claim(bob, resourceId, 8);
    expect(waiting).toMatchObject({
      allocation: { status: 'WAITING', granted: 0 },
      conflicts: [{ type: 'RESOURCE_ALLOCATION', participants: ['ann', 'bob'] }],
    });
    const conflictId = idsOf(waiting, 'conflicts')[0]!;
    expect((await rig.act(ann, 'detectConflicts', { collabId: id }, 'conflicts { id }'))['conflicts']).toEqual([]);
    expect(codesOf(await rig.mutate(bob, 'resolveConflict', { conflictId, strategy: 'FAIR_SHARE' }))).toEqual([
      'PERMISSION_DENIED',
    ]);
    expect(
      codesOf(await rig.mutate(ann, 'resolveConflict', { conflictId, strategy: 'FAIR_SHARE', capacity: 99 })),
    ).toEqual(['VALIDATION_FAILED']);
    const proposed = await rig.act(
      ann,
      'resolveConflict',
      { conflictId, strategy: 'FAIR_SHARE' },
      'conflict { status resolution { shares { participantId amount } } }',
    );
    expect(proposed).toMatchObject({ conflict: { status: 'PROPOSED' } });
    expect(proposed['conflict']!['resolution']!['shares']!.map((one) => Number(one['amount']))).toEqual([5, 5]);
    expect(codesOf(await rig.mutate(cat, 'acceptResolution', { conflictId, accept: true }))).toEqual([
      'NOT_A_PARTICIPANT',
    ]);
    const agree = (who: typeof ann) =>
      rig.act(who, 'acceptResolution', { conflictId, accept: true }, 'conflict { status agreements }');
    expect(await agree(ann)).toMatchObject({ conflict: { status: 'PROPOSED', agreements: ['ann'] } });
    expect(await agree(bob)).toMatchObject({ conflict: { status: 'RESOLVED' } });
    expect((await allocations(id)).map((one) => [one['participantId'], Number(one['granted'])])).toEqual([
      ['ann', 5],
      ['bob', 5],
    ]);
    expect(codesOf(await rig.mutate(ann, 'acceptResolution', { conflictId, accept: true }))).toEqual(['INVALID_STATE']);
  });

  test('who does not agree takes it one level up; at the last one people rule; time takes it up too', async () => {
    const { id, resourceId } = await shared();
    await claim(ann, resourceId, 6);
    const conflictId = idsOf(await claim(bob, resourceId, 8), 'conflicts')[0]!;
    await rig.act(ann, 'resolveConflict', { conflictId, strategy: 'PRIORITY' });
    expect(
      await rig.act(bob, 'acceptResolution', { conflictId, accept: false }, 'conflict { level status }'),
    ).toMatchObject({ conflict: { level: 2, status: 'DETECTED' } });
    await rig.elapse(id);
    const level = await rig.ask(ann, 'query ($id: ID!) { conflicts(collabId: $id) { nodes { level levelDueAt } } }', {
      id,
    });
    expect(level['conflicts']!['nodes']!.map((one) => one['level'])).toEqual([3]);
    expect(codesOf(await rig.mutate(ann, 'resolveConflict', { conflictId, strategy: 'FAIR_SHARE' }))).toEqual([
      'PERMISSION_DENIED',
    ]);
    expect(codesOf(await rig.mutate(hal, 'resolveConflict', { conflictId, strategy: 'ARBITRATION' }))).toEqual([
      'RATIONALE_REQUIRED',
    ]);
    expect(
      await rig.act(
        hal,
        'resolveConflict',
        { conflictId, strategy: 'TIME_SLICING' },
        'conflict { status resolution { slices { participantId } } }',
      ),
    ).toMatchObject({ conflict: { status: 'RESOLVED' } });
    const held = await allocations(id);
    expect(held.map((one) => [one['participantId'], Number(one['granted'])])).toEqual([
      ['ann', 6],
      ['bob', 8],
    ]);
    expect(String(held.map((one) => one['end'])[0])).toBe(String(held.map((one) => one['start'])[1]));
  });

  test('many claims at once never take more than there is; what is given back goes to who waits', async () => {
    const { id, resourceId } = await shared(5);
    const payloads = await Promise.all(Array.from({ length: 12 }, () => claim(cat, resourceId, 1)));
    const given = payloads.filter((payload) => String(payload['allocation']!['status']) === 'GRANTED');
    expect(given.length).toBe(5);
    await rig.act(cat, 'releaseCollabResource', { resourceId, allocationId: given[0]!['allocation']!['allocationId'] });
    const held = await allocations(id);
    expect(held.map((one) => Number(one['granted'])).reduce((sum, amount) => sum + amount)).toBe(5);
    expect(codesOf(await rig.mutate(ann, 'putCollabResource', { collabId: id, name: 'gpu', capacity: 4 }))).toEqual([
      'INVALID_STATE',
    ]);
  });

  test('objectives that exclude each other, tasks at once, and bargaining over proposals', async () => {
    const id = await rig.session('ORCHESTRATED', ['bob'], {
      objectives: [
        { description: 'fast', metrics: [{ name: 'days', target: 3, direction: 'AT_MOST' }] },
        { description: 'thorough', metrics: [{ name: 'days', target: 5, direction: 'AT_LEAST' }] },
      ],
    });
    const [one, two] = await create(id, [{}, {}]);
    for (const taskId of [one!, two!]) await rig.act(ann, 'reassignCollabTask', { taskId, toParticipantId: 'bob' });
    await rig.sql`UPDATE collab.task SET planned_start = '2099-01-01', planned_finish = '2099-01-02' WHERE collab_id = ${id}`;
    const found = await rig.act(bob, 'detectConflicts', { collabId: id }, 'conflicts { id type participants }');
    expect(
      found['conflicts']!.map((conflict) => conflict['type'])
        .map(String)
        .sort(),
    ).toEqual(['OBJECTIVE', 'TASK_OVERLAP']);
    const conflictId = found['conflicts']!.find((conflict) => String(conflict['type']) === 'OBJECTIVE')!['id'];
    const utilities = (annual: number, bobs: number) => [
      { participantId: 'ann', utility: annual },
      { participantId: 'bob', utility: bobs },
    ];
    const bargained = await rig.act(
      ann,
      'resolveConflict',
      {
        conflictId,
        strategy: 'BARGAINING',
        proposals: [
          { id: 'mine', utilities: utilities(9, 1) },
          { id: 'middle', utilities: utilities(5, 5) },
        ],
      },
      'conflict { resolution { proposal rationale } }',
    );
    expect(bargained).toMatchObject({ conflict: { resolution: { proposal: 'middle' } } });
    const raised = await rig.act(
      bob,
      'raiseConflict',
      { collabId: id, type: 'PRIORITY', description: 'mine first', participants: ['ann', 'bob'] },
      'conflicts { id level }',
    );
    expect(
      await rig.act(ann, 'dismissConflict', { conflictId: idsOf(raised, 'conflicts')[0] }, 'conflict { status }'),
    ).toMatchObject({ conflict: { status: 'DISMISSED' } });
    expect(
      codesOf(
        await rig.mutate(principal('eve'), 'raiseConflict', {
          collabId: id,
          type: 'PRIORITY',
          description: 'x',
          participants: ['ann'],
        }),
      ),
    ).toEqual(['NOT_A_PARTICIPANT']);
  });
});
