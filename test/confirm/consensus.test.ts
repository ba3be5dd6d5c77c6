import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { closeOptions, type OptionBallot, type QuorumKind } from '../../subgraphs/confirm/quorum/index.ts';
import {
  admin,
  alice,
  bob,
  type ConfirmRig,
  carol,
  codesOf,
  dave,
  type Json,
  openConfirmRig,
  principal,
} from './rig.ts';

let rig: ConfirmRig;
beforeAll(async () => {
  rig = await openConfirmRig();
});
afterAll(() => rig[Symbol.asyncDispose]());

const hour = 3_600_000;
const selection = `consensus { id title status targetType target { ... on Context { id } } participation result { optionId reason }
  options { id label } rules { algorithm timeoutMs allowAbstention } participants { subject votingWeight hasVoted }
  votes { participant optionId justification scores { optionId criterionId score } }
  standings { optionId votes weight share score } confirm { id status phase targetType resolution } } userErrors { code message path }`;

const options = [
  { id: 'north', label: 'By the north' },
  { id: 'south', label: 'By the south' },
  { id: 'wait', label: 'Wait' },
];
const people = ['bob', 'carol', 'dave'].map((subject) => ({ subject }));

const create = async (input: object = {}, who = alice): Promise<Json> =>
  (
    await rig.ask(
      who,
      `mutation ($input: CreateConsensusProcessInput!) { createConsensusProcess(input: $input) { ${selection} } }`,
      {
        input: {
          targetType: 'CONTEXT',
          targetId: rig.openTarget(),
          title: 'Which way?',
          options,
          participants: people,
          rules: { algorithm: 'SIMPLE_MAJORITY' },
          ...input,
        },
      },
    )
  )['createConsensusProcess']!;

async function open(input: object = {}, who = alice): Promise<string> {
  const payload = await create(input, who);
  expect(payload['userErrors']).toEqual([]);
  return String(payload['consensus']!['id']);
}

const vote = async (who: typeof bob, consensusId: string, input: object): Promise<Json> =>
  (
    await rig.ask(who, `mutation ($input: CastVoteInput!) { castVote(input: $input) { ${selection} } }`, {
      input: { consensusId, ...input },
    })
  )['castVote']!;

const read = async (id: string) =>
  (
    await rig.ask(
      alice,
      `query ($id: ID!) { consensusProcess(consensusId: $id) { ${selection.slice(12, selection.indexOf(' } userErrors'))} } }`,
      { id },
    )
  )['consensusProcess']!;

const expireAll = (afterMs: number) =>
  rig.service.escalations.process({ tenantId: 'one', nowMs: Date.now() + afterMs, limit: 1_000 });

