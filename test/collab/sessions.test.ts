import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { validateProtocolObject } from '../../schema/protocol/index.ts';
import { admin, ann, bob, type CollabRig, cat, codesOf, dan, openCollabRig, principal, typesOf } from './rig.ts';

let rig: CollabRig;
beforeAll(async () => {
  rig = await openCollabRig();
});
afterAll(() => rig[Symbol.asyncDispose]());

const worker = (participantId: string, more: object = {}) => ({
  participantId,
  kind: 'AGENT',
  roleId: 'worker',
  ...more,
});
const create = (input: object, who = ann) =>
  rig.mutate(
    who,
    'createCollaboration',
    {
      contextId: rig.openContext(),
      title: 'T',
      purpose: 'P',
      mode: 'ORCHESTRATED',
      participants: [worker('ann')],
      ...input,
    },
    'collaboration { id status participantCount } capabilityGaps normalisedWeights { participantId weight }',
  );

describe('making a collaboration', () => {
  test('a draft with weights of a sum of 1 and the gaps of its objectives; begun only with roles', async () => {
    const payload = await create({
      participants: [
        worker('ann', { weight: 0.2, capabilities: ['plan'] }),
        worker('bob', { weight: 0.6, roleId: null }),
      ],
      objectives: [{ description: 'ship', requiredCapabilities: ['plan', 'ship'] }],
    });
    expect(payload).toMatchObject({
      collaboration: { status: 'DRAFT', participantCount: 2 },
      capabilityGaps: ['ship'],
      normalisedWeights: [
        { participantId: 'ann', weight: expect.closeTo(0.25, 9) },
        { participantId: 'bob', weight: expect.closeTo(0.75, 9) },
      ],
      userErrors: [],
    });
    const id = String(payload['collaboration']!['id']);
    expect(codesOf(await rig.move(ann, 'activateCollaboration', id))).toEqual(['ROLE_MISSING']);
    await rig.act(ann, 'updateCollabParticipant', { collabId: id, participantId: 'bob', roleId: 'reviewer' });
    expect(codesOf(await rig.move(bob, 'activateCollaboration', id))).toEqual(['PERMISSION_DENIED']);
    expect(await rig.move(ann, 'activateCollaboration', id)).toMatchObject({ collaboration: { status: 'ACTIVE' } });
    expect(typesOf(await rig.stream(id))).toEqual([
      'collab.created',
      'collab.participant.changed',
      'collab.activated',
      'collab.roles.assigned',
    ]);
  });

  test('what is refused at the door', async () => {
    const two = [worker('ann'), worker('bob')];
    const rows: readonly (readonly [object, string])[] = [
      [{ contextId: crypto.randomUUID() }, 'NOT_FOUND'],
      [{ contextId: rig.openContext('one', { status: 'CLOSED' }) }, 'CONTEXT_NOT_ACTIVE'],
      [{ participants: [] }, 'VALIDATION_FAILED'],
      [{ participants: [worker('ann'), worker('ann')] }, 'VALIDATION_FAILED'],
      [{ participants: [worker('ann', { weight: 2 })] }, 'VALIDATION_FAILED'],
      [{ participants: [worker('ann', { roleId: crypto.randomUUID() })] }, 'ROLE_NOT_FOUND'],
      [{ coordination: { type: 'CENTRALIZED' } }, 'COORDINATOR_INVALID'],
      [{ coordination: { type: 'DISTRIBUTED', coordinatorId: 'nobody' } }, 'COORDINATOR_INVALID'],
      [{ decisionConfig: { method: 'MAJORITY', quorum: { minimum: 3 } }, participants: two }, 'QUORUM_UNREACHABLE'],
      [{ decisionConfig: { method: 'CUSTOM' } }, 'RULE_MISCONFIGURED'],
      [{ mode: 'PAIR', participants: [...two, worker('cat')] }, 'INVARIANT_VIOLATED'],
      [{ mode: 'PAIR', activate: true }, 'INVARIANT_VIOLATED'],
      [{ activate: true, participants: [worker('ann', { roleId: null })] }, 'ROLE_MISSING'],
      [
        {
          type: 'DISTRIBUTED_DECISION_MAKING',
          participants: Array.from({ length: 21 }, (_, at) => worker(`p${at}`)),
        },
        'LIMIT_EXCEEDED',
      ],
      [{ maxParticipants: 2, participants: [...two, worker('cat')] }, 'COLLAB_FULL'],
      [{ planId: crypto.randomUUID() }, 'UNAVAILABLE'],
      [{ title: 'with\u0000nul' }, 'VALIDATION_FAILED'],
    ];
    const before = await rig.sql`SELECT count(*)::int AS n FROM collab.collaboration`;
    for (const [input, code] of rows) {
      const answer = await rig.run(
        ann,
        'mutation ($input: CreateCollaborationInput!) { createCollaboration(input: $input) { userErrors { code } } }',
        {
          input: {
            contextId: rig.openContext(),
            title: 'T',
            purpose: 'P',
            mode: 'ORCHESTRATED',
            participants: [worker('ann')],
            ...input,
          },
        },
      );
      const codes =
        answer.errors.length > 0
          ? answer.errors.map((error) => error.code)
          : codesOf(answer.data['createCollaboration']!);
      expect([input, codes]).toEqual([input, [code]]);
    }
    expect(await rig.sql`SELECT count(*)::int AS n FROM collab.collaboration`).toEqual(before);
  });

  test('a team of two out of five covers the objectives; an idempotency key makes one collaboration', async () => {
    const input = {
      contextId: rig.openContext(),
      title: 'Team',
      purpose: 'P',
      mode: 'SWARM',
      idempotencyKey: 'team',
      teamSize: 2,
      objectives: [{ description: 'x', requiredCapabilities: ['a', 'b', 'c', 'd'] }],
      participants: [['a'], ['b'], ['a', 'b'], ['c'], ['c', 'd']].map((capabilities, at) =>
        worker(`p${at}`, { capabilities }),
      ),
    };
    const selection = 'collaboration { id participants { nodes { participantId } } } capabilityGaps';
    const [one, two] = await Promise.all([
      rig.act(ann, 'createCollaboration', input, selection),
      rig.act(ann, 'createCollaboration', input, selection),
    ]);
    expect(one).toEqual(two);
    expect(one['capabilityGaps']).toEqual([]);
    expect(one['collaboration']!['participants']!['nodes']!.map((node) => node['participantId'])).toEqual(['p2', 'p4']);
    expect(codesOf(await rig.mutate(ann, 'createCollaboration', { ...input, title: 'Other' }))).toEqual([
      'IDEMPOTENCY_MISMATCH',
    ]);
  });
});

