import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { newId } from '#shared/ids.ts';
import { alice, principal, stranger } from '../rig.ts';
import { bob, carol, codesOf, dave, openRoom, type Room } from './room.ts';

let room: Room;
beforeAll(async () => {
  room = await openRoom({ PLAN_SESSIONS: '60' });
});
afterAll(() => room[Symbol.asyncDispose]());

const hour = 3_600_000;

describe('a contribution', () => {
  test('is applied by the vote that decides: steps and dependencies added, changed and removed, once', async () => {
    const { planId, sessionId, ids, links } = await room.meet();
    const added = newId();
    const { contribution } = await room.contribute(
      bob,
      sessionId,
      {
        addSteps: [{ id: added, description: 'checked', durationMs: hour / 2, dependsOn: [ids[0]] }],
        updateSteps: [
          {
            stepId: ids[1],
            patch: {
              durationMs: 2 * hour,
              estimate: { optimisticMs: hour, mostLikelyMs: 2 * hour, pessimisticMs: 3 * hour },
            },
          },
        ],
        removeDependencyIds: [links[1]],
        addDependencies: [{ sourceId: added, targetId: ids[2] }],
      },
      { rationale: 'faster' },
    );
    expect(contribution).toMatchObject({
      status: 'OPEN',
      author: 'bob',
      before: { totalSteps: 3, durationMs: 3 * hour },
      after: { totalSteps: 4, durationMs: 3 * hour },
      tally: { approving: 0, undecided: 5, share: null, participation: 0 },
      change: {
        addSteps: [{ stepId: added, fields: ['description', 'durationMs'], description: 'checked', name: null }],
        updateSteps: [{ stepId: ids[1], fields: ['durationMs', 'estimate'], durationMs: 2 * hour, name: null }],
        removeStepIds: [],
        addDependencies: [
          { sourceId: added, targetId: ids[2], type: 'FINISH_TO_START', criticality: 'BLOCKING' },
          { id: expect.any(String), sourceId: ids[0], targetId: added },
        ],
        removeDependencyIds: [links[1]],
      },
    });
    const id = contribution!['id'];
    expect((await room.vote(carol, id, 'APPROVE', { comment: 'good' }))['contribution']).toMatchObject({
      status: 'OPEN',
      tally: { approving: 1, rejecting: 0, undecided: 4, share: 1, participation: 0.2 },
      votes: [{ subject: 'carol', vote: 'APPROVE', votingWeight: 1, comment: 'good' }],
    });
    // 4 of 5 is the threshold: bob's vote could not change it.
    const decided = await room.vote(alice, id);
    expect(decided).toMatchObject({
      contribution: { status: 'APPLIED', appliedVersion: 2, tally: { approving: 4, undecided: 1 } },
      plan: { version: 2 },
      userErrors: [],
    });
    const plan = await room.plan(planId);
    expect(plan['steps']!.map((step) => [String(step['id']), Number(step['durationMs'])])).toEqual([
      [ids[0], hour],
      [ids[1], 2 * hour],
      [ids[2], hour],
      [added, hour / 2],
    ]);
    expect(plan['dependencies']!.map((link) => `${link['sourceId']}>${link['targetId']}`).sort()).toEqual(
      [`${ids[0]}>${ids[1]}`, `${ids[0]}>${added}`, `${added}>${ids[2]}`].sort(),
    );
    expect(plan['summary']!['durationMs']).toBe(3 * hour);
    expect(codesOf(await room.vote(bob, id))).toEqual(['INVALID_STATE']);
    expect(room.told(sessionId)).toEqual([
      'session.started',
      'contribution.made',
      'contribution.voted',
      'contribution.voted',
      'contribution.applied',
    ]);
    expect(room.events.filter(({ streamId, type }) => streamId === planId && type === 'plan.updated')).toMatchObject([
      { data: { changes: { contributionId: id, network: { addedSteps: [added], removedDependencies: [links[1]] } } } },
    ]);
  });

  test('is rejected once it cannot be agreed on any more, and a repeated key counts one vote', async () => {
    const { planId, sessionId, ids } = await room.meet();
    const id = (await room.contribute(carol, sessionId, { removeStepIds: [ids[2]] }))['contribution']!['id'];
    const key = newId();
    const first = await room.vote(bob, id, 'ABSTAIN', { key });
    expect(await room.vote(bob, id, 'ABSTAIN', { key })).toEqual(first);
    expect(codesOf(await room.vote(bob, id, 'APPROVE'))).toEqual(['ALREADY_DECIDED']);
    expect(first['contribution']).toMatchObject({ status: 'OPEN', tally: { abstaining: 1, undecided: 4 } });
    // What is left could bring 3 of 4 at most.
    expect((await room.vote(carol, id, 'REJECT'))['contribution']).toMatchObject({
      status: 'REJECTED',
      outcome: 'CONSENSUS_NOT_REACHED',
    });
    expect(await room.plan(planId)).toMatchObject({ version: 1, stepCount: 3 });
  });

  test('made for an older version is a conflict at its end, and counts anew once it is rebased', async () => {
    const { planId, sessionId, ids } = await room.meet();
    const change = { updateSteps: [{ stepId: ids[0], patch: { durationMs: hour / 2 } }] };
    const one = (await room.contribute(bob, sessionId, change))['contribution']!['id'];
    const other = (await room.contribute(carol, sessionId, { removeStepIds: [ids[2]] }))['contribution']!['id'];
    for (const who of [bob, alice]) await room.vote(who, one);
    await room.vote(bob, other);
    const decided = await room.vote(alice, other, 'APPROVE', { key: 'conflict' });
    expect(decided).toMatchObject({
      contribution: { status: 'CONFLICTED', outcome: 'VERSION_CONFLICT', tally: { approving: 4 } },
      plan: { version: 2 },
      userErrors: [
        {
          code: 'VERSION_CONFLICT',
          message: 'agreed for version 1 of the plan, which is at 2: rebase the contribution',
        },
      ],
    });
    expect(await room.vote(alice, other, 'APPROVE', { key: 'conflict' })).toEqual(decided);
    expect(await room.plan(planId)).toMatchObject({ version: 2, stepCount: 3 });
    await expect(room.rebase(bob, other, { version: 2 })).rejects.toMatchObject({ code: 'PERMISSION_DENIED' });
    expect((await room.rebase(carol, other, { version: 2 }))['contribution']).toMatchObject({
      status: 'OPEN',
      votes: [],
    });
    for (const who of [bob, alice]) await room.vote(who, other);
    expect(await room.plan(planId)).toMatchObject({ version: 3, stepCount: 2 });
  });

  test('is rebased by its author alone, for the version there is', async () => {
    const { planId, sessionId, ids } = await room.meet();
    const id = (await room.contribute(carol, sessionId, { removeStepIds: [ids[2]] }))['contribution']!['id'];
    await room.vote(bob, id);
    await room.ask(
      alice,
      'mutation ($id: ID!) { addStep(planId: $id, step: { description: "late" }) { userErrors { code } } }',
      { id: planId },
    );
    expect(codesOf(await room.rebase(carol, id, { version: 1 }))).toEqual(['VERSION_CONFLICT']);
    const rebased = await room.rebase(carol, id, { version: 2, change: { removeStepIds: [ids[1]] } });
    expect(rebased['contribution']).toMatchObject({
      ...{ status: 'OPEN', revision: 2, planVersion: 2, votes: [] },
      after: { totalSteps: 3 },
    });
    for (const who of [bob, alice]) await room.vote(who, id);
    const plan = await room.plan(planId);
    expect(plan).toMatchObject({ version: 3, stepCount: 3 });
    expect(plan['steps']!.map((step) => String(step['id']))).not.toContain(ids[1]);
  });

  test('that breaks the network, or does nothing, is refused before anybody votes', async () => {
    const { sessionId, ids, links } = await room.meet();
    const refused = async (change: Readonly<Record<string, unknown>>, input = {}) =>
      codesOf(await room.contribute(bob, sessionId, change, input));
    expect(await refused({ addDependencies: [{ sourceId: ids[2], targetId: ids[0] }] })).toEqual(['CYCLIC_DEPENDENCY']);
    expect(await refused({})).toEqual(['VALIDATION_FAILED']);
    expect(await refused({ removeStepIds: ids })).toEqual(['VALIDATION_FAILED']);
    expect(await refused({ removeStepIds: [newId()] })).toEqual(['NOT_FOUND']);
    expect(await refused({ removeStepIds: [ids[0]], updateSteps: [{ stepId: ids[0], patch: {} }] })).toEqual([
      'NOT_FOUND',
    ]);
    expect(await refused({ addSteps: [{ id: ids[0], description: 'again' }] })).toEqual(['CONFLICT']);
    expect(
      await refused({
        removeDependencyIds: [links[0]],
        addDependencies: [{ id: links[0], sourceId: ids[0], targetId: ids[2] }],
      }),
    ).toEqual(['CONFLICT']);
    expect(await refused({ addDependencies: [{ sourceId: ids[0], targetId: newId() }] })).toEqual([
      'PLAN_CREATION_FAILED',
    ]);
    expect(await refused({ removeStepIds: [ids[0]] }, { planVersion: 7 })).toEqual(['VERSION_CONFLICT']);
    expect(await room.session(alice, sessionId)).toMatchObject({ contributions: [] });
  });
});

