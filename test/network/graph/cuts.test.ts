import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { strongComponents, weakComponents } from '../../../subgraphs/network/graph/components.ts';
import { vertexConnectivity } from '../../../subgraphs/network/graph/connectivity.ts';
import { globalMinCut } from '../../../subgraphs/network/graph/globalMinCut.ts';
import { maxFlow } from '../../../subgraphs/network/graph/maxFlow.ts';
import { singleFailures } from '../../../subgraphs/network/graph/singleFailures.ts';
import { allPaths, reachablePairs, type SmallGraph, smallGraphs } from './graphs.ts';

/** Weight of links that lead out of a set of nodes. */
function cutOf({ links, weight }: SmallGraph, side: (node: number) => boolean, directed: boolean): number {
  return links.reduce((sum, { source, target, isTwoWay }, at) => {
    const leaves = side(source) && !side(target);
    const enters = side(target) && !side(source);
    return sum + (leaves || (enters && (isTwoWay || !directed)) ? weight[at]! : 0);
  }, 0);
}

const subsets = (count: number) =>
  Array.from({ length: 2 ** count }, (_, bits) => (node: number) => ((bits >> node) & 1) === 1);

describe('flows and cuts, held against all cuts there are', () => {
  test('the greatest flow is the least cut, and both are what they say', () => {
    fc.assert(
      fc.property(smallGraphs(), (small) => {
        const { graph, weight, links } = small;
        const target = graph.nodeCount - 1;
        const least = Math.min(
          ...subsets(graph.nodeCount)
            .filter((side) => side(0) && !side(target))
            .map((side) => cutOf(small, side, true)),
        );
        const { value, flow, sourceSide, cut } = maxFlow(graph, { source: 0, target }, weight);
        expect(value).toBeCloseTo(least, 9);
        expect(cutOf(small, (node) => sourceSide[node] === 1, true)).toBeCloseTo(least, 9);
        expect(cut.reduce((sum, link) => sum + weight[link]!, 0)).toBeCloseTo(least, 9);
        const balance = new Float64Array(graph.nodeCount);
        for (let arc = 0; arc < graph.arcCount; arc += 1) {
          expect(flow[arc]).toBeLessThanOrEqual(weight[graph.link[arc]!]!);
          balance[graph.from[arc]!]! -= flow[arc]!;
          balance[graph.to[arc]!]! += flow[arc]!;
        }
        expect(balance[target]).toBeCloseTo(value, 9);
        for (let node = 1; node < target; node += 1) expect(balance[node]).toBeCloseTo(0, 9);
        expect(links.length).toBe(graph.linkCount);
      }),
      { numRuns: 300 },
    );
  });

  test('a flow that is asked for no more than an amount ends there', () => {
    fc.assert(
      fc.property(smallGraphs(), fc.nat(8), ({ graph, weight }, most) => {
        const ends = { source: 0, target: graph.nodeCount - 1 };
        expect(maxFlow(graph, ends, weight, most).value).toBeCloseTo(
          Math.min(most, maxFlow(graph, ends, weight).value),
          9,
        );
      }),
    );
  });

  test('the global least cut is the least of all', () => {
    fc.assert(
      fc.property(smallGraphs(), (small) => {
        const { graph, weight } = small;
        const least = Math.min(
          ...subsets(graph.nodeCount)
            .slice(1, -1)
            .map((side) => cutOf(small, side, false)),
        );
        const found = globalMinCut(graph, weight)!;
        expect(found.weight).toBe(least);
        expect(cutOf(small, (node) => found.side[node] === 1, false)).toBe(least);
        expect(found.links.reduce((sum, link) => sum + weight[link]!, 0)).toBe(least);
        expect(found.side.some((one) => one === 1) && found.side.some((one) => one === 0)).toBe(true);
      }),
      { numRuns: 300 },
    );
  });

  test('vertex connectivity is the least number of nodes that parts two others', () => {
    fc.assert(
      fc.property(smallGraphs({ most: 6 }), ({ graph, links }) => {
        const { nodeCount } = graph;
        let least = nodeCount - 1;
        for (const gone of subsets(nodeCount)) {
          const kept = [...Array(nodeCount).keys()].filter((node) => !gone(node));
          if (kept.length < 2) continue;
          const closed = links.filter(({ source, target }) => !gone(source) && !gone(target));
          const pairs = reachablePairs(nodeCount, closed);
          if (pairs < (kept.length * (kept.length - 1)) / 2) least = Math.min(least, nodeCount - kept.length);
        }
        expect(vertexConnectivity(graph)).toBe(least);
        expect(vertexConnectivity(graph, 1)).toBe(Math.min(1, least));
      }),
      { numRuns: 200 },
    );
  });
});

describe('what is connected', () => {
  test('weak components are those of the closure, strong ones reach each other both ways', () => {
    fc.assert(
      fc.property(smallGraphs(), ({ graph, links }) => {
        const weak = weakComponents(graph);
        expect(weak.sizes.reduce((sum, size) => sum + (size * (size - 1)) / 2, 0)).toBe(
          reachablePairs(graph.nodeCount, links),
        );
        const strong = strongComponents(graph);
        const reaches = (one: number, other: number) => allPaths(graph, one, other).length > 0;
        for (let one = 0; one < graph.nodeCount; one += 1)
          for (let other = 0; other < one; other += 1)
            expect(strong.of[one] === strong.of[other]).toBe(reaches(one, other) && reaches(other, one));
        expect([...strong.sizes].reduce((a, b) => a + b, 0)).toBe(graph.nodeCount);
      }),
    );
  });

  test('bridges, cut nodes and the pairs lost are those that removing them one by one shows', () => {
    fc.assert(
      fc.property(smallGraphs({ most: 7 }), ({ graph, links }) => {
        const { nodeCount } = graph;
        const all = reachablePairs(nodeCount, links);
        const found = singleFailures(graph);
        for (let link = 0; link < links.length; link += 1) {
          const lost = all - reachablePairs(nodeCount, links, { links: new Set([link]) });
          expect([found.bridges[link], found.pairsLostByLink[link]]).toEqual([lost > 0 ? 1 : 0, lost]);
        }
        for (let node = 0; node < nodeCount; node += 1) {
          const own = weakComponents(graph).sizes[weakComponents(graph).of[node]!]! - 1;
          const lost = all - own - reachablePairs(nodeCount, links, { node });
          expect([found.cutNodes[node], found.pairsLostByNode[node]]).toEqual([lost > 0 ? 1 : 0, lost]);
        }
      }),
      { numRuns: 300 },
    );
  });
});
