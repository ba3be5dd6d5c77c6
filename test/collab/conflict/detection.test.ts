import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { cyclicWaits } from '../../../subgraphs/collab/conflict/cyclicWaits.ts';
import { contradictions } from '../../../subgraphs/collab/conflict/objectives.ts';
import { overloads } from '../../../subgraphs/collab/conflict/overSubscription.ts';

describe('over-subscription', () => {
  const intervals = fc
    .array(
      fc.record({
        start: fc.integer({ min: 0, max: 12 }),
        length: fc.integer({ min: 0, max: 6 }),
        amount: fc.integer({ min: 0, max: 4 }),
      }),
      { maxLength: 8 },
    )
    .map((list) => list.map(({ start, length, amount }, at) => ({ id: `i${at}`, start, end: start + length, amount })));

  test('is what a look at every instant finds', () => {
    fc.assert(
      fc.property(intervals, fc.integer({ min: 1, max: 8 }), (list, capacity) => {
        const at = (instant: number) =>
          list.filter(({ start, end, amount }) => amount > 0 && start <= instant && instant < end);
        const taken = (instant: number) => at(instant).reduce((sum, { amount }) => sum + amount, 0);
        const found = overloads(list, capacity);
        for (let instant = 0; instant < 20; instant += 1) {
          const inside = found.filter(({ start, end }) => start <= instant && instant < end);
          expect(inside.length).toBe(Number(taken(instant) > capacity));
          for (const { id } of taken(instant) > capacity ? at(instant) : []) expect(inside[0]!.ids).toContain(id);
        }
        for (const { start, end, peak } of found)
          expect(peak).toBe(Math.max(...Array.from({ length: end - start }, (_, step) => taken(start + step))));
      }),
      { numRuns: 300 },
    );
  });
});

describe('circular waits', () => {
  const edges = fc.array(fc.record({ from: fc.integer({ min: 0, max: 5 }), to: fc.integer({ min: 0, max: 5 }) }), {
    maxLength: 12,
  });

  test('are the groups whose members reach each other', () => {
    fc.assert(
      fc.property(edges, (list) => {
        const reach = Array.from({ length: 6 }, (_, from) =>
          Array.from({ length: 6 }, (_v, to) => list.some((edge) => edge.from === from && edge.to === to)),
        );
        for (let k = 0; k < 6; k += 1)
          for (let i = 0; i < 6; i += 1)
            for (let j = 0; j < 6; j += 1) if (reach[i]![k]! && reach[k]![j]!) reach[i]![j] = true;
        const expected = new Set<string>();
        for (let i = 0; i < 6; i += 1) {
          if (!reach[i]![i]!) continue;
          expected.add(
            [0, 1, 2, 3, 4, 5]
              .filter((j) => reach[i]![j]! && reach[j]![i]!)
              .map(String)
              .join(),
          );
        }
        const found = cyclicWaits(list.map(({ from, to }) => ({ from: String(from), to: String(to) })));
        expect(new Set(found.map((group) => group.join()))).toEqual(expected);
        expect(found.length).toBe(expected.size);
      }),
      { numRuns: 300 },
    );
  });

  test('a chain of 100,000 waits does not overflow', () => {
    const chain = Array.from({ length: 100_000 }, (_, at) => ({ from: `n${at}`, to: `n${at + 1}` }));
    expect(cyclicWaits(chain)).toEqual([]);
    expect(cyclicWaits([...chain, { from: 'n100000', to: 'n0' }])[0]!.length).toBe(100_001);
  });
});

test('objectives contradict each other where one asks for more than another allows', () => {
  const metrics = [
    { objective: 0, name: 'latency', target: 100, direction: 'at_most' },
    { objective: 1, name: 'latency', target: 120, direction: 'at_least' },
    { objective: 2, name: 'latency', target: 90, direction: 'at_least' },
    { objective: 2, name: 'cost', target: 5, direction: 'at_most' },
    { objective: 3, name: 'cost', target: 5, direction: 'at_least' },
  ] as const;
  expect(contradictions(metrics)).toEqual([{ metric: 'latency', objectives: [0, 1], atLeast: 120, atMost: 100 }]);
});
