import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { constrainedPath } from '../../../subgraphs/network/graph/constrainedPath.ts';
import { byArc, type Digraph } from '../../../subgraphs/network/graph/digraph.ts';
import { disjointPair } from '../../../subgraphs/network/graph/disjointPaths.ts';
import { kShortestPaths } from '../../../subgraphs/network/graph/kShortest.ts';
import { lengthOf, nodesOf, shortestPath } from '../../../subgraphs/network/graph/shortestPaths.ts';
import { allPaths, smallGraphs } from './graphs.ts';

const ends = (graph: Digraph) => ({ source: 0, target: graph.nodeCount - 1 });
const linksOf = (graph: Digraph, path: readonly number[]) => path.map((arc) => graph.link[arc]!);

describe('paths, held against all that there are', () => {
  test('the shortest is found, or none where none is', () => {
    fc.assert(
      fc.property(smallGraphs(), ({ graph, weight }) => {
        const length = byArc(graph, weight);
        const all = allPaths(graph, 0, graph.nodeCount - 1).map((path) => lengthOf(path, length));
        const path = shortestPath(graph, ends(graph), length);
        expect(path === null ? [] : [lengthOf(path, length)]).toEqual(all.length === 0 ? [] : [Math.min(...all)]);
      }),
    );
  });

  test('the k shortest are the k shortest, each once, shortest first', () => {
    fc.assert(
      fc.property(smallGraphs(), fc.integer({ min: 1, max: 12 }), ({ graph, weight }, count) => {
        const length = byArc(graph, weight);
        const all = allPaths(graph, 0, graph.nodeCount - 1)
          .map((path) => lengthOf(path, length))
          .sort((a, b) => a - b);
        const found = kShortestPaths(graph, ends(graph), length, count);
        expect(found.map((path) => path.length)).toEqual(all.slice(0, count));
        expect(new Set(found.map(({ arcs }) => arcs.join())).size).toBe(found.length);
        for (const { arcs } of found) {
          const nodes = nodesOf(graph, 0, arcs);
          expect(new Set(nodes).size).toBe(nodes.length);
          expect(arcs.map((arc) => graph.from[arc])).toEqual(nodes.slice(0, -1));
        }
      }),
    );
  });

  test.each(['links', 'nodes'] as const)('two paths apart by their %s are least together', (apart) => {
    fc.assert(
      fc.property(smallGraphs(), ({ graph, weight }) => {
        const length = byArc(graph, weight);
        const all = allPaths(graph, 0, graph.nodeCount - 1);
        const keys = all.map(
          (path) => new Set(apart === 'links' ? linksOf(graph, path) : nodesOf(graph, 0, path).slice(1, -1)),
        );
        let least = Number.POSITIVE_INFINITY;
        for (const [one, path] of all.entries())
          for (let other = one + 1; other < all.length; other += 1) {
            if ([...keys[one]!].some((key) => keys[other]!.has(key))) continue;
            // Without a node between them, two paths are apart by their links.
            if (apart === 'nodes' && linksOf(graph, path).some((link) => linksOf(graph, all[other]!).includes(link)))
              continue;
            least = Math.min(least, lengthOf(path, length) + lengthOf(all[other]!, length));
          }
        const pair = disjointPair(graph, ends(graph), length, apart);
        expect(pair?.length ?? Number.POSITIVE_INFINITY).toBe(least);
        if (pair === null) return;
        for (const path of pair.paths) {
          expect(graph.to[path.at(-1)!]).toBe(graph.nodeCount - 1);
          const nodes = nodesOf(graph, 0, path);
          expect(path.map((arc) => graph.from[arc])).toEqual(nodes.slice(0, -1));
          expect(new Set(nodes).size).toBe(nodes.length);
        }
        const [one, other] = pair.paths.map((path) => linksOf(graph, path)) as [number[], number[]];
        expect(one.filter((link) => other.includes(link))).toEqual([]);
      }),
      { numRuns: 300 },
    );
  });

  test('the cheapest within two limits is found, and none is said only where none is', () => {
    fc.assert(
      fc.property(
        smallGraphs(),
        fc.array(fc.nat(6), { minLength: 24, maxLength: 24 }),
        fc.nat(12),
        fc.nat(12),
        ({ graph, weight }, more, mostOne, mostOther) => {
          const cost = byArc(graph, weight);
          const uses = [byArc(graph, more), byArc(graph, more.slice(12))] as const;
          const within = allPaths(graph, 0, graph.nodeCount - 1).filter(
            (path) => lengthOf(path, uses[0]) <= mostOne && lengthOf(path, uses[1]) <= mostOther,
          );
          const found = constrainedPath(graph, ends(graph), {
            cost,
            resources: [
              { use: uses[0], most: mostOne },
              { use: uses[1], most: mostOther },
            ],
          });
          if (within.length === 0) {
            expect(found).toEqual({ kind: 'none' });
            return;
          }
          const least = Math.min(...within.map((path) => lengthOf(path, cost)));
          expect(found).toMatchObject({ kind: 'found', cost: least });
          if (found.kind !== 'found') return;
          expect(lengthOf(found.arcs, cost)).toBe(least);
          expect(lengthOf(found.arcs, uses[0])).toBeLessThanOrEqual(mostOne);
          expect(lengthOf(found.arcs, uses[1])).toBeLessThanOrEqual(mostOther);
        },
      ),
      { numRuns: 300 },
    );
  });

  test('a search that would take more labels than allowed says that it does not know', () => {
    fc.assert(
      fc.property(smallGraphs({ most: 4 }), ({ graph, weight }) => {
        const cost = byArc(graph, weight);
        const found = constrainedPath(graph, ends(graph), { cost, resources: [], maxLabels: 1 });
        expect(found.kind).not.toBe('found');
        expect(found.kind === 'none').toBe(allPaths(graph, 0, graph.nodeCount - 1).length === 0);
      }),
    );
  });
});
