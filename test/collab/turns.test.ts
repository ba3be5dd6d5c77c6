import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { validateEvent } from '../../schema/protocol/index.ts';
import { sessionsWithoutReceipt, turnsWithoutCompletion } from '../../schema/protocol/sessions.ts';
import { observeCollab } from '../../subgraphs/collab/observability.ts';
import { ann, bob, type CollabRig, cat, codesOf, dan, type Json, openCollabRig, principal } from './rig.ts';

let rig: CollabRig;
beforeAll(async () => {
  rig = await openCollabRig();
});
afterAll(() => rig[Symbol.asyncDispose]());

const people = { ann, bob, cat };
const turnOf = async (collabId: string): Promise<Json> => {
  const data = await rig.ask(
    ann,
    'query ($id: ID!) { collaboration(id: $id) { status turns(first: 100) { nodes { id number participantId status error } } } }',
    { id: collabId },
  );
  return data['collaboration']!;
};
const openTurn = async (collabId: string) =>
  (await turnOf(collabId))['turns']!['nodes']!.find((turn) => String(turn['status']) === 'DISPATCHED');

describe('round robin', () => {
  test('the token goes round in the order of those who take part, one at a time', async () => {
    const id = await rig.session('ROUND_ROBIN', ['bob', 'cat']);
    await rig.act(ann, 'dispatchTurn', { collabId: id });
    expect(codesOf(await rig.mutate(ann, 'dispatchTurn', { collabId: id }))).toEqual(['TURN_OPEN']);
    const order: string[] = [];
    for (let step = 0; step < 7; step += 1) {
      const turn = (await openTurn(id))!;
      const holder = String(turn['participantId']) as keyof typeof people;
      order.push(holder);
      const other = holder === 'bob' ? cat : bob;
      expect(codesOf(await rig.mutate(other, 'completeTurn', { turnId: turn['id'] }))).toEqual(['NOT_YOUR_TURN']);
      const done = await rig.act(
        people[holder],
        'completeTurn',
        { turnId: turn['id'], result: { step } },
        'turn { status } next { number }',
      );
      expect(done).toMatchObject({ turn: { status: 'COMPLETED' }, next: { number: step + 2 } });
      expect(codesOf(await rig.mutate(people[holder], 'completeTurn', { turnId: turn['id'] }))).toEqual(['TURN_OVER']);
    }
    expect(order).toEqual(['ann', 'bob', 'cat', 'ann', 'bob', 'cat', 'ann']);
    expect(codesOf(await rig.mutate(ann, 'broadcast', { collabId: id, message: {} }))).toEqual(['MODE_FORBIDS']);
    expect(codesOf(await rig.mutate(bob, 'claimWork', { collabId: id }))).toEqual(['MODE_FORBIDS']);
    // Who leaves loses the token; it goes on with the next dispatch.
    await rig.act(bob, 'leaveCollaboration', { collabId: id });
    expect(await openTurn(id)).toBeUndefined();
    const next = await rig.act(ann, 'dispatchTurn', { collabId: id }, 'turn { participantId }');
    expect(next['turn']).toEqual({ participantId: 'cat' });
    await rig.act(cat, 'completeTurn', { turnId: (await openTurn(id))!['id'], passOn: false });
    expect(await openTurn(id)).toBeUndefined();
    await rig.move(ann, 'completeCollaboration', id);
  });

  test('turns that nobody takes time out with an error; after a round of them the session is suspended', async () => {
    const id = await rig.session('ROUND_ROBIN', ['bob']);
    await rig.act(ann, 'dispatchTurn', { collabId: id, timeoutMs: 1_000 });
    await rig.elapse(id);
    await rig.elapse(id);
    const after = await turnOf(id);
    expect(after['status']).toBe('SUSPENDED');
    expect(after['turns']!['nodes']!.map((turn) => [turn['participantId'], turn['status'], turn['error']])).toEqual([
      ['bob', 'TIMED_OUT', 'timeout'],
      ['ann', 'TIMED_OUT', 'timeout'],
    ]);
    // Again and again nothing more is due.
    await rig.elapse(id);
    expect((await turnOf(id))['turns']!['nodes']!.length).toBe(2);
  });

  test('a timer of the process meets the time of a turn; two completions at once count once', async () => {
    const id = await rig.session('PAIR', ['bob']);
    const module = await rig.service.start();
    await rig.act(ann, 'dispatchTurn', { collabId: id, timeoutMs: 1_000 });
    const first = (await openTurn(id))!;
    await expect.poll(async () => String((await openTurn(id))?.['participantId']), { timeout: 10_000 }).toBe('bob');
    expect((await turnOf(id))['turns']!['nodes']!.find((turn) => turn['id'] === first['id'])).toMatchObject({
      status: 'TIMED_OUT',
    });
    const turnId = (await openTurn(id))!['id'];
    const both = await Promise.all([0, 1, 2].map(() => rig.mutate(bob, 'completeTurn', { turnId, passOn: false })));
    expect(both.map((payload) => codesOf(payload)[0] ?? 'done').sort()).toEqual(['TURN_OVER', 'TURN_OVER', 'done']);
    await module.close();
  });
});

