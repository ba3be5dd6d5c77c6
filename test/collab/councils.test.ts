import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { councilsOn, names, people } from './councilRig.ts';
import { ann, bob, type CollabRig, cat, codesOf, dan, type Json, openCollabRig, principal, typesOf } from './rig.ts';

let rig: CollabRig;
beforeAll(async () => {
  rig = await openCollabRig();
});
afterAll(() => rig[Symbol.asyncDispose]());
const { ask, open, sit, cast, read } = councilsOn(() => rig);

describe('what a council comes to', () => {
  test('advisory: its recommendation stands with the decision, which others then decide', async () => {
    const { decisionId, councilId, opened } = await sit({ council: { type: 'ADVISORY' } }, { members: ['bob', 'cat'] });
    expect(opened).toMatchObject({
      council: {
        status: 'VOTING',
        members: [{ participantId: 'bob' }, { participantId: 'cat' }],
        rounds: [{ number: 1 }],
      },
      decision: { status: 'VOTING' },
    });
    expect(codesOf(await cast(dan, decisionId, { optionId: 'a' }))).toEqual(['NOT_IN_ELECTORATE']);
    await cast(bob, decisionId, { optionId: 'a' });
    await cast(cat, decisionId, { optionId: 'a' });
    expect(await read(councilId)).toMatchObject({
      status: 'CLOSED',
      outcome: 'RECOMMENDED',
      winner: 'a',
      decision: {
        status: 'UNDER_REVIEW',
        outcome: null,
        advice: { optionId: 'a', confidence: 1 },
        council: { id: councilId },
      },
    });
    // All of them vote, anew.
    await rig.act(ann, 'openVoting', { decisionId });
    for (const who of [ann, cat, dan]) expect(codesOf(await cast(who, decisionId, { optionId: 'b' }))).toEqual([]);
    expect((await read(councilId))['decision']).toMatchObject({
      status: 'DECIDED',
      winner: 'b',
      advice: { optionId: 'a' },
    });
  });

  test('executive: what it adopts is done in the same breath; what its gate holds back waits', async () => {
    const id = await rig.session('ORCHESTRATED', ['bob', 'cat', 'dan']);
    const { tasks } = await rig.act(
      ann,
      'createCollabTasks',
      { collabId: id, tasks: [{ name: 'one', estimatedEffortHours: 1 }] },
      'tasks { id }',
    );
    const taskId = String((tasks as unknown as Json[])[0]!['id']);
    const options = [
      { id: 'cat', label: 'Cat does it', action: { kind: 'ASSIGN_TASK', taskId, participantId: 'cat' } },
      { id: 'same', label: 'As it is', statusQuo: true },
    ];
    const first = await sit({ council: { type: 'EXECUTIVE' }, options, collabId: id });
    for (const who of [ann, bob, cat]) await cast(who, first.decisionId, { optionId: 'cat' });
    await rig.service.drain();
    expect(await read(first.councilId)).toMatchObject({ status: 'CLOSED', outcome: 'AWAITS_APPROVAL' });
    const unanimous = await sit({
      council: { type: 'EXECUTIVE' },
      options,
      collabId: id,
      rules: { revisionAllowed: true },
    });
    for (const who of [ann, bob, cat, dan]) await cast(who, unanimous.decisionId, { optionId: 'cat' });
    await rig.act(ann, 'finalizeDecision', { decisionId: unanimous.decisionId });
    expect(await read(unanimous.councilId)).toMatchObject({
      outcome: 'CARRIED_OUT',
      decision: { status: 'IMPLEMENTED', outcome: 'ADOPTED', gate: 'AUTO' },
    });
    const list = 'query ($id: ID!) { taskAssignments(collabId: $id) { nodes { id status assignedTo } } }';
    expect((await rig.ask(ann, list, { id }))['taskAssignments']).toMatchObject({
      nodes: [{ id: taskId, status: 'ASSIGNED', assignedTo: 'cat' }],
    });
  });

  test.each([
    ['approved', 'CARRIED_OUT', 'IMPLEMENTED'],
    ['rejected', 'REFUSED', 'DECIDED'],
  ])('what has to be approved and is %s', async (status, outcome, becomes) => {
    const options = [
      { id: 'lead', label: 'Bob leads', action: { kind: 'NAME_COORDINATOR', participantId: 'bob' } },
      { id: 'same', label: 'As it is', statusQuo: true },
    ];
    const { id, decisionId, councilId } = await sit({ council: { type: 'EXECUTIVE' }, options, impact: 0.9 });
    for (const who of [ann, bob, cat]) await cast(who, decisionId, { optionId: 'lead' });
    expect(await read(councilId)).toMatchObject({ outcome: 'AWAITS_APPROVAL', decision: { status: 'DECIDED' } });
    const requested = (await rig.stream(id)).find(({ type }) => type === 'approval.requested')!;
    const { reference } = requested.data['approval'] as { reference: object };
    const module = await rig.service.start();
    const confirmId = crypto.randomUUID();
    await rig.tell('confirm', confirmId, 'confirm.resolved', {
      confirm: {
        ...{ id: confirmId, requestEventId: crypto.randomUUID(), status, confirmationType: 'collab_decision' },
        ...{ targetId: decisionId, reference },
      },
    });
    // Transactions of others that began before hold events back until they are over.
    const heard = async () => {
      await rig.service.catchUp();
      return read(councilId);
    };
    await expect.poll(heard, { timeout: 20_000 }).toMatchObject({ outcome, decision: { status: becomes } });
    await module.close();
  });

  test('executive: what can be done no more stays adopted, and says why', async () => {
    const id = await rig.session('ORCHESTRATED', ['bob', 'cat', 'dan']);
    const options = [
      { id: 'go', label: 'Dan goes', action: { kind: 'REMOVE_PARTICIPANT', participantId: 'dan' } },
      { id: 'same', label: 'As it is', statusQuo: true },
    ];
    const sitting = await sit(
      { council: { type: 'EXECUTIVE' }, options, collabId: id, rules: { revisionAllowed: true } },
      { members: ['ann', 'bob', 'cat'] },
    );
    for (const who of [ann, bob, cat]) await cast(who, sitting.decisionId, { optionId: 'go' });
    await rig.act(dan, 'leaveCollaboration', { collabId: id });
    await rig.act(ann, 'finalizeDecision', { decisionId: sitting.decisionId });
    const found = await read(sitting.councilId);
    expect(found).toMatchObject({ outcome: 'FAILED', decision: { status: 'DECIDED', outcome: 'ADOPTED' } });
    expect(found['note']).toContain('no active participant dan');
  });

  test('judicial: settles a conflict whether those affected agree or not, and none of them judges', async () => {
    const id = await rig.session('ORCHESTRATED', ['bob', 'cat', 'dan', 'eve']);
    const { conflicts } = await rig.act(
      ann,
      'raiseConflict',
      { collabId: id, type: 'PRIORITY', description: 'whose turn', participants: ['bob', 'cat'] },
      'conflicts { id }',
    );
    const conflictId = String((conflicts as unknown as Json[])[0]!['id']);
    const { decisionId } = await ask({
      council: { type: 'JUDICIAL' },
      collabId: id,
      rules: { revisionAllowed: true },
      options: [
        { id: 'bob', label: 'Bob first', description: 'bob goes first, cat after him' },
        { id: 'same', label: 'No conflict', statusQuo: true },
      ],
    });
    expect(codesOf(await open(decisionId))).toEqual(['RULE_MISCONFIGURED']);
    expect(codesOf(await open(decisionId, { conflictId, members: ['ann', 'bob'] }))).toEqual(['NOT_IN_ELECTORATE']);
    const opened = await open(decisionId, { conflictId });
    expect(opened['council']!['members']).toEqual([
      { participantId: 'ann' },
      { participantId: 'dan' },
      { participantId: 'eve' },
    ]);
    for (const who of [ann, dan, principal('eve')]) await cast(who, decisionId, { optionId: 'bob' });
    await rig.act(ann, 'finalizeDecision', { decisionId });
    expect(await read(String(opened['council']!['id']))).toMatchObject({
      outcome: 'SETTLED',
      conflict: { id: conflictId, status: 'RESOLVED' },
      decision: { status: 'IMPLEMENTED' },
    });
    const told = typesOf(await rig.stream(id));
    expect(told).toContain('collab.conflict.resolved');
    expect(told.filter((type) => type.startsWith('collab.council.'))).toEqual([
      'collab.council.opened',
      'collab.council.round.opened',
      'collab.council.closed',
    ]);
    const replayed = await rig.replay(ann, 'councilChanged', { collabId: id });
    expect(replayed.map((one) => one['council']!['status'])).toEqual(['DELIBERATING', 'VOTING', 'CLOSED']);
  });

  test('mixed: advises where what it adopts has no action, carries out where it has one', async () => {
    const options = [
      { id: 'lead', label: 'Bob leads', action: { kind: 'NAME_COORDINATOR', participantId: 'bob' } },
      { id: 'think', label: 'Think about it' },
    ];
    for (const [optionId, outcome] of [
      ['think', 'RECOMMENDED'],
      ['lead', 'CARRIED_OUT'],
    ]) {
      const sitting = await sit({ council: { type: 'MIXED' }, options, rules: { revisionAllowed: true } });
      for (const name of names) await cast(people[name], sitting.decisionId, { optionId });
      await rig.act(ann, 'finalizeDecision', { decisionId: sitting.decisionId });
      expect(await read(sitting.councilId)).toMatchObject({ outcome, winner: optionId });
    }
  });
});

