import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { CastVote, Vote, Voter } from '../../../subgraphs/collab/voting/ballot.ts';
import { isCertain } from '../../../subgraphs/collab/voting/certainty.ts';
import { countVoices } from '../../../subgraphs/collab/voting/delegation.ts';
import { byzantineQuorum, type VotingRules, votingRules } from '../../../subgraphs/collab/voting/rules.ts';
import { type Election, tally } from '../../../subgraphs/collab/voting/tally.ts';

const optionIds = ['a', 'b', 'c'];
const options = optionIds.map((id) => ({ id, isStatusQuo: false }));
const choose = (option: string): Vote => ({ kind: 'choice', option });
const nothing: Vote = { kind: 'abstain' };

function election(voters: readonly Voter[], votes: readonly CastVote[], rules: VotingRules, isOver = true): Election {
  return {
    options,
    electorate: voters,
    votes: countVoices(voters, votes, new Map()),
    rules,
    coordinator: null,
    isOver,
  };
}

const votersOf = (weights: readonly number[]): readonly Voter[] =>
  weights.map((weight, at) => ({ id: `v${at}`, weight }));
const castBy = (voters: readonly Voter[], votes: readonly (Vote | null)[]): readonly CastVote[] =>
  votes.flatMap((vote, at) => (vote === null ? [] : [{ voter: voters[at]!.id, vote }]));

const aChoice: fc.Arbitrary<Vote> = fc.constantFrom<Vote>(...optionIds.map(choose), nothing);
const approvals: fc.Arbitrary<Vote> = fc.oneof(
  fc.subarray([...optionIds]).map((chosen): Vote => ({ kind: 'approvals', options: chosen })),
  fc.constant(nothing),
);
const maybe = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: null });
const weights = (size: number) => fc.array(fc.integer({ min: 1, max: 4 }), { minLength: size, maxLength: size });

describe('rules against their definitions in whole numbers', () => {
  const five = fc.record({ weights: weights(5), votes: fc.array(maybe(aChoice), { minLength: 5, maxLength: 5 }) });

  test.each(['majority', 'weighted', 'consensus'] as const)('%s', (method) => {
    fc.assert(
      fc.property(five, fc.boolean(), ({ weights: given, votes }, isOver) => {
        const voters = votersOf(given);
        const rules = votingRules({ method, tieBreaks: [] });
        const result = tally(election(voters, castBy(voters, votes), rules, isOver));
        const heard = votes.filter((vote) => vote !== null).length;
        const weightAt = (at: number) => (method === 'weighted' ? given[at]! : 1);
        const sumOf = (test_: (vote: Vote) => boolean) =>
          votes.reduce((sum, vote, at) => sum + (vote !== null && test_(vote) ? weightAt(at) : 0), 0);
        const cast = sumOf(({ kind }) => kind === 'choice');
        const forOption = (id: string) => sumOf((vote) => vote.kind === 'choice' && vote.option === id);
        const reaches = (id: string) =>
          method === 'consensus'
            ? (cast > 0 && 5 * forOption(id) >= 4 * cast) || (isOver && 2 * forOption(id) > cast)
            : 2 * forOption(id) > cast;
        const winner = optionIds.find(reaches) ?? null;
        expect(result.quorumMet).toBe(heard >= 3);
        expect(result.winner).toBe(heard >= 3 ? winner : null);
        expect(result.turnout).toBeCloseTo(heard / 5, 12);
        if (heard < 3) expect(result.outcome).toBe('no_quorum');
        else if (winner !== null) expect(result.outcome).toBe('adopted');
        else expect(['no_majority', 'tie']).toContain(result.outcome);
      }),
      { numRuns: 300 },
    );
  });

  test('approval: the most approved, by 60 % at least', () => {
    fc.assert(
      fc.property(fc.array(maybe(approvals), { minLength: 5, maxLength: 5 }), (votes) => {
        const voters = votersOf([1, 1, 1, 1, 1]);
        const result = tally(
          election(voters, castBy(voters, votes), votingRules({ method: 'approval', tieBreaks: [] })),
        );
        const cast = votes.filter((vote) => vote?.kind === 'approvals');
        const counts = optionIds.map(
          (id) => cast.filter((vote) => vote?.kind === 'approvals' && vote.options.includes(id)).length,
        );
        const most = Math.max(...counts);
        const best = optionIds.filter((_id, at) => counts[at] === most);
        const isEnough = most > 0 && 5 * most >= 3 * cast.length && votes.filter((vote) => vote !== null).length >= 3;
        expect(result.winner).toBe(isEnough && best.length === 1 ? best[0] : null);
        if (isEnough && best.length > 1) expect([result.outcome, [...result.tied].sort()]).toEqual(['tie', best]);
      }),
      { numRuns: 300 },
    );
  });

  test('a Byzantine quorum: two certificates always share more than f voters', () => {
    for (let voters = 4; voters <= 100; voters += 1) {
      const faulty = Math.floor((voters - 1) / 3);
      const quorum = byzantineQuorum(voters);
      if (voters % 3 === 1) expect(2 * quorum - voters).toBeGreaterThan(faulty);
      expect(quorum).toBeLessThanOrEqual(voters - faulty);
    }
    const voters = votersOf([1, 1, 1, 1]);
    const rules = votingRules({ method: 'byzantine_quorum' });
    expect(
      tally(
        election(voters, castBy(voters, [choose('a'), choose('a'), null, null]), {
          ...rules,
          quorum: { minimum: 1, fraction: 0 },
        }),
      ).winner,
    ).toBeNull();
    expect(tally(election(voters, castBy(voters, [choose('a'), choose('a'), choose('a'), null]), rules)).winner).toBe(
      'a',
    );
  });
});

