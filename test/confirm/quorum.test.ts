import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  type Ballot,
  closeBallots,
  countBallots,
  type QuorumRule,
  type Vote,
} from '../../subgraphs/confirm/quorum/index.ts';

const ballots = (text: string, weights: readonly number[] = []): Ballot[] =>
  [...text].map((letter, index) => ({
    vote: ({ a: 'approve', r: 'reject', s: 'abstain' } as Record<string, Vote>)[letter] ?? null,
    weight: weights[index] ?? 1,
    required: false,
  }));

describe('quorum', () => {
  test.each<[QuorumRule, string, string]>([
    [{ kind: 'single' }, '..', 'open'],
    [{ kind: 'single' }, 'a.', 'approved'],
    [{ kind: 'single' }, '.r', 'rejected'],
    [{ kind: 'single' }, 's.', 'open'],
    [{ kind: 'single' }, 'ss', 'rejected'],
    [{ kind: 'majority' }, 'aa..', 'open'],
    [{ kind: 'majority' }, 'aaa..', 'approved'],
    [{ kind: 'majority' }, 'aarr', 'rejected'],
    [{ kind: 'majority' }, 'rr..', 'rejected'],
    [{ kind: 'majority' }, 'ss.', 'rejected'],
    [{ kind: 'unanimous' }, 'aa.', 'open'],
    [{ kind: 'unanimous' }, 'aas', 'approved'],
    [{ kind: 'unanimous' }, 'r..', 'rejected'],
    [{ kind: 'unanimous' }, 'sss', 'rejected'],
    [{ kind: 'sequential' }, 'a.', 'open'],
    [{ kind: 'sequential' }, 'aa', 'approved'],
    [{ kind: 'at_least', required: 2 }, 'aa..', 'approved'],
    [{ kind: 'at_least', required: 2 }, 'rr.', 'rejected'],
    [{ kind: 'consensus' }, 'aaaar', 'approved'],
    [{ kind: 'consensus' }, 'aaa.r', 'open'],
    [{ kind: 'consensus' }, 'aarr.', 'rejected'],
    [{ kind: 'weighted', threshold: 0.5, minimumParticipation: 0 }, 'ar', 'rejected'],
  ])('%j of %s is %s', (rule, text, outcome) => {
    expect(countBallots(rule, ballots(text)).outcome).toBe(outcome);
  });

  test('weighted counts weights, and needs its participation before it approves', () => {
    const rule: QuorumRule = { kind: 'weighted', threshold: 0.67, minimumParticipation: 0.8 };
    expect(countBallots(rule, ballots('a..', [7, 2, 1])).outcome).toBe('open');
    expect(countBallots(rule, ballots('a.s', [7, 2, 1])).outcome).toBe('approved');
    expect(countBallots(rule, ballots('a..', [6, 3, 1])).outcome).toBe('open');
    expect(countBallots(rule, ballots('.r.', [6, 4, 1])).outcome).toBe('rejected');
    expect(closeBallots(rule, ballots('a..', [7, 2, 1]))).toBe('rejected');
  });

  test('a required voter decides against all others', () => {
    const [needed] = ballots('.');
    expect(countBallots({ kind: 'majority' }, [{ ...needed!, required: true }, ...ballots('aaa')]).outcome).toBe(
      'open',
    );
    expect(
      countBallots({ kind: 'at_least' }, [{ ...needed!, required: true, vote: 'reject' }, ...ballots('a.')]).outcome,
    ).toBe('rejected');
  });

  test('closes early exactly when no way of going on leads elsewhere', () => {
    const rule = fc.oneof(
      fc.record({ kind: fc.constantFrom('majority' as const, 'unanimous' as const, 'sequential' as const) }),
      fc.record({ kind: fc.constant('at_least' as const), required: fc.integer({ min: 1, max: 4 }) }),
      fc.record({
        kind: fc.constantFrom('weighted' as const, 'consensus' as const),
        threshold: fc.constantFrom(0.25, 0.5, 0.67, 0.8, 1),
        minimumParticipation: fc.constantFrom(0, 0.5, 0.8, 1),
      }),
    );
    const voter = fc.record({
      vote: fc.constantFrom<Vote | null>('approve', 'reject', 'abstain', null, null),
      weight: fc.integer({ min: 1, max: 5 }),
      required: fc.boolean(),
    });
    fc.assert(
      fc.property(rule, fc.array(voter, { minLength: 1, maxLength: 6 }), (quorum, given) => {
        const ends = new Set(completions(given).map((all) => closeBallots(quorum, all)));
        const { outcome } = countBallots(quorum, given);
        expect(outcome).toBe(ends.size === 1 ? [...ends][0] : 'open');
      }),
      { numRuns: 400 },
    );
  });
});

/** Every way in which the silent may go on: each decides somehow, or never does. */
function completions(given: readonly Ballot[]): Ballot[][] {
  return given.reduce<Ballot[][]>(
    (heads, ballot) =>
      heads.flatMap((head) =>
        (ballot.vote === null ? (['approve', 'reject', 'abstain', null] as const) : [ballot.vote]).map((vote) => [
          ...head,
          { ...ballot, vote },
        ]),
      ),
    [[]],
  );
}