describe('an applied contribution is undone', () => {
  test('by agreement: every row is as it was', async () => {
    const { planId, sessionId, ids, links } = await room.meet();
    const before = await room.plan(planId);
    const change = {
      addSteps: [{ description: 'new', dependsOn: [ids[0]] }],
      updateSteps: [{ stepId: ids[0], patch: { durationMs: 5 * hour, name: 'longer' } }],
      removeStepIds: [ids[1]],
    };
    const id = (await room.contribute(bob, sessionId, change))['contribution']!['id'];
    for (const who of [bob, alice]) await room.vote(who, id);
    expect((await room.plan(planId))['steps']!.length).toBe(3);
    const { contribution } = await room.undo(carol, id);
    expect(contribution).toMatchObject({ status: 'OPEN', undoOf: id, change: null, planVersion: 2 });
    expect(codesOf(await room.undo(bob, id))).toEqual(['CONFLICT']);
    for (const who of [carol, alice]) await room.vote(who, contribution!['id']);
    const after = await room.plan(planId);
    expect(after).toEqual({ ...before, version: 3 });
    expect(after['dependencies']!.map((link) => String(link['id']))).toEqual([...links]);
    expect((await room.session(alice, sessionId))['contributions']).toMatchObject([
      { status: 'UNDONE' },
      { status: 'APPLIED' },
    ]);
    expect(codesOf(await room.undo(carol, id))).toEqual(['INVALID_STATE']);
  });

  test('not where what it touched has changed since, or something hangs on it', async () => {
    const { planId, sessionId, ids } = await room.meet();
    const added = newId();
    const change = {
      addSteps: [{ id: added, description: 'new' }],
      updateSteps: [{ stepId: ids[0], patch: { name: 'a' } }],
    };
    const id = (await room.contribute(bob, sessionId, change))['contribution']!['id'];
    for (const who of [bob, alice]) await room.vote(who, id);
    const edit = (text: string) => room.ask(alice, `mutation { ${text} { userErrors { code } } }`);
    await edit(`updateStep(planId: "${planId}", stepId: "${ids[0]}", patch: { name: "b" })`);
    const refused = await room.undo(carol, id);
    expect(refused['userErrors']).toMatchObject([
      { code: 'VERSION_CONFLICT', message: expect.stringContaining(ids[0]) },
    ]);
    await edit(`updateStep(planId: "${planId}", stepId: "${ids[0]}", patch: { name: "a" })`);
    await edit(`addDependency(planId: "${planId}", dependency: { sourceId: "${added}", targetId: "${ids[2]}" })`);
    expect(codesOf(await room.undo(carol, id))).toEqual(['VERSION_CONFLICT']);
  });
});

