import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { bargain } from '../../../subgraphs/collab/conflict/bargain.ts';
import { type Claim, fairShares, sharesByPriority, timeSlices } from '../../../subgraphs/collab/conflict/fairShare.ts';
import { overloads } from '../../../subgraphs/collab/conflict/overSubscription.ts';

const claims: fc.Arbitrary<readonly Claim[]> = fc
  .array(
    fc.record({
      amount: fc.integer({ min: 0, max: 20 }),
      weight: fc.integer({ min: 1, max: 4 }),
      priority: fc.integer({ min: 0, max: 2 }),
    }),
    { minLength: 1, maxLength: 6 },
  )
  .map((list) => list.map((claim, at) => ({ ...claim, id: `c${at}` })));
const capacities = fc.integer({ min: 0, max: 40 });
const total = (shares: ReadonlyMap<string, number>) => [...shares.values()].reduce((sum, share) => sum + share, 0);

describe('shares of a resource', () => {
  test.each([
    ['fair', fairShares],
    ['by priority', sharesByPriority],
  ] as const)('%s: never above capacity or claim, and nothing is left while somebody lacks', (_, divide) => {
    fc.assert(
      fc.property(claims, capacities, (list, capacity) => {
        const shares = divide(list, capacity);
        const asked = list.reduce((sum, { amount }) => sum + amount, 0);
        for (const { id, amount } of list) {
          expect(shares.get(id)!).toBeGreaterThanOrEqual(0);
          expect(shares.get(id)!).toBeLessThanOrEqual(amount + 1e-9);
        }
        expect(total(shares)).toBeCloseTo(Math.min(asked, capacity), 9);
      }),
      { numRuns: 300 },
    );
  });

  test('max-min: nobody can get more without taking it from one who has no more for its weight', () => {
    fc.assert(
      fc.property(claims, capacities, (list, capacity) => {
        const shares = fairShares(list, capacity);
        const level = ({ id, weight }: Claim) => shares.get(id)! / weight;
        for (const one of list)
          if (shares.get(one.id)! < one.amount - 1e-9)
            for (const other of list) expect(level(other)).toBeLessThanOrEqual(level(one) + 1e-9);
      }),
      { numRuns: 300 },
    );
  });

  test('no envy among equals; who asks for more never gets less', () => {
    fc.assert(
      fc.property(claims, capacities, fc.integer({ min: 1, max: 9 }), (list, capacity, more) => {
        const shares = fairShares(list, capacity);
        for (const one of list)
          for (const other of list)
            if (one.weight === other.weight)
              expect(Math.min(one.amount, shares.get(other.id)!)).toBeLessThanOrEqual(shares.get(one.id)! + 1e-9);
        const [first, ...rest] = list;
        const greedy = fairShares([{ ...first!, amount: first!.amount + more }, ...rest], capacity);
        expect(greedy.get('c0')!).toBeGreaterThanOrEqual(shares.get('c0')! - 1e-9);
      }),
    );
  });

  test('fair shares have the greatest weighted product of all ways to divide (Nash)', () => {
    fc.assert(
      fc.property(
        claims,
        fc.integer({ min: 1, max: 40 }),
        fc.array(fc.double({ min: 0.01, max: 1, noNaN: true }), { minLength: 6, maxLength: 6 }),
        (given, capacity, parts) => {
          const list = given.filter(({ amount }) => amount > 0);
          fc.pre(list.length > 0);
          const product = (shares: readonly number[]) =>
            list.reduce((sum, { weight }, at) => sum + weight * Math.log(shares[at]!), 0);
          const shares = fairShares(list, capacity);
          const sum = list.reduce((all, _claim, at) => all + parts[at]!, 0);
          const other = list.map(({ amount }, at) => Math.min(amount, (capacity * parts[at]!) / sum));
          expect(product(other)).toBeLessThanOrEqual(product(list.map(({ id }) => shares.get(id)!)) + 1e-9);
        },
      ),
      { numRuns: 300 },
    );
  });

  test('by priority: a lower one gets something only when all higher ones have theirs', () => {
    fc.assert(
      fc.property(claims, capacities, (list, capacity) => {
        const shares = sharesByPriority(list, capacity);
        for (const low of list)
          for (const high of list)
            if (high.priority > low.priority && shares.get(low.id)! > 1e-9)
              expect(shares.get(high.id)!).toBeCloseTo(high.amount, 9);
      }),
    );
  });

  test('time slices: the whole time, one after the other, never above capacity, in proportion to the weights', () => {
    fc.assert(
      fc.property(claims, fc.integer({ min: 1, max: 20 }), (given, capacity) => {
        const list = given.filter(({ amount }) => amount > 0);
        const slices = timeSlices(given, { capacity, start: 10, end: 50 });
        expect(overloads(slices, capacity)).toEqual([]);
        expect(slices.map(({ id }) => id).sort()).toEqual(list.map(({ id }) => id).sort());
        if (slices.length > 0) expect([slices[0]!.start, slices.at(-1)!.end]).toEqual([10, 50]);
        const weights = list.reduce((sum, { weight }) => sum + weight, 0);
        for (const { id, start, end } of slices)
          expect(end - start).toBeCloseTo((40 * list.find((claim) => claim.id === id)!.weight) / weights, 9);
      }),
    );
  });
});

describe('bargaining over proposals', () => {
  const games = fc.integer({ min: 2, max: 3 }).chain((parties) =>
    fc.record({
      proposals: fc
        .array(fc.array(fc.integer({ min: 0, max: 10 }), { minLength: parties, maxLength: parties }), {
          minLength: 1,
          maxLength: 6,
        })
        .map((list) => list.map((utilities, at) => ({ id: `p${at}`, utilities }))),
      disagreement: fc.array(fc.integer({ min: 0, max: 4 }), { minLength: parties, maxLength: parties }),
    }),
  );

  test('nobody loses, and nothing is better for all (individual rationality, Pareto)', () => {
    fc.assert(
      fc.property(games, ({ proposals, disagreement }) => {
        const found = bargain(proposals, disagreement);
        const open = proposals.filter(({ utilities }) =>
          utilities.every((utility, party) => utility >= disagreement[party]!),
        );
        expect(found === null).toBe(open.length === 0);
        if (found === null) return;
        expect(open).toContain(found);
        for (const other of open)
          expect(other.utilities.every((utility, party) => utility > found.utilities[party]!)).toBe(false);
      }),
      { numRuns: 300 },
    );
  });

  test('scales do not matter, nor proposals that would not have won', () => {
    fc.assert(
      fc.property(games, fc.integer({ min: 2, max: 9 }), ({ proposals, disagreement }, factor) => {
        const found = bargain(proposals, disagreement);
        const scaled = bargain(
          proposals.map(({ id, utilities }) => ({
            id,
            utilities: utilities.map((utility, party) => (party === 0 ? factor * utility + 3 : utility)),
          })),
          disagreement.map((utility, party) => (party === 0 ? factor * utility + 3 : utility)),
        );
        expect(scaled?.id).toBe(found?.id);
        if (found !== null)
          expect(
            bargain(
              proposals.filter((one, at) => one === found || at % 2 === 0),
              disagreement,
            )?.id,
          ).toBe(found.id);
      }),
      { numRuns: 300 },
    );
  });

  test('what is even is preferred to what is not', () => {
    expect(
      bargain(
        [
          { id: 'uneven', utilities: [9, 1] },
          { id: 'even', utilities: [5, 5] },
        ],
        [0, 0],
      )?.id,
    ).toBe('even');
  });
});
