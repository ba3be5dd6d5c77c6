import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  closeOptions,
  countOptions,
  type OptionBallot,
  type QuorumRule,
} from '../../subgraphs/confirm/quorum/index.ts';

const options = ['x', 'y', 'z'];
const ballots = (text: string, weights: readonly number[] = []): OptionBallot[] =>
  [...text].map((letter, index) => ({
    choice: letter === '.' ? null : letter === '-' ? ('abstain' as const) : { optionId: letter },
    weight: weights[index] ?? 1,
  }));

describe('votes on options', () => {
  test.each<[QuorumRule, string, string, string | null]>([
    [{ kind: 'majority' }, 'xx..', 'open', null],
    [{ kind: 'majority' }, 'xxx.y.', 'open', null],
    [{ kind: 'majority' }, 'xxx..', 'decided', 'x'],
    [{ kind: 'majority' }, 'xxyy', 'none', null],
    [{ kind: 'majority' }, 'xxyyz.', 'none', null],
    [{ kind: 'majority' }, 'xx--', 'none', null],
    [{ kind: 'unanimous' }, 'xx.', 'open', null],
    [{ kind: 'unanimous' }, 'xx-', 'decided', 'x'],
    [{ kind: 'unanimous' }, 'xy.', 'none', null],
    [{ kind: 'unanimous' }, '---', 'none', null],
    [{ kind: 'consensus', threshold: 0.5, minimumParticipation: 0.5 }, 'xxyz', 'decided', 'x'],
    [{ kind: 'consensus', threshold: 0.5, minimumParticipation: 0.5 }, 'xxyy', 'none', null],
    [{ kind: 'consensus', threshold: 0.6, minimumParticipation: 0.5 }, 'xxyz', 'none', null],
    [{ kind: 'consensus', threshold: 0.4, minimumParticipation: 0.8 }, 'xxx..', 'open', null],
    [{ kind: 'consensus', threshold: 0.4, minimumParticipation: 0.8 }, 'xxx-.', 'decided', 'x'],
  ])('%j of %s is %s', (rule, text, outcome, winner) => {
    expect(countOptions(rule, options, ballots(text))).toMatchObject({ outcome, winner });
  });

  test('weights count in a weighted vote alone', () => {
    const share = { threshold: 0.6, minimumParticipation: 0.6 };
    expect(countOptions({ kind: 'weighted', ...share }, options, ballots('xyy', [5, 1, 1]))).toMatchObject({
      winner: 'x',
      standings: [
        { optionId: 'x', votes: 1, weight: 5, share: 5 / 7 },
        { optionId: 'y', votes: 2, weight: 2 },
        { optionId: 'z', votes: 0, share: 0 },
      ],
      participation: 1,
    });
    expect(countOptions({ kind: 'consensus', ...share }, options, ballots('xyy', [5, 1, 1])).winner).toBe('y');
  });

  const rule = fc.oneof(
    fc.record({ kind: fc.constantFrom('majority' as const, 'unanimous' as const) }),
    fc.record({
      kind: fc.constantFrom('weighted' as const, 'consensus' as const),
      threshold: fc.constantFrom(0.25, 0.34, 0.5, 0.67, 0.8, 1),
      minimumParticipation: fc.constantFrom(0, 0.5, 0.8, 1),
    }),
  );
  const voter = fc.record({
    choice: fc.constantFrom<OptionBallot['choice']>(
      { optionId: 'x' },
      { optionId: 'x' },
      { optionId: 'y' },
      { optionId: 'z' },
      'abstain',
      null,
      null,
    ),
    weight: fc.integer({ min: 1, max: 5 }),
  });

  test('closes exactly when no way of going on leads elsewhere', () => {
    fc.assert(
      fc.property(rule, fc.array(voter, { minLength: 1, maxLength: 5 }), (quorum, given) => {
        const ends = new Set(completions(given).map((all) => closeOptions(quorum, options, all)));
        const { outcome, winner } = countOptions(quorum, options, given);
        if (ends.size > 1) expect({ outcome, winner }).toEqual({ outcome: 'open', winner: null });
        else
          expect({ outcome, winner }).toEqual({
            outcome: [...ends][0] === null ? 'none' : 'decided',
            winner: [...ends][0],
          });
      }),
      { numRuns: 400 },
    );
  });

  test('what wins is what the rule asks for, worked out in whole numbers', () => {
    fc.assert(
      fc.property(
        fc.constantFrom<QuorumRule>(
          { kind: 'majority' },
          { kind: 'unanimous' },
          { kind: 'weighted', threshold: 2 / 3, minimumParticipation: 0.5 },
          { kind: 'consensus', threshold: 2 / 3, minimumParticipation: 0.5 },
        ),
        fc.array(voter, { minLength: 1, maxLength: 8 }),
        (quorum, given) => {
          const weightOf = ({ weight }: OptionBallot) => (quorum.kind === 'weighted' ? weight : 1);
          const sum = (isMeant: (ballot: OptionBallot) => boolean) =>
            given.filter(isMeant).reduce((all, ballot) => all + weightOf(ballot), 0);
          const all = sum(() => true);
          const silent = sum(({ choice }) => choice === null);
          const own = (id: string) => sum(({ choice }) => typeof choice === 'object' && choice?.optionId === id);
          const cast = options.reduce((total, id) => total + own(id), 0);
          const isWinner = (id: string) => {
            if (own(id) === 0) return false;
            if (quorum.kind === 'majority') return 2 * own(id) > all;
            if (quorum.kind === 'unanimous') return own(id) === cast && silent === 0;
            return (
              3 * own(id) >= 2 * cast &&
              2 * (all - silent) >= all &&
              options.every((other) => other === id || own(other) < own(id))
            );
          };
          expect(closeOptions(quorum, options, given)).toBe(options.find(isWinner) ?? null);
        },
      ),
      { numRuns: 400 },
    );
  });
});

/** Every way in which the silent may go on: each chooses something, abstains, or never votes. */
function completions(given: readonly OptionBallot[]): OptionBallot[][] {
  const ways = [...options.map((optionId) => ({ optionId })), 'abstain' as const, null];
  return given.reduce<OptionBallot[][]>(
    (heads, ballot) =>
      heads.flatMap((head) =>
        (ballot.choice === null ? ways : [ballot.choice]).map((choice) => [...head, { ...ballot, choice }]),
      ),
    [[]],
  );
}