describe('who takes part', () => {
  test('join, twice, too many, leave, replace; weights of those who are there', async () => {
    const id = await rig.session('ORCHESTRATED', ['bob'], {
      maxParticipants: 3,
      objectives: [{ description: 'x', requiredCapabilities: ['a', 'b'] }],
    });
    const join = (who: typeof ann, given: object) =>
      rig.mutate(
        who,
        'joinCollaboration',
        { collabId: id, participant: given },
        'matchScore participant { weight permissions } collaboration { participantCount }',
      );
    const joined = await join(cat, worker('cat', { capabilities: ['a'], permissions: ['OVERSEE'] }));
    expect(joined).toMatchObject({
      matchScore: 0.5,
      collaboration: { participantCount: 3 },
      participant: { permissions: ['MAKE_DECISIONS'] },
    });
    expect(Number(joined['participant']!['weight'])).toBeCloseTo(1 / 3, 9);
    expect(codesOf(await join(cat, worker('cat')))).toEqual(['ALREADY_JOINED']);
    expect(codesOf(await join(dan, worker('dan')))).toEqual(['COLLAB_FULL']);
    expect(codesOf(await join(bob, worker('eve')))).toEqual(['PERMISSION_DENIED']);
    const task = await rig.act(
      ann,
      'createCollabTasks',
      { collabId: id, tasks: [{ name: 't', estimatedEffortHours: 1 }] },
      'tasks { id }',
    );
    const taskId = String(task['tasks']!.map((one) => one['id'])[0]);
    await rig.act(ann, 'reassignCollabTask', { taskId, toParticipantId: 'cat' });
    await rig.act(ann, 'replaceCollabParticipant', {
      collabId: id,
      participantId: 'cat',
      replacement: { participantId: 'dan', kind: 'AGENT' },
    });
    const now = await rig.ask(
      ann,
      'query ($id: ID!) { collaboration(id: $id) { participants(status: [ACTIVE]) { nodes { participantId roleId weight } } tasks { nodes { assignedTo } } } }',
      { id },
    );
    expect(
      now['collaboration']!['participants']!['nodes']!.map((node) => [node['participantId'], node['roleId']]),
    ).toEqual([
      ['ann', 'worker'],
      ['bob', 'worker'],
      ['dan', 'worker'],
    ]);
    expect(now['collaboration']!['tasks']!['nodes']!.map((node) => node['assignedTo'])).toEqual(['dan']);
    await rig.act(dan, 'leaveCollaboration', { collabId: id });
    const left = await rig.ask(
      ann,
      'query ($id: ID!) { collaboration(id: $id) { participantCount tasks { nodes { assignedTo status } } participants(status: [ACTIVE]) { nodes { weight } } } }',
      { id },
    );
    expect(left['collaboration']).toMatchObject({
      participantCount: 2,
      tasks: { nodes: [{ assignedTo: null, status: 'PENDING' }] },
    });
    expect(
      left['collaboration']!['participants']!['nodes']!.map((node) => Number(node['weight'])).reduce(
        (sum, weight) => sum + weight,
      ),
    ).toBeCloseTo(1, 12);
    await rig.move(ann, 'suspendCollaboration', id);
    expect(codesOf(await join(cat, worker('kim', { agentId: 'cat' })))).toEqual(['NOT_JOINABLE']);
  });

  test('two hundred joins at once: never more than there is room for, no sequence lost', async () => {
    const id = await rig.session('SWARM', [], { maxParticipants: 20 });
    const payloads = await Promise.all(
      Array.from({ length: 60 }, (_, at) =>
        rig.mutate(principal(`p${at}`), 'joinCollaboration', { collabId: id, participant: worker(`p${at}`) }),
      ),
    );
    expect(payloads.filter((payload) => codesOf(payload).length === 0).length).toBe(19);
    expect(new Set(payloads.flatMap(codesOf))).toEqual(new Set(['COLLAB_FULL']));
    const events = await rig.stream(id);
    expect(events.map(({ sequence }) => sequence)).toEqual(events.map((_, at) => at + 1));
    const [row] =
      await rig.sql`SELECT participant_count AS n, (SELECT count(*)::int FROM collab.participant WHERE collab_id = c.id AND status = 'active') AS real FROM collab.collaboration c WHERE id = ${id}`;
    expect(row).toEqual({ n: 20, real: 20 });
  });
});