describe('properties', () => {
  const rankings: fc.Arbitrary<Vote> = fc.oneof(
    fc.shuffledSubarray([...optionIds], { minLength: 1 }).map((order): Vote => ({ kind: 'ranking', order })),
    fc.constant(nothing),
  );
  const aVote = {
    majority: aChoice,
    weighted: aChoice,
    consensus: aChoice,
    approval: approvals,
    instant_runoff: rankings,
  } as const;
  const methods = ['majority', 'weighted', 'consensus', 'approval', 'instant_runoff'] as const;

  test.each(methods)('%s: who is who does not matter, nor what the options are called', (method) => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.integer({ min: 1, max: 4 }), aVote[method]), { minLength: 3, maxLength: 6 }),
        (people) => {
          const rules = votingRules({ method, tieBreaks: [] });
          const run = (list: readonly (readonly [number, Vote])[]) => {
            const voters = votersOf(list.map(([weight]) => weight));
            return tally(
              election(
                voters,
                castBy(
                  voters,
                  list.map(([, vote]) => vote),
                ),
                rules,
              ),
            );
          };
          const turn: Readonly<Record<string, string>> = { a: 'b', b: 'c', c: 'a' };
          const turned = people.map(([weight, vote]): readonly [number, Vote] => [
            weight,
            vote.kind === 'choice'
              ? choose(turn[vote.option]!)
              : vote.kind === 'approvals'
                ? { kind: 'approvals', options: vote.options.map((option) => turn[option]!) }
                : vote.kind === 'ranking'
                  ? { kind: 'ranking', order: vote.order.map((option) => turn[option]!) }
                  : vote,
          ]);
          const [one, reversed, renamed] = [run(people), run([...people].reverse()), run(turned)];
          expect([reversed.outcome, reversed.winner]).toEqual([one.outcome, one.winner]);
          expect(renamed.winner).toBe(one.winner === null ? null : turn[one.winner]);
        },
      ),
    );
  });

  test('weighted: only the ratio of the weights counts, tenths that sum to one included', () => {
    fc.assert(
      fc.property(weights(10), fc.array(aChoice, { minLength: 10, maxLength: 10 }), (given, votes) => {
        const rules = votingRules({ method: 'weighted', tieBreaks: [] });
        const total = given.reduce((sum, weight) => sum + weight, 0);
        const outcomes = [1, 1 / total, 7.3].map((factor) => {
          const voters = votersOf(given.map((weight) => weight * factor));
          const { outcome, winner } = tally(election(voters, castBy(voters, votes), rules));
          return [outcome, winner];
        });
        expect(outcomes[1]).toEqual(outcomes[0]);
        expect(outcomes[2]).toEqual(outcomes[0]);
      }),
      { numRuns: 300 },
    );
    const tenths = votersOf(Array.from({ length: 10 }, () => 0.1));
    const halves = Array.from({ length: 10 }, (_, at) => choose(at < 5 ? 'a' : 'b'));
    expect(tally(election(tenths, castBy(tenths, halves), votingRules({ method: 'weighted' }))).winner).toBeNull();
  });

  test.each(['majority', 'weighted', 'consensus'] as const)(
    '%s: a vote that turns to the winner keeps it',
    (method) => {
      fc.assert(
        fc.property(weights(5), fc.array(aChoice, { minLength: 5, maxLength: 5 }), fc.nat(4), (given, votes, who) => {
          const voters = votersOf(given);
          const rules = votingRules({ method, tieBreaks: [] });
          const { winner } = tally(election(voters, castBy(voters, votes), rules));
          fc.pre(winner !== null);
          const turned = votes.map((vote, at) => (at === who ? choose(winner!) : vote));
          expect(tally(election(voters, castBy(voters, turned), rules)).winner).toBe(winner);
        }),
        { numRuns: 300 },
      );
    },
  );

  test.each(methods)('%s: what is certain early is what comes out, whatever is still cast', (method) => {
    const everything: readonly Vote[] =
      method === 'approval'
        ? [[], ['a'], ['b'], ['a', 'b', 'c']].map((chosen): Vote => ({ kind: 'approvals', options: chosen }))
        : method === 'instant_runoff'
          ? ['a', 'b', 'c', 'ab', 'ba', 'ca', 'cb'].map((order): Vote => ({ kind: 'ranking', order: [...order] }))
          : [choose('a'), choose('b'), choose('c'), nothing];
    let certain = 0;
    fc.assert(
      fc.property(weights(5), fc.array(maybe(aVote[method]), { minLength: 5, maxLength: 5 }), (given, votes) => {
        const voters = votersOf(given);
        // By four fifths five voters are seldom sure before the last one.
        const lower = method === 'consensus' ? { threshold: 0.6 } : {};
        const rules = votingRules({ method, tieBreaks: ['earliest'], fallback: 'majority', ...lower });
        const now = election(voters, castBy(voters, votes), rules, false);
        const early = tally(now);
        fc.pre(isCertain(now, early) && early.heard < 5);
        certain += 1;
        const missing = votes.flatMap((vote, at) => (vote === null ? [at] : []));
        const choices = [null, ...everything];
        for (let code = 0; code < choices.length ** missing.length; code += 1) {
          const full = votes.map((vote, at) => {
            const place = missing.indexOf(at);
            return place < 0 ? vote : choices[Math.floor(code / choices.length ** place) % choices.length]!;
          });
          const { winner } = tally(election(voters, castBy(voters, full), rules, true));
          expect(winner).toBe(early.winner);
        }
      }),
      { numRuns: 100, maxSkipsPerRun: 1_000 },
    );
    expect(certain).toBeGreaterThan(10);
  });
});

