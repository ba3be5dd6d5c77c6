import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { councilsOn, names, people } from './councilRig.ts';
import { ann, bob, type CollabRig, codesOf, openCollabRig } from './rig.ts';

let rig: CollabRig;
beforeAll(async () => {
  rig = await openCollabRig();
});
afterAll(() => rig[Symbol.asyncDispose]());
const { open, sit, cast, act, read, elapseRound } = councilsOn(() => rig);

describe('rounds and times', () => {
  test('a round that settles nothing may be followed by another, in which everybody votes anew', async () => {
    const { id, decisionId, councilId } = await sit({
      council: { type: 'ADVISORY', multipleRoundsAllowed: true },
      rules: { tieBreaks: [] },
    });
    for (const name of names) await cast(people[name], decisionId, { optionId: name < 'c' ? 'a' : 'b' });
    expect(await read(councilId)).toMatchObject({
      status: 'DELIBERATING',
      rounds: [{ number: 1, outcome: 'TIE', tally: { heard: 4 } }],
      decision: { status: 'UNDER_REVIEW', round: 1 },
    });
    expect(codesOf(await cast(ann, decisionId, { optionId: 'a' }))).toEqual(['VOTE_CLOSED']);
    expect(codesOf(await rig.mutate(ann, 'openVoting', { decisionId }))).toEqual(['INVALID_STATE_TRANSITION']);
    expect(await act('openCouncilRound', councilId)).toMatchObject({
      council: { status: 'VOTING', rounds: [{ number: 1 }, { number: 2, outcome: null }] },
      decision: { status: 'VOTING', round: 2, ballotCount: 0 },
      userErrors: [],
    });
    expect(codesOf(await act('openCouncilRound', councilId))).toEqual(['INVALID_STATE']);
    await cast(ann, decisionId, { optionId: 'b' });
    await elapseRound(id, decisionId);
    expect(await read(councilId)).toMatchObject({ status: 'DELIBERATING', rounds: [{}, { outcome: 'NO_QUORUM' }] });
    expect(await act('closeCouncil', councilId)).toMatchObject({
      council: { status: 'CLOSED', outcome: 'NO_QUORUM' },
      decision: { status: 'UNDER_REVIEW', advice: null },
      userErrors: [],
    });
    expect(codesOf(await act('openCouncilRound', councilId))).toEqual(['INVALID_STATE']);
    expect(codesOf(await act('closeCouncil', councilId))).toEqual(['INVALID_STATE']);
  });

  test('only one round where no more are allowed; the decision keeps what it came to', async () => {
    const options = [
      { id: 'lead', label: 'Bob leads', action: { kind: 'NAME_COORDINATOR', participantId: 'bob' } },
      { id: 'same', label: 'As it is', statusQuo: true },
    ];
    const { decisionId, councilId } = await sit({ council: { type: 'EXECUTIVE' }, options, rules: { tieBreaks: [] } });
    for (const name of names) await cast(people[name], decisionId, { optionId: name < 'c' ? 'lead' : 'same' });
    expect(await read(councilId)).toMatchObject({
      status: 'CLOSED',
      outcome: 'UNDECIDED',
      decision: { status: 'DECIDED', outcome: 'TIE' },
    });
  });

  test('a sitting is over by its time, and no round of it lasts longer', async () => {
    const { id, decisionId, councilId, opened } = await sit(
      { council: { type: 'ADVISORY', maxSessionDurationMs: 60_000, multipleRoundsAllowed: true } },
      { roundTimeMs: 3_600_000 },
    );
    const { endsAt, rounds } = opened['council'] as unknown as { endsAt: string; rounds: { deadline: string }[] };
    expect(rounds[0]!.deadline).toBe(endsAt);
    await cast(ann, decisionId, { optionId: 'a' });
    await rig.elapse(id);
    expect(await read(councilId)).toMatchObject({
      status: 'CLOSED',
      outcome: 'NO_QUORUM',
      rounds: [{ outcome: 'NO_QUORUM' }],
    });
    expect(codesOf(await act('openCouncilRound', councilId))).toEqual(['INVALID_STATE']);
    const between = await sit({ council: { type: 'ADVISORY', multipleRoundsAllowed: true } });
    await elapseRound(between.id, between.decisionId);
    expect(await read(between.councilId)).toMatchObject({ status: 'DELIBERATING' });
    await rig.elapse(between.id);
    expect(await read(between.councilId)).toMatchObject({ status: 'CLOSED', outcome: 'NO_QUORUM', rounds: [{}] });
  });

  test('it rises where the collaboration is suspended or the decision withdrawn', async () => {
    const { id, decisionId, councilId } = await sit({ council: { type: 'ADVISORY' } });
    await rig.move(ann, 'suspendCollaboration', id);
    expect(await read(councilId)).toMatchObject({
      status: 'CLOSED',
      outcome: 'DISSOLVED',
      decision: { status: 'UNDER_REVIEW' },
    });
    await rig.move(ann, 'resumeCollaboration', id);
    const again = await open(decisionId);
    expect(again).toMatchObject({ council: { rounds: [{ number: 1 }] }, decision: { round: 2 }, userErrors: [] });
    await rig.act(bob, 'withdrawDecision', { decisionId });
    expect(await read(String(again['council']!['id']))).toMatchObject({
      outcome: 'DISSOLVED',
      decision: { status: 'WITHDRAWN' },
    });
  });
});