test('orchestrated: the coordinator picks; swarm: whoever is idle claims the most useful work it can begin', async () => {
  const id = await rig.session('ORCHESTRATED', ['bob', 'cat'], {
    coordination: { type: 'CENTRALIZED', coordinatorId: 'bob' },
  });
  expect(codesOf(await rig.mutate(cat, 'dispatchTurn', { collabId: id, participantId: 'ann' }))).toEqual([
    'PERMISSION_DENIED',
  ]);
  expect(codesOf(await rig.mutate(bob, 'dispatchTurn', { collabId: id }))).toEqual(['VALIDATION_FAILED']);
  expect(codesOf(await rig.mutate(bob, 'dispatchTurn', { collabId: id, participantId: 'eve' }))).toEqual([
    'PARTICIPANT_NOT_FOUND',
  ]);
  await rig.act(bob, 'dispatchTurn', { collabId: id, participantId: 'cat' });
  await rig.act(bob, 'dispatchTurn', { collabId: id, participantId: 'ann' });
  expect(codesOf(await rig.mutate(bob, 'dispatchTurn', { collabId: id, participantId: 'ann' }))).toEqual(['TURN_OPEN']);

  const swarm = await rig.session('SWARM', [
    { participantId: 'bob', capabilities: ['code'] },
    { participantId: 'cat', capabilities: ['code', 'test'] },
  ]);
  const [base, follow] = [crypto.randomUUID(), crypto.randomUUID()];
  await rig.act(ann, 'createCollabTasks', {
    collabId: swarm,
    tasks: [
      { id: base, name: 'base', estimatedEffortHours: 2, requiredSkills: ['code'], priority: 'HIGH' },
      {
        id: follow,
        name: 'follow',
        estimatedEffortHours: 1,
        requiredSkills: ['test'],
        priority: 'CRITICAL',
        dependencies: [base],
      },
      { name: 'small', estimatedEffortHours: 1, requiredSkills: ['code'], priority: 'LOW' },
    ],
  });
  const claim = (who: typeof ann) =>
    rig.mutate(who, 'claimWork', { collabId: swarm }, 'turn { id } task { name status assignedTo }');
  const [one, two] = await Promise.all([claim(cat), claim(bob)]);
  const taken = [one, two].map((payload) => String(payload['task']!['name'])).sort();
  expect(taken).toEqual(['base', 'small']);
  expect(codesOf(await claim(bob))).toEqual(['INSUFFICIENT_DATA']);
  expect(codesOf(await claim(dan))).toEqual(['NOT_A_PARTICIPANT']);
});

describe('broadcasts', () => {
  test('receipts of everybody complete it; twice is once; who was not meant is refused', async () => {
    const id = await rig.session('BROADCAST', ['bob', 'cat']);
    const sent = await rig.act(
      bob,
      'broadcast',
      { collabId: id, message: { text: 'hello' } },
      'broadcast { id recipients missing status }',
    );
    expect(sent['broadcast']).toMatchObject({ recipients: ['ann', 'cat'], missing: ['ann', 'cat'], status: 'OPEN' });
    const broadcastId = sent['broadcast']!['id'];
    const has = (who: typeof ann) =>
      rig.mutate(
        who,
        'acknowledgeBroadcast',
        { broadcastId, response: { ok: true } },
        'broadcast { status missing receipts { participantId response } }',
      );
    expect(await has(ann)).toMatchObject({ broadcast: { status: 'OPEN', missing: ['cat'] } });
    expect(await has(ann)).toMatchObject({ broadcast: { receipts: [{ participantId: 'ann' }] }, userErrors: [] });
    expect(codesOf(await has(bob))).toEqual(['NOT_A_PARTICIPANT']);
    expect(codesOf(await has(dan))).toEqual(['NOT_A_PARTICIPANT']);
    expect(await has(cat)).toMatchObject({ broadcast: { status: 'COMPLETE', missing: [] } });
    expect(codesOf(await rig.mutate(ann, 'dispatchTurn', { collabId: id }))).toEqual(['MODE_FORBIDS']);
    const late = await rig.act(ann, 'broadcast', { collabId: id, message: {}, timeoutMs: 1_000 }, 'broadcast { id }');
    await rig.elapse(id);
    const lateId = late['broadcast']!['id'];
    expect(codesOf(await rig.mutate(cat, 'acknowledgeBroadcast', { broadcastId: lateId }))).toEqual(['TURN_OVER']);
  });
});