describe('a vote over options', () => {
  test('is put, waits in inboxes, and closes as soon as its outcome is certain', async () => {
    const targetId = rig.openTarget();
    const payload = await create({ targetId });
    expect(payload).toMatchObject({
      consensus: {
        status: 'OPEN',
        targetType: 'CONTEXT',
        target: { id: targetId },
        result: null,
        participation: 0,
        rules: { algorithm: 'SIMPLE_MAJORITY', timeoutMs: 72 * hour, allowAbstention: true },
        confirm: { status: 'PENDING', targetType: 'OTHER' },
      },
    });
    const id = String(payload['consensus']!['id']);
    const { approvalsInbox } = await rig.ask(bob, '{ approvalsInbox { nodes { confirm { id consensus { id } } } } }');
    expect(approvalsInbox!['nodes']).toContainEqual({ confirm: { id, consensus: { id } } });
    expect(await vote(bob, id, { optionId: 'south', justification: 'warmer' })).toMatchObject({
      consensus: { status: 'OPEN', standings: [{ votes: 0 }, { votes: 1, share: 1 }, { votes: 0 }] },
    });
    expect(await vote(carol, id, { optionId: 'south' })).toMatchObject({
      userErrors: [],
      consensus: {
        status: 'DECIDED',
        result: { optionId: 'south', reason: 'decided for By the south' },
        votes: [
          { participant: 'bob', optionId: 'south', justification: 'warmer' },
          { participant: 'carol', optionId: 'south' },
        ],
        confirm: { status: 'APPROVED', resolution: 'decided for By the south' },
      },
    });
    expect(codesOf(await vote(dave, id, { optionId: 'north' }))).toEqual(['STEP_NOT_ACTIVE']);
    expect(await read(id)).toMatchObject({ status: 'DECIDED', result: { optionId: 'south' } });
  });

  test('ends without a decision once no option can win', async () => {
    const id = await open();
    await vote(bob, id, { optionId: 'north' });
    await vote(carol, id, { optionId: 'south' });
    expect(await vote(dave, id, { optionId: 'wait' })).toMatchObject({
      consensus: { status: 'NO_DECISION', result: { optionId: null }, confirm: { status: 'REJECTED' } },
    });
  });

  test('weights, thresholds and participation count as the rules say', async () => {
    const id = await open({
      participants: [{ subject: 'bob', votingWeight: 3 }, { subject: 'carol' }, { subject: 'dave' }],
      rules: { algorithm: 'WEIGHTED_MAJORITY', threshold: 0.7, minimumParticipation: 0.8 },
    });
    expect(await vote(bob, id, { optionId: 'north' })).toMatchObject({ consensus: { status: 'OPEN' } });
    expect(await vote(carol, id, { optionId: 'north' })).toMatchObject({
      consensus: { status: 'DECIDED', standings: [{ weight: 4, share: 1 }, {}, {}], participation: 0.8 },
    });
  });

  test('with criteria a vote is for the option that it scores best', async () => {
    const criteria = [
      { id: 'cost', name: 'Cost', weight: 0.75 },
      { id: 'risk', name: 'Risk', weight: 0.25 },
    ];
    const id = await open({ criteria, options: options.slice(0, 2), rules: { algorithm: 'UNANIMOUS' } });
    const scores = (north: number, south: number, risk = 0.5) => [
      { optionId: 'north', criterionId: 'cost', score: north },
      { optionId: 'north', criterionId: 'risk', score: risk },
      { optionId: 'south', criterionId: 'cost', score: south },
      { optionId: 'south', criterionId: 'risk', score: risk },
    ];
    for (const wrong of [
      { optionId: 'north' },
      { scores: scores(1, 0).slice(1) },
      { scores: [...scores(1, 0), scores(1, 0)[0]] },
      { scores: scores(1, 1) },
      { scores: scores(1, 0), optionId: 'south' },
      { scores: scores(2, 0) },
    ])
      expect(codesOf(await vote(bob, id, wrong))).toEqual(['VALIDATION_FAILED']);
    expect(await vote(bob, id, { scores: scores(1, 0) })).toMatchObject({
      consensus: { votes: [{ optionId: 'north' }], standings: [{ score: 0.875 }, { score: 0.125 }] },
    });
    expect(await vote(carol, id, { scores: scores(0.5, 0.5), optionId: 'north' })).toMatchObject({ userErrors: [] });
    expect(await vote(dave, id, { abstain: true })).toMatchObject({
      consensus: {
        status: 'DECIDED',
        result: { optionId: 'north' },
        standings: [{ score: 0.6875 }, { score: 0.3125 }],
      },
    });
  });

  test('bad input changes nothing', async () => {
    const bad: [object, string][] = [
      [{ options: options.slice(0, 1) }, 'VALIDATION_FAILED'],
      [{ options: [options[0], options[0]] }, 'VALIDATION_FAILED'],
      [{ options: [{ label: 'one' }, { id: 'option-1', label: 'two' }] }, 'VALIDATION_FAILED'],
      [{ participants: [] }, 'VALIDATION_FAILED'],
      [{ participants: [people[0], people[0]] }, 'VALIDATION_FAILED'],
      [{ rules: { algorithm: 'WEIGHTED_MAJORITY', threshold: 0 } }, 'VALIDATION_FAILED'],
      [{ rules: { algorithm: 'WEIGHTED_MAJORITY', minimumParticipation: 1.1 } }, 'VALIDATION_FAILED'],
      [{ rules: { algorithm: 'UNANIMOUS', timeoutHours: 721 } }, 'VALIDATION_FAILED'],
      [{ targetId: '6f9619ff-8b86-4011-b42d-00cf4fc964ff' }, 'TARGET_NOT_FOUND'],
    ];
    for (const [input, code] of bad) expect(codesOf(await create(input)), JSON.stringify(input)).toEqual([code]);

    const id = await open({
      rules: { algorithm: 'UNANIMOUS', allowAbstention: false, requireJustification: true },
    });
    const before = await rig.stored(id);
    const justification = 'so';
    expect(codesOf(await vote(bob, id, { optionId: 'north' }))).toEqual(['RATIONALE_REQUIRED']);
    expect(codesOf(await vote(bob, id, { optionId: 'east', justification }))).toEqual(['VALIDATION_FAILED']);
    expect(codesOf(await vote(bob, id, { justification }))).toEqual(['VALIDATION_FAILED']);
    expect(codesOf(await vote(bob, id, { abstain: true, justification }))).toEqual(['VALIDATION_FAILED']);
    expect(codesOf(await vote(alice, id, { optionId: 'north', justification }))).toEqual(['NOT_AN_APPROVER']);
    expect(
      codesOf(await vote(principal('bob', { tenantId: 'two' }), id, { optionId: 'north', justification })),
    ).toEqual(['NOT_FOUND']);
    expect(codesOf(await rig.decide(bob, id, 'APPROVED'))).toEqual(['INVALID_STATE']);
    expect(await rig.stored(id)).toBe(before);
    const approval = await rig.open(alice);
    expect(codesOf(await vote(bob, approval, { optionId: 'north' }))).toEqual(['NOT_FOUND']);
    expect(
      (await rig.ask(alice, 'query ($id: ID!) { consensusProcess(consensusId: $id) { id } }', { id: approval }))[
        'consensusProcess'
      ],
    ).toBeNull();
  });

  test('who puts the question votes where it is named; a vote stands, and a repeat answers the first', async () => {
    const id = await open({ participants: [{ subject: 'alice' }, ...people] });
    const key = { optionId: 'north', idempotencyKey: 'vote-1' };
    expect(await vote(alice, id, key)).toMatchObject({ userErrors: [] });
    expect(await vote(alice, id, key)).toMatchObject({
      userErrors: [],
      consensus: { votes: [{ participant: 'alice' }] },
    });
    expect(codesOf(await vote(alice, id, { optionId: 'south' }))).toEqual(['ALREADY_DECIDED']);
  });

  test('votes are sealed like decisions, and are told in order behind a cursor', async () => {
    const id = await open();
    await vote(bob, id, { optionId: 'north' });
    await vote(carol, id, { optionId: 'north' });
    expect(await rig.service.verify('one', id)).toMatchObject({ valid: true, length: 2 });
    const all = await rig.replay(bob, 'consensusUpdates', { consensusId: id });
    expect(all.map(({ type }) => String(type))).toEqual([
      'confirm.created',
      'confirm.decided',
      'confirm.decided',
      'confirm.resolved',
    ]);
    expect(all.at(1)).toMatchObject({
      vote: { participant: 'bob', optionId: 'north' },
      standings: [{ votes: 1 }, {}, {}],
    });
    expect(all.at(-1)).toMatchObject({ status: 'DECIDED', result: { optionId: 'north' } });
    const resumed = await rig.replay(bob, 'consensusUpdates', { consensusId: id }, Number(all[1]!['sequence']));
    expect(resumed).toEqual(all.slice(2));
    await expect(
      rig.replay(principal('bob', { tenantId: 'two' }), 'consensusUpdates', { consensusId: id }),
    ).rejects.toThrow('no such consensus process');
    await rig.sql`UPDATE confirm.decision SET ballot = '{"optionId":"south"}' WHERE confirm_id = ${id} AND sequence = 1`;
    expect(await rig.service.verify('one', id)).toMatchObject({
      valid: false,
      fault: { sequence: 1, reason: 'content' },
    });
    const { confirm } = await rig.ask(alice, 'query ($id: ID!) { confirm(id: $id) { document } }', { id });
    expect(confirm!['document']).toMatchObject({
      target_type: 'other',
      target_id: id,
      status: 'approved',
      decisions: [{ status: 'approved', reason: 'for south' }, { reason: 'for north' }],
    });
  });

  test('at its deadline the votes cast decide, or nothing does; reminders come before', async () => {
    const rules = { algorithm: 'QUORUM_BASED', threshold: 0.6, minimumParticipation: 0.3, timeoutHours: 30 };
    const [decided, none, cancelled] = [await open({ rules }), await open({ rules }), await open({ rules })];
    await vote(bob, decided, { optionId: 'south' });
    const by = (who: typeof bob) =>
      rig.run(who, 'mutation ($id: ID!) { cancelConfirm(confirmId: $id, reason: "moot") { userErrors { code } } }', {
        id: cancelled,
      });
    expect((await by(admin)).data).toMatchObject({ cancelConfirm: { userErrors: [] } });
    expect((await expireAll(24 * hour + 1_000)).reminded).toEqual(expect.arrayContaining([decided, none]));
    expect(await read(decided)).toMatchObject({ status: 'OPEN' });
    await expireAll(30 * hour + 1_000);
    expect(await read(decided)).toMatchObject({ status: 'DECIDED', result: { optionId: 'south' } });
    expect(await read(none)).toMatchObject({
      status: 'NO_DECISION',
      result: { optionId: null, reason: 'no option had won when its time was over' },
      confirm: { status: 'CANCELLED', phase: 'EXPIRED' },
    });
    expect(await read(cancelled)).toMatchObject({ status: 'CANCELLED', result: null });
    expect(await rig.service.verify('one', none)).toMatchObject({ valid: true });
  });

  test('closing early never changes what full voting would have given, whoever votes at the same time', async () => {
    const voters = ['v1', 'v2', 'v3', 'v4', 'v5'];
    const kinds: Record<string, QuorumKind> = {
      SIMPLE_MAJORITY: 'majority',
      WEIGHTED_MAJORITY: 'weighted',
      UNANIMOUS: 'unanimous',
      QUORUM_BASED: 'consensus',
    };
    await fc.assert(
      fc.asyncProperty(
        fc.record({
          algorithm: fc.constantFrom(...Object.keys(kinds)),
          threshold: fc.constantFrom(0.34, 0.5, 0.67, 1),
          minimumParticipation: fc.constantFrom(0, 0.5, 1),
          weights: fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 5, maxLength: 5 }),
          choices: fc.array(fc.constantFrom('north', 'north', 'south', 'wait', null), { minLength: 5, maxLength: 5 }),
          order: fc.shuffledSubarray([0, 1, 2, 3, 4], { minLength: 5, maxLength: 5 }),
          concurrent: fc.boolean(),
        }),
        async ({ algorithm, threshold, minimumParticipation, weights, choices, order, concurrent }) => {
          const id = await open({
            participants: voters.map((subject, index) => ({ subject, votingWeight: weights[index] })),
            rules: { algorithm, threshold, minimumParticipation },
          });
          const cast = (index: number) =>
            vote(
              principal(voters[index]!),
              id,
              choices[index] == null ? { abstain: true } : { optionId: choices[index] },
            );
          const payloads = concurrent ? await Promise.all(order.map(cast)) : [];
          if (!concurrent) for (const index of order) payloads.push(await cast(index));
          for (const code of payloads.flatMap(codesOf)) expect(code).toBe('STEP_NOT_ACTIVE');
          const full: OptionBallot[] = voters.map((_subject, index) => ({
            choice: choices[index] == null ? 'abstain' : { optionId: choices[index] },
            weight: weights[index]!,
          }));
          const winner = closeOptions(
            { kind: kinds[algorithm]!, threshold, minimumParticipation },
            options.map((option) => option.id),
            full,
          );
          expect(await read(id)).toMatchObject({
            status: winner === null ? 'NO_DECISION' : 'DECIDED',
            result: { optionId: winner },
          });
          const verified = await rig.service.verify('one', id);
          expect(verified).toMatchObject({
            valid: true,
            length: payloads.filter((payload) => codesOf(payload).length === 0).length,
          });
        },
      ),
      { numRuns: 50 },
    );
  }, 120_000);
});
