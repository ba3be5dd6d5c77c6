import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ann, bob, type CollabRig, codesOf, type Json, openCollabRig, principal } from './rig.ts';

let rig: CollabRig;
beforeAll(async () => {
  rig = await openCollabRig();
});
afterAll(() => rig[Symbol.asyncDispose]());

const coder = (participantId: string, more: object = {}) => ({ participantId, capabilities: ['code'], ...more });
const idsOf = (payload: Json, name: string) => payload[name]!.map((one) => String(one['id']));
const experienceOf = async (id: string) =>
  (await rig.sql`SELECT experience FROM collab.collaboration WHERE id = ${id}`)[0]!['experience'];
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

describe('recommendations', () => {
  const selection =
    'recommendations { id type action { moves { taskId from to } participantId capability turnId conflictId strategy } wording gain confidence score before { name value } after { name value } evidence }';
  const figure = (figures: Json, name: string) => Number(figures.find((one) => String(one['name']) === name)!['value']);
  const metric = async (id: string, name: string) =>
    figure(
      (
        await rig.ask(ann, 'query ($id: ID!) { collabMetrics(collabId: $id) { metrics { name value target met } } }', {
          id,
        })
      )['collabMetrics']!['metrics']!,
      name,
    );

  async function overloaded() {
    const id = await rig.session('ORCHESTRATED', [coder('bob'), coder('cat')], {
      performanceTargets: [{ name: 'makespan_hours', target: 6 }],
    });
    const tasks = await create(
      id,
      [1, 2, 3, 4].map((estimatedEffortHours) => ({ estimatedEffortHours, requiredSkills: ['code'] })),
    );
    for (const taskId of tasks) await rig.act(ann, 'reassignCollabTask', { taskId, toParticipantId: 'bob' });
    return id;
  }

  test.each(['REASSIGN_TASK', 'REBALANCE'])('%s: applied, it gains what it said', async (type) => {
    const id = await overloaded();
    expect(await metric(id, 'makespan_hours')).toBeCloseTo(10, 6);
    const advice = (await rig.act(ann, 'requestRecommendations', { collabId: id, types: [type] }, selection))[
      'recommendations'
    ]!.map((one) => one)[0]!;
    expect(figure(advice['before']!, 'makespanHours')).toBeCloseTo(10, 6);
    expect(Number(advice['confidence'])).toBeGreaterThanOrEqual(0.75);
    const promised = figure(advice['after']!, 'makespanHours');
    expect(promised).toBeLessThan(10);
    const applied = await rig.act(
      ann,
      'feedbackOnRecommendation',
      { recommendationId: advice['id'], status: 'ACCEPTED', apply: true },
      'applied recommendation { status }',
    );
    expect(applied).toMatchObject({ applied: true, recommendation: { status: 'ACCEPTED' } });
    const now = await metric(id, 'makespan_hours');
    expect(now).toBeCloseTo(promised, 6);
    expect((10 - now) / 10).toBeCloseTo(Number(advice['gain']), 6);
    expect(await experienceOf(id)).toEqual({ [type.toLowerCase()]: { succeeded: 1, failed: 0 } });
    expect(
      codesOf(
        await rig.mutate(ann, 'feedbackOnRecommendation', { recommendationId: advice['id'], status: 'REJECTED' }),
      ),
    ).toEqual(['INVALID_STATE']);
  });

  test('at most five, sure ones, the best first; what was turned down often is not advised any more', async () => {
    const id = await overloaded();
    const ask = (more: object = {}) => rig.act(ann, 'requestRecommendations', { collabId: id, ...more }, selection);
    const all = (await ask())['recommendations']!;
    const values = all.map((one) => Number(one['gain']) * Number(one['confidence']));
    expect(values).toEqual([...values].sort((one, other) => other - one));
    expect(all.length).toBeLessThanOrEqual(5);
    expect((await ask({ minConfidence: 0.99 }))['recommendations']).toEqual([]);
    for (let round = 0; round < 3; round += 1) {
      const advice = (await ask({ types: ['REBALANCE'] }))['recommendations']!.map((one) => one)[0];
      if (advice === undefined) break;
      await rig.act(ann, 'feedbackOnRecommendation', { recommendationId: advice['id'], status: 'REJECTED' });
    }
    expect((await ask({ types: ['REBALANCE'] }))['recommendations']).toEqual([]);
    const empty = await rig.session('ORCHESTRATED', ['bob']);
    expect(codesOf(await rig.mutate(ann, 'requestRecommendations', { collabId: empty }))).toEqual([
      'INSUFFICIENT_DATA',
    ]);
    expect(codesOf(await rig.mutate(principal('eve'), 'requestRecommendations', { collabId: id }))).toEqual([
      'NOT_A_PARTICIPANT',
    ]);
  });

  test('a provider words them and adds no number of its own', async () => {
    const id = await overloaded();
    const words = async () =>
      (await rig.act(ann, 'requestRecommendations', { collabId: id, types: ['REBALANCE'] }, selection))[
        'recommendations'
      ]!.map((one) => String(one['wording']))[0];
    rig.writer.current = { write: () => 'Spread the work, please.' };
    expect(await words()).toBe('Spread the work, please.');
    rig.writer.current = { write: () => 'It saves 87.3 percent!' };
    expect(await words()).toContain('Assign anew');
    rig.writer.current = {
      write: () => {
        throw new Error('away');
      },
    };
    expect(await words()).toContain('Assign anew');
    rig.writer.current = null;
  });

  test('a missing skill, and a dispute shared fairly once those affected agree', async () => {
    const id = await rig.session('ORCHESTRATED', ['bob']);
    await create(id, [{ requiredSkills: ['fly'] }, { requiredSkills: ['fly'] }]);
    const gap = (await rig.act(ann, 'requestRecommendations', { collabId: id }, selection))['recommendations']!.map(
      (one) => one,
    )[0]!;
    expect(gap).toMatchObject({ type: 'ADD_CAPABILITY', action: { capability: 'fly' }, gain: 1 });
    expect(
      codesOf(
        await rig.mutate(ann, 'feedbackOnRecommendation', {
          recommendationId: gap['id'],
          status: 'ACCEPTED',
          apply: true,
        }),
      ),
    ).toEqual(['INVALID_STATE']);
    const resource = await rig.act(
      ann,
      'putCollabResource',
      { collabId: id, name: 'r', capacity: 10 },
      'resource { id }',
    );
    const resourceId = resource['resource']!['id'];
    const times = { start: '2099-01-01T00:00:00.000Z', end: '2099-01-01T04:00:00.000Z' };
    await rig.act(ann, 'claimCollabResource', { resourceId, amount: 10, ...times });
    await rig.act(bob, 'claimCollabResource', { resourceId, amount: 10, ...times });
    const split = (
      await rig.act(ann, 'requestRecommendations', { collabId: id, types: ['SPLIT_CAPACITY'] }, selection)
    )['recommendations']!.map((one) => one)[0]!;
    expect([figure(split['before']!, 'leastServed'), figure(split['after']!, 'leastServed')]).toEqual([0, 0.5]);
    await rig.act(ann, 'feedbackOnRecommendation', { recommendationId: split['id'], status: 'ACCEPTED', apply: true });
    expect(await experienceOf(id)).toEqual({});
    const { conflictId } = split['action'] as unknown as { conflictId: string };
    for (const who of [ann, bob]) await rig.act(who, 'acceptResolution', { conflictId, accept: true });
    const [row] = await rig.sql`SELECT allocations FROM collab.resource WHERE id = ${String(resourceId)}`;
    expect((row!['allocations'] as { granted: number }[]).map(({ granted }) => granted)).toEqual([5, 5]);
  });

  test('a dispute that is settled at once is measured: who was served least holds what was promised', async () => {
    const id = await rig.session('ORCHESTRATED', ['bob', 'cat']);
    const made = await rig.act(ann, 'putCollabResource', { collabId: id, name: 'r', capacity: 10 }, 'resource { id }');
    const resourceId = made['resource']!['id'];
    const times = { start: '2099-01-01T00:00:00.000Z', end: '2099-01-01T04:00:00.000Z' };
    for (const who of [bob, principal('cat')])
      await rig.act(who, 'claimCollabResource', { resourceId, amount: 10, ...times });
    // Nobody is left who would have to agree.
    await rig.sql`UPDATE collab.participant SET status = 'inactive' WHERE collab_id = ${id} AND participant_id <> 'ann'`;
    const [advice] = (
      await rig.act(ann, 'requestRecommendations', { collabId: id, types: ['SPLIT_CAPACITY'] }, selection)
    )['recommendations']!.map((one) => one);
    await rig.act(ann, 'feedbackOnRecommendation', {
      ...{ recommendationId: advice!['id'], status: 'ACCEPTED', apply: true },
    });
    const [row] = await rig.sql`SELECT allocations FROM collab.resource WHERE id = ${String(resourceId)}`;
    expect((row!['allocations'] as { granted: number }[]).map(({ granted }) => granted)).toEqual([5, 5]);
    expect(await experienceOf(id)).toEqual({ split_capacity: { succeeded: 1, failed: 0 } });
  });

  test('a turn that is passed on says nothing yet of how such advice does', async () => {
    const id = await rig.session('ROUND_ROBIN', ['bob', 'cat']);
    const dispatched = await rig.act(ann, 'dispatchTurn', { collabId: id }, 'turn { id participantId }');
    const whose = (turn: Json) => principal(String(turn['participantId']));
    const first = dispatched['turn']!;
    const next = (
      await rig.act(whose(first), 'completeTurn', { turnId: first['id'], result: {} }, 'next { id participantId }')
    )['next']!;
    await rig.sql`UPDATE collab.turn SET dispatched_at = now() - interval '30 seconds' WHERE id = ${String(next['id'])}`;
    const [advice] = (await rig.act(ann, 'requestRecommendations', { collabId: id, types: ['PASS_TURN'] }, selection))[
      'recommendations'
    ]!.map((one) => one);
    expect(advice).toMatchObject({ type: 'PASS_TURN', action: { turnId: next['id'] } });
    await rig.act(ann, 'feedbackOnRecommendation', {
      ...{ recommendationId: advice!['id'], status: 'ACCEPTED', apply: true },
    });
    const turns = await rig.sql`SELECT status FROM collab.turn WHERE collab_id = ${id} ORDER BY number`;
    expect(turns.map(({ status }) => status)).toEqual(['completed', 'cancelled', 'dispatched']);
    expect(await experienceOf(id)).toEqual({});
    const again = (await rig.act(ann, 'requestRecommendations', { collabId: id, types: ['PASS_TURN'] }, selection))[
      'recommendations'
    ]!;
    expect(again.length).toBe(0);
  });
});
