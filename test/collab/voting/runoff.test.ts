import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { countVoices } from '../../../subgraphs/collab/voting/delegation.ts';
import { votingRules } from '../../../subgraphs/collab/voting/rules.ts';
import { instantRunoff } from '../../../subgraphs/collab/voting/runoff.ts';
import { tally } from '../../../subgraphs/collab/voting/tally.ts';
import { type Electorate, electorates, prefer } from './electorates.ts';

const voiced = ({ rankings }: Pick<Electorate, 'rankings'>) => rankings.map((ranking) => ({ ...ranking, voices: 1 }));
const winnersOf = (electorate: Electorate) => [...instantRunoff(electorate.options, voiced(electorate)).winners];

/** Electorates whose voters may leave options out. */
const shortened = electorates({ options: 5, voters: 8 }).chain((electorate) =>
  fc
    .array(fc.integer({ min: 1, max: 5 }), {
      minLength: electorate.rankings.length,
      maxLength: electorate.rankings.length,
    })
    .map((lengths) => ({
      ...electorate,
      rankings: electorate.rankings.map((ranking, at) => ({ ...ranking, order: ranking.order.slice(0, lengths[at]) })),
    })),
);

/** By definition: one option after the other goes, each time one with the least, in every order, until one is left. */
function bruteForce({ options, rankings }: Electorate): ReadonlySet<string> {
  if (options.length === 1) return new Set(options);
  const support = (option: string) =>
    rankings
      .filter(({ order }) => order.find((one) => options.includes(one)) === option)
      .reduce((sum, { weight }) => sum + weight, 0);
  const least = Math.min(...options.map(support));
  const ways = options
    .filter((option) => support(option) === least)
    .map((out) => bruteForce({ options: options.filter((option) => option !== out), rankings }));
  return new Set(ways.flatMap((way) => [...way]));
}

