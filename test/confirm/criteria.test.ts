import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  type Ballot,
  type Criterion,
  closeBallots,
  countBallots,
  type QuorumRule,
  type Vote,
} from '../../subgraphs/confirm/quorum/index.ts';
import { alice, bob, type ConfirmRig, carol, codesOf, openConfirmRig } from './rig.ts';

const criterion = (id: string, weight: number, more: Partial<Criterion> = {}): Criterion => ({
  id,
  name: id,
  weight,
  required: false,
  ...more,
});
const cost = criterion('cost', 0.6);
const risk = criterion('risk', 0.4);
const rule = (more: Partial<QuorumRule> = {}): QuorumRule => ({
  kind: 'criteria',
  criteria: [cost, risk],
  threshold: 0.7,
  minimumParticipation: 1,
  ...more,
});
const scored = (costScore: number, riskScore: number, weight = 1): Ballot => ({
  vote: 'approve',
  weight,
  required: false,
  scores: { cost: costScore, risk: riskScore },
});
const plain = (vote: Vote | null, weight = 1): Ballot => ({ vote, weight, required: false });

describe('criteria', () => {
  test('the sum of criterion weight x mean score is held against the threshold', () => {
    expect(countBallots(rule(), [scored(0.8, 0.5), scored(0.8, 0.7)])).toMatchObject({
      outcome: 'approved',
      // 0.6 x 0.8 + 0.4 x 0.6
      score: expect.closeTo(0.72, 10),
      criteria: [
        { criterionId: 'cost', score: expect.closeTo(0.8, 10) },
        { criterionId: 'risk', score: expect.closeTo(0.6, 10) },
      ],
    });
    expect(countBallots(rule({ threshold: 0.73 }), [scored(0.8, 0.5), scored(0.8, 0.7)]).outcome).toBe('rejected');
  });

  test('approvers count by their weight, rejections score nothing, abstentions are left out', () => {
    expect(countBallots(rule(), [scored(1, 1, 3), plain('reject')]).score).toBeCloseTo(0.75, 10);
    expect(countBallots(rule(), [scored(1, 1), plain('reject', 3)]).outcome).toBe('rejected');
    expect(countBallots(rule(), [scored(0.7, 0.7), plain('abstain', 9)]).outcome).toBe('approved');
    expect(countBallots(rule(), [plain('abstain'), plain('abstain')]).outcome).toBe('rejected');
  });

  test('a required criterion below its minimum rejects whatever the sum is', () => {
    const needed = rule({ criteria: [cost, criterion('risk', 0.4, { required: true, minimum: 0.5 })] });
    expect(countBallots(needed, [scored(1, 0.4)])).toMatchObject({
      outcome: 'rejected',
      criteria: [{}, { isMet: false }],
    });
    expect(countBallots(needed, [scored(1, 0.5)]).outcome).toBe('approved');
  });

  test('it rejects as soon as full scores of all others could not reach the threshold', () => {
    expect(countBallots(rule(), [scored(0.5, 0.5), plain(null)]).outcome).toBe('open');
    expect(countBallots(rule(), [scored(0.3, 0.3), plain(null)]).outcome).toBe('rejected');
    const needed = rule({ criteria: [cost, criterion('risk', 0.4, { required: true, minimum: 0.9 })] });
    expect(countBallots(needed, [scored(1, 0.7), plain(null)]).outcome).toBe('rejected');
  });

  test('it approves early only where even zeros and silence of all others would', () => {
    const lax = rule({ minimumParticipation: 0.5, threshold: 0.5 });
    expect(countBallots(lax, [scored(1, 1, 3), plain(null)]).outcome).toBe('approved');
    expect(countBallots(lax, [scored(0.6, 0.6, 3), plain(null)]).outcome).toBe('open');
    expect(closeBallots(lax, [scored(0.6, 0.6, 3), plain(null)])).toBe('approved');
  });

  test('closes exactly when no way of going on leads elsewhere', () => {
    const share = fc.constantFrom(0, 0.25, 0.5, 0.75, 1);
    const rules = fc.record({
      kind: fc.constant('criteria' as const),
      criteria: fc.tuple(
        fc.record({ weight: fc.constantFrom(0.2, 0.5, 1), required: fc.boolean(), minimum: share }),
        fc.record({ weight: fc.constantFrom(0.2, 0.5, 1), required: fc.boolean(), minimum: share }),
      ),
      threshold: fc.constantFrom(0.25, 0.5, 0.67, 0.8, 1),
      minimumParticipation: fc.constantFrom(0, 0.5, 0.8, 1),
    });
    const voter = fc.record({
      vote: fc.constantFrom<Vote | null>('approve', 'approve', 'reject', 'abstain', null, null),
      weight: fc.integer({ min: 1, max: 4 }),
      required: fc.boolean(),
      scores: fc.record({ cost: share, risk: share }),
    });
    fc.assert(
      fc.property(rules, fc.array(voter, { minLength: 1, maxLength: 4 }), (given, voters) => {
        const quorum: QuorumRule = {
          ...given,
          criteria: [criterion('cost', 1, given.criteria[0]), criterion('risk', 1, given.criteria[1])],
        };
        const ends = new Set(completions(voters).map((all) => closeBallots(quorum, all)));
        expect(countBallots(quorum, voters).outcome).toBe(ends.size === 1 ? [...ends][0] : 'open');
      }),
      { numRuns: 300 },
    );
  });
});

