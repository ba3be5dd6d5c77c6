import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Ranking, schulze } from '../../../subgraphs/collab/voting/schulze.ts';
import { bruteForceWinners, condorcetWinner, electorates, smithSet } from './electorates.ts';

const winners = (options: readonly string[], rankings: readonly Ranking[]) => [...schulze(options, rankings).winners];

describe('Schulze', () => {
  test('the example of Schulze 2011, section 3.1: 45 voters, E before A, C, B, D', () => {
    const groups: readonly (readonly [number, string])[] = [
      [5, 'ACBED'],
      [5, 'ADECB'],
      [8, 'BEDAC'],
      [3, 'CABED'],
      [7, 'CAEBD'],
      [2, 'CBADE'],
      [7, 'DCEBA'],
      [8, 'EBADC'],
    ];
    const rankings = groups.map(([weight, order]) => ({ weight, order: [...order] }));
    expect(schulze([...'ABCDE'], rankings).order).toEqual([['E'], ['A'], ['C'], ['B'], ['D']]);
  });

  test('equals the definition over all simple paths', () => {
    fc.assert(
      fc.property(electorates(), (electorate) => {
        expect(winners(electorate.options, electorate.rankings).sort()).toEqual(
          [...bruteForceWinners(electorate)].sort(),
        );
      }),
      { numRuns: 300 },
    );
  });

  test('a Condorcet winner is the only winner', () => {
    fc.assert(
      fc.property(electorates(), (electorate) => {
        const best = condorcetWinner(electorate);
        fc.pre(best !== null);
        expect(winners(electorate.options, electorate.rankings)).toEqual([best]);
      }),
      { numRuns: 300 },
    );
  });

  test('winners lie in the Smith set', () => {
    fc.assert(
      fc.property(electorates(), (electorate) => {
        const smith = smithSet(electorate);
        for (const winner of winners(electorate.options, electorate.rankings)) expect(smith).toContain(winner);
      }),
      { numRuns: 300 },
    );
  });

  test('raising a winner never makes it lose (monotonicity)', () => {
    fc.assert(
      fc.property(electorates(), fc.nat(), fc.nat(), fc.nat(), (electorate, which, voter, steps) => {
        const { options, rankings } = electorate;
        const before = winners(options, rankings);
        const winner = before[which % before.length]!;
        const at = voter % rankings.length;
        const order = rankings[at]!.order.filter((option) => option !== winner);
        const from = rankings[at]!.order.indexOf(winner);
        order.splice(Math.max(0, from - (steps % (from + 1))), 0, winner);
        const raised = rankings.map((ranking, index) => (index === at ? { ...ranking, order } : ranking));
        expect(winners(options, raised)).toContain(winner);
      }),
      { numRuns: 300 },
    );
  });

  test('a single winner does not win when all votes are turned round (reversal symmetry)', () => {
    fc.assert(
      fc.property(electorates(), ({ options, rankings }) => {
        const before = winners(options, rankings);
        fc.pre(before.length === 1);
        const reversed = rankings.map(({ order, weight }) => ({ weight, order: [...order].reverse() }));
        expect(winners(options, reversed)).not.toContain(before[0]);
      }),
      { numRuns: 300 },
    );
  });

  test('a clone changes nothing for the others (independence of clones)', () => {
    fc.assert(
      fc.property(
        electorates({ options: 4, voters: 7 }),
        fc.nat(),
        fc.array(fc.boolean(), { minLength: 7, maxLength: 7 }),
        ({ options, rankings }, which, before) => {
          const original = options[which % options.length]!;
          const cloned = rankings.map(({ order, weight }, at) => ({
            weight,
            order: order.flatMap((option) =>
              option !== original ? [option] : before[at] ? ['clone', original] : [original, 'clone'],
            ),
          }));
          const [old, now] = [winners(options, rankings), winners([...options, 'clone'], cloned)];
          const isKin = (option: string) => option === original || option === 'clone';
          expect(now.filter((option) => !isKin(option)).sort()).toEqual(old.filter((option) => !isKin(option)).sort());
          expect(now.some(isKin)).toBe(old.includes(original));
        },
      ),
      { numRuns: 300 },
    );
  });

  test('names, order of voters and a common factor of the weights do not matter', () => {
    fc.assert(
      fc.property(electorates(), fc.integer({ min: 2, max: 9 }), ({ options, rankings }, factor) => {
        const rename = (option: string) => `x${options.length - options.indexOf(option)}`;
        const changed = [...rankings]
          .reverse()
          .map(({ order, weight }) => ({ weight: weight * factor, order: order.map(rename) }));
        expect(winners(options.map(rename), changed).sort()).toEqual(winners(options, rankings).map(rename).sort());
      }),
    );
  });

  test('options that are left out stand last together', () => {
    expect(schulze(['a', 'b', 'c'], [{ order: ['b'], weight: 1 }]).order).toEqual([['b'], ['a', 'c']]);
    expect(schulze(['a', 'b'], []).winners).toEqual(['a', 'b']);
  });
});