describe('ties, status quo, coordinator', () => {
  const voters = votersOf([1, 1, 1, 1]);
  const halves = castBy(voters, [choose('b'), choose('b'), choose('c'), choose('c')]);
  const base = election(voters, halves, votingRules({ method: 'majority' }));

  test('the chain: status quo, then the coordinator, then the earliest', () => {
    const quo = options.map((option) => ({ ...option, isStatusQuo: option.id === 'c' }));
    const run = (more: Partial<Election>) => {
      const { outcome, winner, tieBrokenBy } = tally({ ...base, ...more });
      return [outcome, winner, tieBrokenBy];
    };
    expect(run({ options: quo })).toEqual(['rejected', 'c', 'status_quo']);
    expect(run({ coordinator: 'v3' })).toEqual(['adopted', 'c', 'coordinator']);
    expect(run({})).toEqual(['adopted', 'b', 'earliest']);
    expect(run({ rules: votingRules({ method: 'majority', tieBreaks: ['status_quo'] }) })).toEqual(['tie', null, null]);
  });

  test('the coordinator alone decides by that method, the others advise', () => {
    const rules = votingRules({ method: 'coordinator', quorum: { minimum: 1, fraction: 0 } });
    expect(tally({ ...base, rules, coordinator: 'v2' }).winner).toBe('c');
    expect(tally({ ...base, rules, coordinator: 'v9' })).toMatchObject({ winner: null, outcome: 'no_majority' });
  });

  test('consensus level, agreement and confidence', () => {
    const votes = castBy(voters, [choose('a'), choose('a'), choose('a'), null]);
    const result = tally(election(voters, votes, votingRules({ method: 'majority' })));
    expect(result).toMatchObject({ consensusLevel: 1, agreement: 1, turnout: 0.75, confidence: 0.75 });
    expect(tally(base).agreement).toBeCloseTo(1 - Math.log(2) / Math.log(3), 12);
  });
});
