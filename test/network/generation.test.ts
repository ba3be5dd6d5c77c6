import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { greatCircleKm, latencyBetween } from '../../subgraphs/network/generation/greatCircle.ts';
import { generateLinks, hararyLinks, type Layout, type Pair } from '../../subgraphs/network/generation/topologies.ts';
import { weakComponents } from '../../subgraphs/network/graph/components.ts';
import { vertexConnectivity } from '../../subgraphs/network/graph/connectivity.ts';
import { createDigraph } from '../../subgraphs/network/graph/digraph.ts';

const graphOf = (count: number, pairs: readonly Pair[]) =>
  createDigraph(
    count,
    pairs.map(([source, target]) => ({ source, target, isTwoWay: true })),
  );

describe('generated links', () => {
  test('Harary graphs survive every loss of k - 1 nodes with the fewest links there can be', () => {
    fc.assert(
      fc.property(fc.integer({ min: 3, max: 14 }), fc.integer({ min: 1, max: 6 }), (count, k) => {
        const wanted = Math.min(k, count - 1);
        const pairs = hararyLinks(count, k);
        expect(vertexConnectivity(graphOf(count, pairs))).toBe(wanted);
        expect(pairs.length).toBe(wanted === 1 ? count - 1 : Math.ceil((wanted * count) / 2));
      }),
    );
  });

  test.each<Layout>(['STAR', 'FULL_MESH', 'HARARY', 'TREE', 'MESH_CORE_WITH_TREES', 'RING', 'BUS'])(
    '%s joins all nodes, each pair at most once, and none to itself',
    (layout) => {
      fc.assert(
        fc.property(
          fc.array(fc.nat(9), { minLength: 2, maxLength: 40 }),
          fc.integer({ min: 2, max: 4 }),
          (capacity, k) => {
            const pairs = generateLinks(layout, { redundancy: k, fanOut: k, coreSize: 10, capacity });
            expect(weakComponents(graphOf(capacity.length, pairs)).count).toBe(1);
            expect(new Set(pairs.map((pair) => [...pair].sort((a, b) => a - b).join())).size).toBe(pairs.length);
            expect(pairs.every(([one, other]) => one !== other)).toBe(true);
          },
        ),
      );
    },
  );

  test('a star and a tree are led by the nodes of most capacity', () => {
    const capacity = [1, 9, 2, 8];
    const options = { redundancy: 2, fanOut: 2, coreSize: 10, capacity };
    expect(generateLinks('STAR', options)).toEqual([
      [1, 3],
      [1, 2],
      [1, 0],
    ]);
    expect(generateLinks('TREE', options)).toEqual([
      [1, 3],
      [1, 2],
      [3, 0],
    ]);
  });
});

test('distances over the ground and the latency of light in glass over them', () => {
  const [berlin, newYork] = [
    { lat: 52.52, lon: 13.405 },
    { lat: 40.7128, lon: -74.006 },
  ];
  expect(greatCircleKm(berlin, newYork)).toBeGreaterThan(6_380);
  expect(greatCircleKm(berlin, newYork)).toBeLessThan(6_390);
  expect(latencyBetween(berlin, newYork)).toBeCloseTo(31.93, 1);
  expect(latencyBetween(berlin, berlin)).toBe(0.01);
  expect(latencyBetween(berlin, null)).toBe(1);
});