describe('at the door', () => {
  test('its rules: abstention and delegation as the council has them, whatever the voting has', async () => {
    const rules = { abstentionAllowed: true, delegationAllowed: true };
    const strict = await sit({
      council: { type: 'ADVISORY', abstentionAllowed: false, delegationAllowed: false },
      rules,
    });
    expect(codesOf(await cast(bob, strict.decisionId, { abstain: true }))).toEqual(['VALIDATION_FAILED']);
    const passOn = async (decisionId: string) =>
      codesOf(await rig.mutate(bob, 'delegateVote', { decisionId, toParticipantId: 'cat' }));
    expect(await passOn(strict.decisionId)).toEqual(['DELEGATION_FORBIDDEN']);
    const free = await sit({
      council: { type: 'ADVISORY', abstentionAllowed: true, delegationAllowed: true },
      rules: { abstentionAllowed: false, delegationAllowed: false },
    });
    expect(await passOn(free.decisionId)).toEqual([]);
    expect(codesOf(await cast(ann, free.decisionId, { abstain: true }))).toEqual([]);
  });

  test('what does not fit is refused: rules, members, actions, who asks', async () => {
    const propose = (rules: object, options?: readonly object[]) =>
      ask({ council: { type: 'EXECUTIVE' }, rules, ...(options && { options }) }).then(
        () => 'made',
        (error: unknown) => /"code":"(\w+)"/.exec(String(error))?.[1],
      );
    expect(await propose({ council: { type: 'ADVISORY', maxSessionDurationMs: 59_999 } })).toBe('VALIDATION_FAILED');
    expect(await propose({}, [{ label: 'A', action: { kind: 'ASSIGN_TASK' } }, { label: 'B' }])).toBe(
      'VALIDATION_FAILED',
    );
    expect(
      await propose({}, [{ label: 'A', statusQuo: true, action: { kind: 'SUSPEND_COLLABORATION' } }, { label: 'B' }]),
    ).toBe('VALIDATION_FAILED');
    const plain = await ask({ council: { type: 'EXECUTIVE' } });
    expect(codesOf(await open(plain.decisionId))).toEqual(['RULE_MISCONFIGURED']);
    expect(codesOf(await rig.mutate(ann, 'openVoting', { decisionId: plain.decisionId }))).toEqual([
      'RULE_MISCONFIGURED',
    ]);
    const advisory = await ask({ council: { type: 'ADVISORY' } });
    expect(codesOf(await open(advisory.decisionId, { members: ['ann'] }))).toEqual(['VALIDATION_FAILED']);
    expect(codesOf(await open(advisory.decisionId, { members: ['ann', 'zoe'] }))).toEqual(['PARTICIPANT_NOT_FOUND']);
    expect(codesOf(await rig.mutate(bob, 'openCouncil', { decisionId: advisory.decisionId }))).toEqual([
      'PERMISSION_DENIED',
    ]);
    expect(
      codesOf(
        await rig.mutate(principal('ann', { tenantId: 'two' }), 'openCouncil', { decisionId: advisory.decisionId }),
      ),
    ).toEqual(['NOT_FOUND']);
    expect(codesOf(await open(advisory.decisionId))).toEqual([]);
    expect(codesOf(await open(advisory.decisionId))).toEqual(['INVALID_STATE_TRANSITION']);
    const none = await ask({ council: { type: 'ADVISORY' }, rules: { council: null } });
    expect(codesOf(await open(none.decisionId))).toEqual(['RULE_MISCONFIGURED']);
  });
});