describe('states', () => {
  test('suspended and resumed; completed only without open votes and turns; nothing after the end', async () => {
    const id = await rig.session('ORCHESTRATED', ['bob']);
    const { turn } = (await rig.act(
      ann,
      'dispatchTurn',
      { collabId: id, participantId: 'bob' },
      'turn { id }',
    )) as never as { turn: { id: string } };
    expect(codesOf(await rig.move(ann, 'completeCollaboration', id))).toEqual(['TURN_OPEN']);
    expect(codesOf(await rig.move(bob, 'suspendCollaboration', id))).toEqual(['PERMISSION_DENIED']);
    expect(await rig.move(ann, 'suspendCollaboration', id, ', reason: "lunch"')).toMatchObject({
      collaboration: { status: 'SUSPENDED', statusReason: 'lunch' },
    });
    expect(codesOf(await rig.mutate(bob, 'completeTurn', { turnId: turn.id }))).toEqual(['TURN_OVER']);
    expect(await rig.move(ann, 'resumeCollaboration', id)).toMatchObject({ collaboration: { status: 'ACTIVE' } });
    expect(
      codesOf(await rig.move(ann, 'updateCollaboration', id, ', patch: { title: "x" }, expectedVersion: 1')),
    ).toEqual(['VERSION_CONFLICT']);
    expect(codesOf(await rig.move(bob, 'cancelCollaboration', id))).toEqual(['PERMISSION_DENIED']);
    expect(await rig.move(ann, 'completeCollaboration', id)).toMatchObject({ collaboration: { status: 'COMPLETED' } });
    for (const field of [
      'activateCollaboration',
      'suspendCollaboration',
      'resumeCollaboration',
      'completeCollaboration',
      'cancelCollaboration',
    ])
      expect([field, codesOf(await rig.move(ann, field, id))]).toEqual([field, ['COLLAB_NOT_ACTIVE']]);
    expect(codesOf(await rig.move(admin, 'cancelCollaboration', crypto.randomUUID()))).toEqual(['NOT_FOUND']);
  });

  test('a context that is suspended suspends, one that is gone ends what runs in it', async () => {
    const contextId = rig.openContext();
    const id = await rig.session('SWARM', ['bob'], { contextId });
    const module = await rig.service.start();
    const context = (status: string) => ({
      context: { id: contextId, status, ownerId: 'ann', accessControl: { visibility: 'PUBLIC' } },
    });
    await rig.tell('context', contextId, 'context.state.changed', context('suspended'));
    await rig.service.catchUp();
    const read = () => rig.ask(ann, 'query ($id: ID!) { collaboration(id: $id) { status statusReason } }', { id });
    expect((await read())['collaboration']).toEqual({ status: 'SUSPENDED', statusReason: 'the context is SUSPENDED' });
    await rig.tell('context', contextId, 'context.deleted', context('closed'));
    await rig.service.catchUp();
    expect((await read())['collaboration']).toMatchObject({ status: 'CANCELLED' });
    await module.close();
  });
});

test('documents are those of the frozen protocol, at every stage', async () => {
  const validate = (document: unknown) => validateProtocolObject('collab', document);
  const id = await rig.session('ROUND_ROBIN', [{ participantId: 'bob', displayName: 'Bob', kind: 'HUMAN' }, 'cat']);
  const read = async () =>
    (await rig.ask(ann, 'query ($id: ID!) { collaboration(id: $id) { document } }', { id }))['collaboration']![
      'document'
    ]!;
  expect(validate(await read())).toEqual([]);
  await rig.act(cat, 'leaveCollaboration', { collabId: id });
  await rig.move(ann, 'completeCollaboration', id);
  const document = await read();
  expect(validate(document)).toEqual([]);
  expect(document).toMatchObject({
    collab_id: id,
    mode: 'round_robin',
    status: 'completed',
    participants: [
      { participant_id: 'ann', role_id: 'worker', kind: 'agent' },
      { participant_id: 'bob', role_id: 'worker', kind: 'human', display_name: 'Bob' },
    ],
  });
});