describe('instant runoff', () => {
  test('the capital of Tennessee: Memphis leads, Knoxville wins', () => {
    const groups: readonly (readonly [number, string])[] = [
      [42, 'MNCK'],
      [26, 'NCKM'],
      [15, 'CKNM'],
      [17, 'KCNM'],
    ];
    const ballots = groups.map(([weight, order]) => ({ weight, voices: weight, order: [...order] }));
    const { winners, rounds, order } = instantRunoff([...'MNCK'], ballots);
    expect(winners).toEqual(['K']);
    expect(rounds).toEqual([
      {
        supports: [
          { option: 'M', support: 42, voices: 42 },
          { option: 'N', support: 26, voices: 26 },
          { option: 'K', support: 17, voices: 17 },
          { option: 'C', support: 15, voices: 15 },
        ],
        exhausted: 0,
        eliminated: ['C'],
      },
      {
        supports: [
          { option: 'M', support: 42, voices: 42 },
          { option: 'K', support: 32, voices: 32 },
          { option: 'N', support: 26, voices: 26 },
        ],
        exhausted: 0,
        eliminated: ['N'],
      },
      {
        supports: [
          { option: 'K', support: 58, voices: 58 },
          { option: 'M', support: 42, voices: 42 },
        ],
        exhausted: 0,
        eliminated: [],
      },
    ]);
    expect(order).toEqual([['K'], ['M'], ['N'], ['C']]);
  });

  test.each([
    ['all options ranked', electorates()],
    ['options left out', shortened],
  ] as const)('equals the definition over all orders of elimination: %s', (_name, arbitrary) => {
    fc.assert(
      fc.property(arbitrary, (electorate) => {
        expect(winnersOf(electorate).sort()).toEqual([...bruteForce(electorate)].sort());
      }),
      { numRuns: 500 },
    );
  });

  test('whoever more than half put first wins; who loses against everybody never does', () => {
    fc.assert(
      fc.property(electorates(), (electorate) => {
        const { options, rankings } = electorate;
        const all = rankings.reduce((sum, { weight }) => sum + weight, 0);
        const winners = winnersOf(electorate);
        for (const option of options) {
          const firsts = rankings.reduce((sum, { order, weight }) => sum + (order[0] === option ? weight : 0), 0);
          if (2 * firsts > all) expect(winners).toEqual([option]);
          const loses = options.every(
            (other) => other === option || prefer(rankings, other, option) > prefer(rankings, option, other),
          );
          if (loses) expect(winners).not.toContain(option);
        }
      }),
      { numRuns: 300 },
    );
  });

  test('neither the order of voters nor that of the options decides', () => {
    fc.assert(
      fc.property(shortened, (electorate) => {
        const turned = {
          options: [...electorate.options].reverse(),
          rankings: [...electorate.rankings].reverse(),
        };
        expect(winnersOf(turned).sort()).toEqual(winnersOf(electorate).sort());
      }),
      { numRuns: 300 },
    );
  });

  test('a copy of an option that everybody ranks beside it takes nothing from anybody', () => {
    fc.assert(
      fc.property(electorates({ options: 4, voters: 8 }), fc.nat(), (electorate, which) => {
        const original = electorate.options[which % electorate.options.length]!;
        const doubled = {
          options: [...electorate.options, 'copy'],
          rankings: electorate.rankings.map((ranking) => ({
            ...ranking,
            order: ranking.order.flatMap((option) => (option === original ? [option, 'copy'] : [option])),
          })),
        };
        const before = winnersOf(electorate);
        fc.pre(before.length === 1);
        const after = winnersOf(doubled).map((option) => (option === 'copy' ? original : option));
        expect([...new Set(after)]).toEqual(before);
      }),
      { numRuns: 300 },
    );
  });

  test('every ballot counts in every round, and who goes has least', () => {
    fc.assert(
      fc.property(shortened, ({ options, rankings }) => {
        const all = rankings.reduce((sum, { weight }) => sum + weight, 0);
        const { rounds, order } = instantRunoff(options, voiced({ rankings }));
        let standing = [...options];
        for (const { supports, exhausted, eliminated } of rounds) {
          expect(supports.map(({ option }) => option).sort()).toEqual([...standing].sort());
          expect(supports.reduce((sum, { support }) => sum + support, exhausted)).toBe(all);
          const stays = supports.filter(({ option }) => !eliminated.includes(option));
          for (const { option, support } of supports)
            if (eliminated.includes(option))
              for (const one of stays) expect(one.support).toBeGreaterThanOrEqual(support);
          standing = standing.filter((option) => !eliminated.includes(option));
        }
        expect(order.flat().sort()).toEqual([...options].sort());
      }),
      { numRuns: 300 },
    );
  });

  test('many options that tie all the way are counted all the same', () => {
    const options = Array.from({ length: 24 }, (_, at) => `o${at}`);
    const ballots = options.map((_option, at) => ({
      order: [...options.slice(at), ...options.slice(0, at)],
      weight: 1,
      voices: 1,
    }));
    const { winners } = instantRunoff(options, ballots);
    expect(winners.length).toBeGreaterThan(1);
    expect(options).toEqual(expect.arrayContaining([...winners]));
  });

  test('as a vote: weights, abstentions, ties and the status quo', () => {
    const options = ['a', 'b', 'c'].map((id) => ({ id, isStatusQuo: id === 'c' }));
    const voters = [3, 2, 2, 1].map((weight, at) => ({ id: `v${at}`, weight }));
    const count = (orders: readonly (string | null)[], more: object = {}) =>
      tally({
        options,
        electorate: voters,
        votes: countVoices(
          voters,
          orders.flatMap((order, at) =>
            order === null
              ? []
              : [
                  {
                    voter: `v${at}`,
                    vote:
                      order === '' ? ({ kind: 'abstain' } as const) : ({ kind: 'ranking', order: [...order] } as const),
                  },
                ],
          ),
          new Map(),
        ),
        rules: votingRules({ method: 'instant_runoff', tieBreaks: [], ...more }),
        coordinator: 'v3',
        isOver: true,
      });
    // One voice each: b goes, and its voter prefers c.
    expect(count(['a', 'bc', 'c', 'c'])).toMatchObject({ outcome: 'rejected', winner: 'c', consensusLevel: 0.75 });
    // By weight: c with 3 of 8 goes into the last round with a; nobody prefers a second.
    expect(count(['a', 'ba', 'c', 'c'], { isWeighted: true })).toMatchObject({
      outcome: 'adopted',
      winner: 'a',
      consensusLevel: 5 / 8,
    });
    expect(count(['a', 'a', '', ''])).toMatchObject({ winner: 'a', heard: 4, abstained: 2, consensusLevel: 1 });
    expect(count(['a', null, null, null])).toMatchObject({ outcome: 'no_quorum', winner: null });
    expect(count(['a', 'a', 'b', 'b'])).toMatchObject({ outcome: 'tie', tied: ['a', 'b'], winner: null });
    expect(count(['a', 'a', 'b', 'b'], { tieBreaks: ['coordinator'] })).toMatchObject({
      winner: 'b',
      tieBrokenBy: 'coordinator',
    });
    expect(count(['', '', '', ''])).toMatchObject({ outcome: 'no_majority', winner: null });
  });
});
