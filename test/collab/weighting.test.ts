import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ParticipantRow } from '../../subgraphs/collab/rows.ts';
import { type Performance, type Weighting, weigh, weightingStrategies } from '../../subgraphs/collab/weighting.ts';
import { ann, bob, type CollabRig, cat, codesOf, openCollabRig } from './rig.ts';

let rig: CollabRig;
beforeAll(async () => {
  rig = await openCollabRig();
});
afterAll(() => rig[Symbol.asyncDispose]());

const objectives = [{ description: 'built', requiredCapabilities: ['plan', 'code'] }];

async function session() {
  const part = (participantId: string, roleId: string, capabilities: readonly string[]) => ({
    ...{ participantId, kind: 'AGENT', roleId, capabilities },
  });
  return rig.session('ORCHESTRATED', [], {
    objectives,
    participants: [part('ann', 'lead', ['plan', 'code']), part('bob', 'worker', ['code']), part('cat', 'worker', [])],
  });
}

const propose = (collabId: string, rules: object) =>
  rig.mutate(
    ann,
    'proposeDecision',
    {
      collabId,
      title: 'Which?',
      type: 'TACTICAL',
      options: [
        { id: 'a', label: 'A' },
        { id: 'b', label: 'B' },
      ],
      rules,
    },
    'decision { id rules { weighting { strategy roles { roleId weight } } } }',
  );

async function weights(collabId: string, weighting: object) {
  const { decision } = await propose(collabId, { method: 'WEIGHTED', weighting });
  const opened = await rig.act(
    ann,
    'openVoting',
    { decisionId: decision!['id'] },
    'decision { electorate { participantId weight } }',
  );
  const voters = opened['decision']!['electorate'] as unknown as { participantId: string; weight: number }[];
  return Object.fromEntries(
    voters.map(({ participantId, weight }) => [participantId, Math.round(weight * 1_000) / 1_000]),
  );
}

describe('where weights come from', () => {
  test('equal, by expertise, by role', async () => {
    const id = await session();
    expect(await weights(id, { strategy: 'EQUAL' })).toEqual({ ann: 0.333, bob: 0.333, cat: 0.333 });
    expect(await weights(id, { strategy: 'EXPERTISE_BASED' })).toEqual({ ann: 0.667, bob: 0.333, cat: 0 });
    const roles = [
      { roleId: 'lead', weight: 1 },
      { roleId: 'worker', weight: 0.5 },
    ];
    expect(await weights(id, { strategy: 'ROLE_BASED', roles })).toEqual({ ann: 0.5, bob: 0.25, cat: 0.25 });
  });

  test('by performance: tasks in time and turns taken, of those that were given', async () => {
    const id = await session();
    const { tasks } = await rig.act(
      ann,
      'createCollabTasks',
      { collabId: id, tasks: [1, 2, 3].map((at) => ({ name: `t${at}`, estimatedEffortHours: 1 })) },
      'tasks { id }',
    );
    const ids = (tasks as unknown as { id: string }[]).map((task) => task.id);
    for (const [at, who] of ['bob', 'bob', 'cat'].entries())
      await rig.act(ann, 'reassignCollabTask', { taskId: ids[at], toParticipantId: who });
    for (const [at, status] of ['completed', 'completed', 'failed'].entries())
      await rig.sql`UPDATE collab.task SET status = ${status}, finished_at = now() WHERE id = ${ids[at]!}`;
    // Laplace: ann 1/2, bob 3/4, cat 1/3.
    expect(await weights(id, { strategy: 'PERFORMANCE_BASED' })).toEqual({ ann: 0.316, bob: 0.474, cat: 0.211 });
  });

  test('they decide: the one whom the objectives need outvotes two who know little', async () => {
    const id = await session();
    const { decision } = await propose(id, { method: 'WEIGHTED', weighting: { strategy: 'EXPERTISE_BASED' } });
    const decisionId = decision!['id'];
    await rig.act(ann, 'openVoting', { decisionId });
    for (const [who, optionId] of [
      [bob, 'b'],
      [cat, 'b'],
      [ann, 'a'],
    ] as const)
      await rig.mutate(who, 'castBallot', { decisionId, optionId });
    const read = 'query ($id: ID!) { decisionTally(decisionId: $id) { decision { status winner } } }';
    expect((await rig.ask(ann, read, { id: decisionId }))['decisionTally']).toMatchObject({
      decision: { status: 'DECIDED', winner: 'a' },
    });
  });

  test('what does not fit is refused', async () => {
    const id = await session();
    const codes = async (rules: object) => codesOf(await propose(id, rules));
    expect(await codes({ method: 'MAJORITY', weighting: { strategy: 'EQUAL' } })).toEqual(['RULE_MISCONFIGURED']);
    expect(await codes({ method: 'RANKED', weighted: false, weighting: { strategy: 'EQUAL' } })).toEqual([
      'RULE_MISCONFIGURED',
    ]);
    expect(await codes({ method: 'WEIGHTED', weighting: { strategy: 'ROLE_BASED' } })).toEqual(['VALIDATION_FAILED']);
    const roles = [{ roleId: 'nobody', weight: 1 }];
    expect(await codes({ method: 'WEIGHTED', weighting: { strategy: 'EQUAL', roles } })).toEqual(['VALIDATION_FAILED']);
    const { decision } = await propose(id, { method: 'WEIGHTED', weighting: { strategy: 'ROLE_BASED', roles } });
    expect(decision!['rules']).toMatchObject({ weighting: { strategy: 'ROLE_BASED', roles } });
    expect(codesOf(await rig.mutate(ann, 'openVoting', { decisionId: decision!['id'] }))).toEqual([
      'RULE_MISCONFIGURED',
    ]);
  });
});

test('whoever takes part, weights have a sum of 1, and more of what counts never weighs less', () => {
  const person = fc.record({
    capabilities: fc.subarray(['plan', 'code', 'test']),
    roleId: fc.constantFrom('lead', 'worker'),
    kept: fc.nat(5),
    missed: fc.nat(5),
  });
  fc.assert(
    fc.property(
      fc.array(person, { minLength: 1, maxLength: 8 }),
      fc.constantFrom(...weightingStrategies),
      (people, strategy) => {
        const rows = people.map((one, at) => ({ ...one, participantId: `p${at}` })) as unknown as ParticipantRow[];
        const performance: Performance = new Map(people.map(({ kept, missed }, at) => [`p${at}`, { kept, missed }]));
        const weighting: Weighting = { strategy, roles: { lead: 1, worker: 0.5 } };
        const collab = {
          objectives: [{ description: '', priority: 1, metrics: [], requiredCapabilities: ['plan', 'code'] }],
        };
        const voters = weigh(rows, { collab, weighting, performance });
        expect(voters.reduce((sum, { weight }) => sum + weight, 0)).toBeCloseTo(1, 9);
        for (const [at, one] of people.entries())
          for (const [to, other] of people.entries())
            if (
              one.kept >= other.kept &&
              one.missed <= other.missed &&
              (one.roleId === other.roleId || one.roleId === 'lead') &&
              other.capabilities.every((name) => one.capabilities.includes(name))
            )
              expect(voters[at]!.weight).toBeGreaterThanOrEqual(voters[to]!.weight - 1e-12);
      },
    ),
  );
});