test('the frozen events: each dispatch has its completion, each broadcast a receipt, in every mode, however it ends', async () => {
  const sessions = [
    await rig.session('ROUND_ROBIN', ['bob']),
    await rig.session('ORCHESTRATED', ['bob']),
    await rig.session('BROADCAST', ['bob']),
  ];
  await rig.act(ann, 'dispatchTurn', { collabId: sessions[0] });
  await rig.act(ann, 'completeTurn', { turnId: (await openTurn(sessions[0]!))!['id'] });
  await rig.act(ann, 'dispatchTurn', { collabId: sessions[1], participantId: 'bob' });
  await rig.act(ann, 'broadcast', { collabId: sessions[1], message: { go: 1 } });
  await rig.act(bob, 'broadcast', { collabId: sessions[2], message: { go: 2 } });
  await rig.elapse(sessions[2]!);
  for (const id of sessions) await rig.move(ann, 'cancelCollaboration', id);
  const documents = (await Promise.all(sessions.map((id) => rig.stream(id))))
    .flat()
    .flatMap((event) => observeCollab(event));
  for (const document of documents) expect(validateEvent(document)).toEqual([]);
  const map = documents.filter((document) => String(document['event_type']).startsWith('MAP'));
  expect(turnsWithoutCompletion(map)).toEqual([]);
  expect(sessionsWithoutReceipt(map)).toEqual([]);
  expect(map.filter((event) => event['event_type'] === 'MAPTurnDispatched').length).toBe(3);
  expect(new Set(map.map((event) => event['event_type']))).toEqual(
    new Set([
      'MAPSessionStarted',
      'MAPRolesAssigned',
      'MAPTurnDispatched',
      'MAPTurnCompleted',
      'MAPBroadcastSent',
      'MAPBroadcastReceived',
      'MAPSessionCompleted',
    ]),
  );
});

describe('following', () => {
  test('what is replayed behind a cursor is what follows, without gap or repeat', async () => {
    const id = await rig.session('ROUND_ROBIN', ['bob', 'cat']);
    await rig.act(ann, 'dispatchTurn', { collabId: id });
    for (let step = 0; step < 6; step += 1) {
      const turn = (await openTurn(id))!;
      await rig.act(people[String(turn['participantId']) as keyof typeof people], 'completeTurn', {
        turnId: turn['id'],
      });
    }
    const all = await rig.replay(bob, 'coordinationUpdate', { collabId: id });
    expect(all.map((event) => Number(event['sequence']))).toEqual(all.map((_, at) => at + 1));
    for (const cut of [0, 3, all.length - 1, all.length]) {
      const rest = await rig.replay(bob, 'coordinationUpdate', { collabId: id }, cut);
      expect(rest).toEqual(all.slice(cut));
    }
    const live = rig.events.filter((event) => event.streamId === id);
    expect(live.map(({ type }) => type)).toEqual(all.map((event) => String(event['type'])));
    expect(await rig.replay(bob, 'mapEvents', { collabId: id })).toHaveLength(all.length - 1);
    const performance = await rig.replay(bob, 'collabPerformance', { collabId: id });
    expect(
      performance.at(-1)!['metrics']!.find((metric) => String(metric['name']) === 'turns_completed'),
    ).toMatchObject({ value: 6 });
    await expect(
      rig.replay(principal('x', { tenantId: 'two' }), 'coordinationUpdate', { collabId: id }),
    ).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });
});
