import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type OpenVoting, quorumProbability, quorumRisks } from '../../subgraphs/collab/recommend/quorumRisk.ts';
import { ann, bob, type CollabRig, cat, codesOf, dan, type Json, openCollabRig } from './rig.ts';

const voting: OpenVoting = {
  decisionId: 'd',
  deadline: '2099-01-01T00:00:00.000Z',
  leftMs: 60_000,
  timeLimitMs: 60_000,
  quorum: 2,
  heard: 0,
  awaited: [],
};

describe('how likely a quorum is', () => {
  const awaited = fc.array(
    fc.record({
      voices: fc.integer({ min: 1, max: 3 }),
      votes: fc.integer({ min: 0, max: 5 }),
      waitedMs: fc.integer({ min: 0, max: 600_000 }),
    }),
    { maxLength: 6 },
  );

  test('equals the sum over everybody who may come', () => {
    fc.assert(
      fc.property(
        awaited,
        fc.integer({ min: 1, max: 8 }),
        fc.nat(3),
        fc.nat(200_000),
        (out, quorum, heard, withinMs) => {
          const alone = out.map((voter) =>
            // Of one voter with one voice, who is all that is missing, it is the probability of that vote.
            quorumProbability({ ...voting, quorum: 1, awaited: [{ ...voter, voices: 1 }] }, withinMs),
          );
          let expected = 0;
          for (let set = 0; set < 2 ** out.length; set += 1) {
            const comes = (at: number) => ((set >> at) & 1) === 1;
            const voices = out.reduce((sum, voter, at) => sum + (comes(at) ? voter.voices : 0), heard);
            if (voices >= quorum) expected += alone.reduce((all, p, at) => all * (comes(at) ? p : 1 - p), 1);
          }
          expect(quorumProbability({ ...voting, quorum, heard, awaited: out }, withinMs)).toBeCloseTo(expected, 10);
        },
      ),
      { numRuns: 300 },
    );
  });

  test('half come within a time limit of whom nothing is known; who always voted at once is surer, who never did less', () => {
    const chance = (votes: number, waitedMs: number) =>
      quorumProbability({ ...voting, quorum: 1, awaited: [{ voices: 1, votes, waitedMs }] }, 60_000);
    expect(chance(0, 0)).toBeCloseTo(0.5, 12);
    expect(chance(4, 4_000)).toBeGreaterThan(0.9);
    expect(chance(0, 240_000)).toBeCloseTo(1 / 6, 12);
  });

  test('as little time as makes it likely, the most there is where nothing does, none where it is likely already', () => {
    const one = { voices: 1, votes: 0, waitedMs: 0 };
    const advise = (more: Partial<OpenVoting>) => quorumRisks([{ ...voting, ...more }]);
    const [likely] = advise({ heard: 1, awaited: [one, one] });
    expect(likely).toMatchObject({ type: 'secure_quorum', action: { decisionId: 'd', byMs: 120_000 } });
    expect(likely!.before['quorumProbability']).toBeCloseTo(0.75, 12);
    expect(likely!.after['quorumProbability']).toBeCloseTo(1 - 1 / 16, 12);
    expect(likely!.gain).toBeCloseTo(0.1875, 12);
    const [hard] = advise({ quorum: 3, awaited: [one, one, one] });
    expect(hard).toMatchObject({ action: { byMs: 120_000 } });
    expect(hard!.after['quorumProbability']).toBeCloseTo(0.75 ** 3, 12);
    const often = { voices: 1, votes: 5, waitedMs: 5_000 };
    expect(advise({ heard: 1, awaited: [often, often] })).toEqual([]);
    expect(advise({ heard: 2, awaited: [one] })).toEqual([]);
    // Even all of them together are too few: no time helps.
    expect(advise({ quorum: 5, awaited: [one, one, one] })).toEqual([]);
    expect(advise({ leftMs: 0, awaited: [one, one] })).toEqual([]);
  });
});