describe('a session', () => {
  test('ends with its time: the votes cast decide, and what comes later is told so', async () => {
    const { planId, sessionId, ids } = await room.meet({ quorum: 0.4 });
    const make = async (change: Readonly<Record<string, unknown>>) =>
      (await room.contribute(bob, sessionId, change))['contribution']!['id'];
    const agreed = await make({ removeStepIds: [ids[2]] });
    const late = await make({ updateSteps: [{ stepId: ids[0], patch: { name: 'late' } }] });
    const quiet = await make({ removeStepIds: [ids[1]] });
    for (const who of [bob, carol]) for (const id of [agreed, late]) await room.vote(who, id);
    await room.vote(bob, quiet);
    expect(await room.service.sessions.sweep()).toBe(0);
    await room.letTimePass(sessionId);
    expect(codesOf(await room.vote(alice, quiet))).toEqual(['COLLABORATION_TIMEOUT']);
    expect(codesOf(await room.contribute(bob, sessionId, { removeStepIds: [ids[0]] }))).toEqual([
      'COLLABORATION_TIMEOUT',
    ]);
    expect(await room.service.sessions.sweep()).toBe(1);
    expect(await room.session(alice, sessionId)).toMatchObject({
      ...{ status: 'TIMED_OUT', outcome: 'COLLABORATION_TIMEOUT', open: [] },
      contributions: [
        { id: agreed, status: 'APPLIED', outcome: null },
        { id: late, status: 'CONFLICTED', outcome: 'VERSION_CONFLICT' },
        { id: quiet, status: 'REJECTED', outcome: 'COLLABORATION_TIMEOUT' },
      ],
    });
    expect(await room.plan(planId)).toMatchObject({ version: 2, stepCount: 2 });
    expect(codesOf(await room.vote(alice, quiet))).toEqual(['COLLABORATION_TIMEOUT']);
    expect(room.told(sessionId).at(-1)).toBe('session.timedout');
    // A timer that comes late finds nothing to do.
    await room.service.sessions.expire('one', sessionId);
    expect(room.told(sessionId).filter((type) => type === 'session.timedout')).toHaveLength(1);
  });

  test('is closed by its host, where there is consensus or what lacks it is discarded', async () => {
    const { sessionId, ids, planId } = await room.meet({ quorum: 0.2 });
    const id = (await room.contribute(bob, sessionId, { removeStepIds: [ids[2]] }))['contribution']!['id'];
    const other = (await room.contribute(bob, sessionId, { removeStepIds: [ids[1]] }))['contribution']!['id'];
    await room.vote(bob, id);
    await room.vote(bob, other, 'REJECT');
    await expect(room.close(bob, sessionId)).rejects.toMatchObject({ code: 'PERMISSION_DENIED' });
    const refused = await room.close(alice, sessionId);
    expect(refused['userErrors']).toMatchObject([
      { code: 'CONSENSUS_NOT_REACHED', message: `there is no consensus on 1 contributions, ${other} the first` },
    ]);
    expect(await room.plan(planId)).toMatchObject({ version: 1 });
    expect(await room.close(alice, sessionId, { discard: true })).toMatchObject({
      session: { status: 'CLOSED', outcome: 'CONSENSUS_NOT_REACHED' },
      userErrors: [],
    });
    expect(await room.plan(planId)).toMatchObject({ version: 2, stepCount: 2 });
    expect(codesOf(await room.close(alice, sessionId))).toEqual(['INVALID_STATE']);
    // The plan may be worked on together again.
    expect(codesOf(await room.start(planId))).toEqual([]);
  });

  test('takes new participants for what comes next; open votes stay among those who began them', async () => {
    const { sessionId, ids } = await room.meet();
    const first = (await room.contribute(bob, sessionId, { removeStepIds: [ids[2]] }))['contribution']!['id'];
    await expect(room.participants(bob, sessionId, { remove: ['alice'] })).rejects.toMatchObject({
      code: 'PERMISSION_DENIED',
    });
    expect(codesOf(await room.participants(alice, sessionId, { remove: ['nobody'] }))).toEqual([
      'PARTICIPANT_NOT_FOUND',
    ]);
    expect(
      await room.participants(alice, sessionId, { set: [{ subject: 'dave', votingWeight: 2.5 }], remove: ['bob'] }),
    ).toMatchObject({
      session: {
        version: 2,
        participants: [
          { subject: 'alice', votingWeight: 3 },
          { subject: 'carol', votingWeight: 1 },
          { subject: 'dave', votingWeight: 2.5 },
        ],
      },
      userErrors: [],
    });
    expect(codesOf(await room.vote(dave, first))).toEqual(['NOT_A_PARTICIPANT']);
    expect(codesOf(await room.vote(bob, first))).toEqual([]);
    expect(codesOf(await room.contribute(bob, sessionId, { removeStepIds: [ids[1]] }))).toEqual(['NOT_A_PARTICIPANT']);
    expect((await room.contribute(dave, sessionId, { removeStepIds: [ids[1]] }))['contribution']).toMatchObject({
      tally: { undecided: 6.5 },
    });
    const withdrawn = await room.withdraw(bob, first);
    expect(withdrawn['contribution']).toMatchObject({ status: 'WITHDRAWN' });
  });

  test('keeps its limits and its door', async () => {
    const { planId } = await room.draft();
    const crowd = (size: number) => Array.from({ length: size }, (_, at) => ({ subject: `agent-${at}` }));
    const code = async (input: Readonly<Record<string, unknown>>) => codesOf(await room.start(planId, input))[0];
    expect(await code({ participants: crowd(101) })).toBe('VALIDATION_FAILED');
    expect(await code({ participants: [] })).toBe('VALIDATION_FAILED');
    expect(await code({ participants: [{ subject: 'a' }, { subject: 'a' }] })).toBe('VALIDATION_FAILED');
    expect(await code({ participants: [{ subject: 'a', votingWeight: 0 }] })).toBe('VALIDATION_FAILED');
    expect(await code({ participants: [{ subject: 'a', votingWeight: 0.0005 }] })).toBe('VALIDATION_FAILED');
    expect(await code({ consensusThreshold: 0.4 })).toBe('VALIDATION_FAILED');
    expect(await code({ consensusThreshold: 0.66667 })).toBe('VALIDATION_FAILED');
    expect(await code({ timeLimitMs: 10 })).toBe('VALIDATION_FAILED');
    expect(await code({ expectedVersion: 3 })).toBe('VERSION_CONFLICT');
    const opened = await room.start(planId, { participants: crowd(100) });
    expect(opened['session']).toMatchObject({ consensusThreshold: 0.8, quorum: 0.5, status: 'OPEN' });
    expect(await code({})).toBe('CONFLICT');
    const sessionId = String(opened['session']!['id']);
    expect(codesOf(await room.participants(alice, sessionId, { set: [{ subject: 'one more' }] }))).toEqual([
      'QUOTA_EXCEEDED',
    ]);
    expect(await room.session(stranger, sessionId)).toBeNull();
    expect(codesOf(await room.close(stranger, sessionId))).toEqual(['NOT_FOUND']);
    expect(codesOf(await room.start(planId, {}, stranger))).toEqual(['NOT_FOUND']);
    const reader = principal('agent-1', { scopes: ['plan:read', 'plan:update'] });
    await expect(room.contribute(reader, sessionId, {})).rejects.toMatchObject({ code: 'PERMISSION_DENIED' });
    await room.ask(alice, 'mutation ($id: ID!) { approvePlan(planId: $id) { userErrors { code } } }', { id: planId });
    const agent = principal('agent-1');
    expect(codesOf(await room.contribute(agent, sessionId, { removeStepIds: [newId()] }, { planVersion: 2 }))).toEqual([
      'PLAN_NOT_EDITABLE',
    ]);
    expect(await code({})).toBe('PLAN_NOT_EDITABLE');
    await room.ask(alice, 'mutation ($id: ID!) { deletePlan(planId: $id) { userErrors { code } } }', { id: planId });
    expect(await room.session(alice, sessionId)).toBeNull();
  });

  test('is one of so many that a tenant may have open', async () => {
    const counted = (
      await room.sql`SELECT count(*)::int AS n FROM plan.session WHERE tenant_id = 'one' AND status = 'OPEN'`
    )[0]!['n'];
    await room.sql`INSERT INTO plan.session (tenant_id, id, plan_id, context_id, status, participants, threshold, quorum, deadline_at, created_by)
      SELECT 'one', gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), 'OPEN', '[]', 8000, 0, now() + interval '1 day', 'x' FROM generate_series(1, ${59 - Number(counted)})`;
    const plans = [await room.draft(), await room.draft(), await room.draft()];
    const started = await Promise.all(plans.map(({ planId }) => room.start(planId)));
    expect(started.map((payload) => codesOf(payload)[0] ?? 'started').sort()).toEqual([
      'QUOTA_EXCEEDED',
      'QUOTA_EXCEEDED',
      'started',
    ]);
  });
});
