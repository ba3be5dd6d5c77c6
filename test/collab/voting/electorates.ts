import fc from 'fast-check';
import type { Ranking } from '../../../subgraphs/collab/voting/schulze.ts';

export const names = (count: number): readonly string[] => Array.from({ length: count }, (_, at) => `o${at}`);

export interface Electorate {
  readonly options: readonly string[];
  readonly rankings: readonly Ranking[];
}

/** Small electorates whose voters rank all options strictly, each with a whole weight. */
export const electorates = (most = { options: 5, voters: 9 }): fc.Arbitrary<Electorate> =>
  fc.integer({ min: 2, max: most.options }).chain((count) =>
    fc.record({
      options: fc.constant(names(count)),
      rankings: fc.array(
        fc.record({
          order: fc.shuffledSubarray([...names(count)], { minLength: count, maxLength: count }),
          weight: fc.integer({ min: 1, max: 3 }),
        }),
        { minLength: 1, maxLength: most.voters },
      ),
    }),
  );

/** By definition: weight of those that put one before the other, what is left out last. */
export function prefer(rankings: readonly Ranking[], one: string, other: string): number {
  return rankings
    .filter(({ order }) => {
      const [a, b] = [order.indexOf(one), order.indexOf(other)];
      return a >= 0 && (b < 0 || a < b);
    })
    .reduce((sum, { weight }) => sum + weight, 0);
}

const beats = ({ rankings }: Electorate, one: string, other: string) =>
  prefer(rankings, one, other) > prefer(rankings, other, one);

export function condorcetWinner(electorate: Electorate): string | null {
  const { options } = electorate;
  return options.find((one) => options.every((other) => one === other || beats(electorate, one, other))) ?? null;
}

/** Smallest set whose members beat all others: by trying every subset. */
export function smithSet(electorate: Electorate): readonly string[] {
  const { options } = electorate;
  const subsets = Array.from({ length: 2 ** options.length - 1 }, (_, at) =>
    options.filter((_option, bit) => ((at + 1) >> bit) & 1),
  );
  return subsets
    .filter((set) => set.every((one) => options.every((other) => set.includes(other) || beats(electorate, one, other))))
    .reduce((least, set) => (set.length < least.length ? set : least));
}

/** Winners by definition: strongest paths found by walking all simple ones. */
export function bruteForceWinners(electorate: Electorate): readonly string[] {
  const { options, rankings } = electorate;
  const strongest = (from: string, to: string, seen: readonly string[]): number => {
    let best = 0;
    for (const next of options) {
      if (next === from || seen.includes(next) || !beats(electorate, from, next)) continue;
      const link = prefer(rankings, from, next);
      best = Math.max(best, next === to ? link : Math.min(link, strongest(next, to, [...seen, from])));
    }
    return best;
  };
  return options.filter((one) =>
    options.every((other) => one === other || strongest(one, other, []) >= strongest(other, one, [])),
  );
}