describe('a step that is scored', () => {
  let rig: ConfirmRig;
  beforeAll(async () => {
    rig = await openConfirmRig();
  });
  afterAll(() => rig[Symbol.asyncDispose]());

  const criteria = [
    { id: 'cost', name: 'Cost', weight: 0.6 },
    { id: 'risk', name: 'Risk', weight: 0.4, required: true, minimum: 0.5 },
  ];
  const workflow = (quorum: object = { criteria }) => ({
    type: 'PARALLEL',
    steps: [
      {
        id: 'review',
        approvers: [{ subject: 'bob' }, { subject: 'carol' }],
        quorum: { kind: 'CRITERIA', threshold: 0.7, minimumParticipation: 1, ...quorum },
      },
    ],
  });
  const scores = (costScore: number, riskScore: number) => ({
    scores: [
      { criterionId: 'cost', score: costScore },
      { criterionId: 'risk', score: riskScore },
    ],
  });

  test('is approved by the sum of its scores, which stand sealed in the decisions', async () => {
    const id = await rig.open(alice, { workflow: workflow() });
    expect(await rig.decide(bob, id, 'APPROVED', scores(0.9, 0.6))).toMatchObject({ confirm: { status: 'PENDING' } });
    const state = await rig.ask(
      alice,
      'query ($id: ID!) { approvalWorkflow(confirmId: $id) { tallies { score criteria { criterionId score isMet } } steps { quorum { criteria { id weight required minimum } } } } confirm(id: $id) { decisions { scores { criterionId score } } } }',
      { id },
    );
    expect(state).toMatchObject({
      approvalWorkflow: {
        tallies: [
          {
            score: expect.closeTo(0.78, 10),
            criteria: [
              { criterionId: 'cost', score: 0.9, isMet: true },
              { criterionId: 'risk', score: 0.6, isMet: true },
            ],
          },
        ],
        steps: [
          {
            quorum: {
              criteria: [
                { id: 'cost', weight: 0.6, required: false },
                { id: 'risk', minimum: 0.5 },
              ],
            },
          },
        ],
      },
      confirm: {
        decisions: [
          {
            scores: [
              { criterionId: 'cost', score: 0.9 },
              { criterionId: 'risk', score: 0.6 },
            ],
          },
        ],
      },
    });
    expect(await rig.decide(carol, id, 'APPROVED', scores(0.8, 0.5))).toMatchObject({
      confirm: { status: 'APPROVED' },
    });
    expect(await rig.service.verify('one', id)).toMatchObject({ valid: true, length: 2 });
    await rig.sql`UPDATE confirm.decision SET ballot = '{"scores":{"cost":1,"risk":1}}' WHERE confirm_id = ${id} AND sequence = 2`;
    expect(await rig.service.verify('one', id)).toMatchObject({ valid: false, fault: { sequence: 2 } });
  });

  test('is rejected early where the rest cannot reach the threshold any more, or a required criterion its minimum', async () => {
    const low = await rig.open(alice, { workflow: workflow() });
    expect(await rig.decide(bob, low, 'APPROVED', scores(0.1, 0.6))).toMatchObject({ confirm: { status: 'REJECTED' } });
    const unmet = await rig.open(alice, {
      workflow: workflow({ criteria: [criteria[0], { ...criteria[1], minimum: 0.9 }] }),
    });
    expect(await rig.decide(bob, unmet, 'APPROVED', scores(1, 0.7))).toMatchObject({ confirm: { status: 'REJECTED' } });
  });

  test('bad scores and bad criteria are refused and change nothing', async () => {
    const id = await rig.open(alice, { workflow: workflow() });
    const before = await rig.stored(id);
    const bad = [
      {},
      { scores: [{ criterionId: 'cost', score: 1 }] },
      { scores: [...scores(1, 1).scores, { criterionId: 'speed', score: 1 }] },
      { scores: [...scores(1, 1).scores, { criterionId: 'risk', score: 0 }] },
      scores(1.5, 1),
      scores(-0.1, 1),
    ];
    for (const more of bad) expect(codesOf(await rig.decide(bob, id, 'APPROVED', more))).toEqual(['VALIDATION_FAILED']);
    expect(codesOf(await rig.decide(bob, id, 'REJECTED', scores(1, 1)))).toEqual(['VALIDATION_FAILED']);
    expect(await rig.stored(id)).toBe(before);
    for (const quorum of [
      { criteria: [] },
      { criteria: [criteria[0], criteria[0]] },
      { kind: 'MAJORITY', threshold: null, criteria },
    ])
      expect(codesOf(await rig.create(alice, { workflow: workflow(quorum) }))).toEqual(['INVALID_WORKFLOW']);
    expect(
      codesOf(await rig.create(alice, { workflow: workflow({ criteria: [{ ...criteria[0], weight: 0 }] }) })),
    ).toEqual(['VALIDATION_FAILED']);
  });
});

/** Ways in which the silent may go on: corners of what scores can be, and points between. */
function completions(given: readonly Ballot[]): Ballot[][] {
  const ways: Partial<Ballot>[] = [
    { vote: 'approve', scores: { cost: 1, risk: 1 } },
    { vote: 'approve', scores: { cost: 0, risk: 1 } },
    { vote: 'approve', scores: { cost: 1, risk: 0 } },
    { vote: 'approve', scores: { cost: 0.5, risk: 0.5 } },
    { vote: 'reject' },
    { vote: 'abstain' },
    { vote: null },
  ];
  return given.reduce<Ballot[][]>(
    (heads, ballot) =>
      heads.flatMap((head) => (ballot.vote === null ? ways : [ballot]).map((way) => [...head, { ...ballot, ...way }])),
    [[]],
  );
}
