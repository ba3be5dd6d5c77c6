import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type Ballot, judge, tallyVotes, type VoteValue } from '../../../subgraphs/plan/collaboration/tally.ts';

const rules = (threshold: number, quorum = 0) => ({ threshold: threshold * 10_000, quorum: quorum * 10_000 });
const ballots = (...votes: readonly [VoteValue, number][]): Ballot[] =>
  votes.map(([vote, weight]) => ({ vote, weight }));

test('the share decides exactly at the threshold, and no earlier', () => {
  // 0.1 + 0.2 of 0.375 is exactly 0.8, whatever floating point makes of it.
  const votes = ballots(['APPROVE', 100], ['APPROVE', 200]);
  expect(judge(tallyVotes(375, votes), rules(0.8), false)).toEqual({ accepted: true, outcome: null });
  expect(judge(tallyVotes(376, votes), rules(0.8), false)).toBeNull();
});

test('a tie is against, abstentions count towards the quorum alone, and too few votes are no consensus', () => {
  const tie = ballots(['APPROVE', 5], ['REJECT', 5]);
  expect(judge(tallyVotes(10, tie), rules(0.5), false)).toEqual({ accepted: false, outcome: 'CONSENSUS_NOT_REACHED' });
  const abstained = ballots(['APPROVE', 1], ['ABSTAIN', 9]);
  expect(judge(tallyVotes(10, abstained), rules(0.8, 1), false)).toEqual({ accepted: true, outcome: null });
  const few = ballots(['APPROVE', 4]);
  expect(judge(tallyVotes(10, few), rules(0.8, 0.5), false)).toBeNull();
  expect(judge(tallyVotes(10, few), rules(0.8, 0.5), true)).toEqual({
    accepted: false,
    outcome: 'COLLABORATION_TIMEOUT',
  });
  expect(judge(tallyVotes(10, few), rules(0.8, 0.4), true)).toEqual({ accepted: true, outcome: null });
  expect(judge(tallyVotes(3, ballots(['ABSTAIN', 3])), rules(0.5), false)?.accepted).toBe(false);
});

const values = ['APPROVE', 'REJECT', 'ABSTAIN'] as const;
const weight = fc.integer({ min: 1, max: 9 });
const world = fc.record({
  cast: fc.array(fc.record({ vote: fc.constantFrom(...values), weight }), { maxLength: 5 }),
  out: fc.array(weight, { maxLength: 4 }),
  threshold: fc.integer({ min: 5_000, max: 10_000 }),
  quorum: fc.integer({ min: 0, max: 10_000 }),
});

/** Every way in which those who are still out may vote, or not. */
function* endings(cast: readonly Ballot[], out: readonly number[]): Generator<readonly Ballot[]> {
  const [first, ...rest] = out;
  if (first === undefined) {
    yield cast;
    return;
  }
  yield* endings(cast, rest);
  for (const vote of values) yield* endings([...cast, { vote, weight: first }], rest);
}

test('a vote closes early exactly when no ending could be another, and never against an ending', () => {
  fc.assert(
    fc.property(world, ({ cast, out, ...shares }) => {
      fc.pre(cast.length + out.length > 0);
      const total = [...cast.map((ballot) => ballot.weight), ...out].reduce((sum, each) => sum + each, 0);
      const possible = new Set(
        [...endings(cast, out)].map((all) => judge(tallyVotes(total, all), shares, true)!.accepted),
      );
      const now = judge(tallyVotes(total, cast), shares, false);
      expect(now === null).toBe(possible.size === 2);
      if (now) expect([...possible]).toEqual([now.accepted]);
    }),
    { numRuns: 2_000 },
  );
});
