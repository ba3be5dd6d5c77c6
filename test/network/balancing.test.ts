import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type Balanced, balancings, createBalancer } from '../../subgraphs/network/balancing.ts';

const items = fc
  .array(
    fc.record({
      weight: fc.constantFrom(0, 1, 2, 5),
      latencyMs: fc.option(fc.nat(50)),
      connections: fc.nat(20),
    }),
    { maxLength: 8 },
  )
  .map((list) => list.map((item, at): Balanced => ({ ...item, id: `s${at}` })));

test('whatever the order, each stands in it once, and what weighs nothing last where weights count', () => {
  fc.assert(
    fc.property(items, fc.constantFrom(...balancings), (list, balancing) => {
      const order = createBalancer()(balancing, list, 'pool');
      expect(order.map(({ id }) => id).sort()).toEqual(list.map(({ id }) => id).sort());
      if (balancing !== 'weighted' && balancing !== 'least_connections') return;
      const firstIdle = order.findIndex(({ weight }) => weight === 0);
      if (firstIdle >= 0) expect(order.slice(firstIdle).every(({ weight }) => weight === 0)).toBe(true);
    }),
  );
});

test('by turns each is the first as often as any other', () => {
  fc.assert(
    fc.property(items, fc.integer({ min: 1, max: 5 }), (list, rounds) => {
      fc.pre(list.length > 0);
      const balance = createBalancer();
      const firsts = Array.from({ length: rounds * list.length }, () => balance('round_robin', list, 'pool')[0]!.id);
      for (const { id } of list) expect(firsts.filter((first) => first === id)).toHaveLength(rounds);
    }),
  );
});

test('drawn by weight, one of four times the weight is the first about four times as often', () => {
  const list: Balanced[] = [1, 4].map((weight) => ({ id: `w${weight}`, weight, latencyMs: null, connections: 0 }));
  const balance = createBalancer();
  const heavy = Array.from({ length: 10_000 }, () => balance('weighted', list, 'pool')[0]!.id).filter(
    (id) => id === 'w4',
  ).length;
  expect(heavy).toBeGreaterThan(7_700);
  expect(heavy).toBeLessThan(8_300);
});