/** What members do in a round: nobody, a vote of one's own, an abstention, or the voice passed on. */
const moves = fc.array(
  fc.tuple(
    fc.constantFrom(...names),
    fc.oneof(
      fc.record({ optionId: fc.constantFrom('a', 'b', 'same') }),
      fc.constant({ abstain: true }),
      fc.record({ toParticipantId: fc.constantFrom(...names) }),
    ),
  ),
  { maxLength: 8 },
);

describe('whatever is said in a sitting', () => {
  test('no voice counts twice, no enforced quorum is missed, what is not allowed is refused, and it ends in time', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.record({
          quorumEnforced: fc.boolean(),
          multipleRoundsAllowed: fc.boolean(),
          abstentionAllowed: fc.boolean(),
          delegationAllowed: fc.boolean(),
        }),
        fc.array(moves, { minLength: 1, maxLength: 3 }),
        async (council, rounds) => {
          const { id, decisionId, councilId } = await sit({ council: { type: 'ADVISORY', ...council } });
          for (const said of rounds) {
            for (const [name, what] of said) {
              const isPassedOn = 'toParticipantId' in what;
              const codes = codesOf(
                isPassedOn
                  ? await rig.mutate(people[name], 'delegateVote', { decisionId, ...what })
                  : await cast(people[name], decisionId, what),
              );
              if (codes.includes('VOTE_CLOSED')) break;
              if ('abstain' in what && !council.abstentionAllowed) expect(codes).toEqual(['VALIDATION_FAILED']);
              if (isPassedOn && !council.delegationAllowed) expect(codes).toEqual(['DELEGATION_FORBIDDEN']);
            }
            if (String((await read(councilId))['status']) === 'VOTING') await elapseRound(id, decisionId);
            if (codesOf(await act('openCouncilRound', councilId)).length > 0) break;
          }
          await rig.elapse(id);
          const found = await read(councilId);
          expect(found).toMatchObject({ status: 'CLOSED', decision: { status: 'UNDER_REVIEW' } });
          const voted = found['rounds'] as unknown as {
            outcome: string;
            tally: { heard: number; quorum: number; quorumMet: boolean };
          }[];
          expect(voted.length).toBeLessThanOrEqual(council.multipleRoundsAllowed ? 4 : 1);
          for (const { outcome, tally } of voted) {
            expect(tally.heard).toBeLessThanOrEqual(names.length);
            expect(tally.quorumMet).toBe(tally.heard >= tally.quorum);
            if (council.quorumEnforced && !tally.quorumMet) expect(outcome).toBe('NO_QUORUM');
            if (!council.quorumEnforced) expect(outcome).not.toBe('NO_QUORUM');
          }
          const last = voted.at(-1)!;
          if (String(found['outcome']) === 'RECOMMENDED' && council.quorumEnforced)
            expect(last.tally.quorumMet).toBe(true);
          const ballots =
            await rig.sql`SELECT round, voter, count(*)::int AS n FROM collab.ballot WHERE decision_id = ${decisionId} GROUP BY 1, 2`;
          for (const { n } of ballots) expect(n).toBe(1);
        },
      ),
      { numRuns: 25 },
    );
  });
});