describe('advice on a voting', () => {
  let rig: CollabRig;
  beforeAll(async () => {
    rig = await openCollabRig();
  });
  afterAll(() => rig[Symbol.asyncDispose]());

  const selection =
    'recommendations { id type action { decisionId extendByMs deadline } gain confidence wording before { name value } after { name value } }';
  const advise = async (collabId: string): Promise<Json> =>
    (
      await rig.act(
        ann,
        'requestRecommendations',
        { collabId, types: ['SECURE_QUORUM'], minConfidence: 0.5 },
        selection,
      )
    )['recommendations']!;
  async function open(collabId: string): Promise<string> {
    const proposed = await rig.act(
      bob,
      'proposeDecision',
      {
        collabId,
        title: 'Which?',
        type: 'TACTICAL',
        options: [
          { id: 'a', label: 'A' },
          { id: 'b', label: 'B' },
        ],
        rules: { method: 'MAJORITY', quorum: { fraction: 1 }, timeLimitMs: 600_000 },
      },
      'decision { id }',
    );
    const decisionId = String(proposed['decision']!['id']);
    await rig.act(ann, 'openVoting', { decisionId });
    return decisionId;
  }
  const deadlineOf = async (decisionId: string) => {
    const [row] = await rig.sql`SELECT deadline FROM collab.decision WHERE id = ${decisionId}`;
    return (row!['deadline'] as Date).getTime();
  };

  test('applied, the voting has the time; the advice is gone once the voting is another', async () => {
    const id = await rig.session('ORCHESTRATED', ['bob', 'cat', 'dan']);
    const decisionId = await open(id);
    await rig.act(bob, 'castBallot', { decisionId, optionId: 'a' });
    const found = await advise(id);
    expect(found.length).toBe(1);
    const advice = found.map((one) => one)[0]!;
    expect(advice).toMatchObject({ type: 'SECURE_QUORUM', action: { decisionId, extendByMs: 1_200_000 } });
    // Three are out, each comes in time with a probability of a half.
    const figure = (name: string) =>
      Number(advice[name]!.find((one) => String(one['name']) === 'quorumProbability')!['value']);
    expect(figure('before')).toBeCloseTo(1 / 8, 1);
    expect(figure('after')).toBeCloseTo(27 / 64, 1);
    const before = await deadlineOf(decisionId);
    await rig.act(
      ann,
      'feedbackOnRecommendation',
      { recommendationId: advice['id'], status: 'ACCEPTED', apply: true },
      'applied',
    );
    expect(await deadlineOf(decisionId)).toBe(before + 1_200_000);
    // Whether it helps is not known yet: it says nothing of how such advice does.
    const [learnt] = await rig.sql`SELECT experience FROM collab.collaboration WHERE id = ${id}`;
    expect(learnt).toEqual({ experience: {} });
    expect(rig.events.filter(({ streamId }) => streamId === id).map(({ type }) => type)).toContain(
      'collab.decision.extended',
    );
    // What time does to it counts from the new deadline on.
    await rig.service.deadlines.meetOne('one', id);
    const [row] = await rig.sql`SELECT status FROM collab.decision WHERE id = ${decisionId}`;
    expect(row!['status']).toBe('voting');

    const stale = (await advise(id)).map((one) => one)[0]!;
    for (const who of [ann, cat, dan]) await rig.act(who, 'castBallot', { decisionId, optionId: 'a' });
    expect(
      codesOf(
        await rig.mutate(ann, 'feedbackOnRecommendation', {
          recommendationId: stale['id'],
          status: 'ACCEPTED',
          apply: true,
        }),
      ),
    ).toEqual(['VERSION_CONFLICT']);
  });

  test('voters who have always come at once need no more time', async () => {
    const id = await rig.session('ORCHESTRATED', ['bob', 'cat', 'dan']);
    for (let round = 0; round < 6; round += 1) {
      const decisionId = await open(id);
      for (const who of [ann, bob, cat, dan]) await rig.act(who, 'castBallot', { decisionId, optionId: 'a' });
    }
    const decisionId = await open(id);
    expect((await advise(id)).length).toBe(0);
    // Whoever passes the voice on is out with whom it was given to.
    await rig.act(cat, 'delegateVote', { decisionId, toParticipantId: 'dan' });
    await rig.act(ann, 'castBallot', { decisionId, optionId: 'b' });
    expect((await advise(id)).length).toBe(0);
  });
});
