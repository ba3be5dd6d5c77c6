import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { centrality } from '../../../subgraphs/network/graph/centrality.ts';
import { clusteringCoefficient, coreNumbers } from '../../../subgraphs/network/graph/cohesion.ts';
import { byArc, createDigraph, type LinkEnds } from '../../../subgraphs/network/graph/digraph.ts';
import { lengthOf, nodesOf } from '../../../subgraphs/network/graph/shortestPaths.ts';
import { allPaths, smallGraphs } from './graphs.ts';

describe('centrality, held against all shortest paths', () => {
  test('betweenness of nodes and links, closeness, diameter and means', () => {
    fc.assert(
      fc.property(smallGraphs(), ({ graph, weight }) => {
        const { nodeCount } = graph;
        const length = byArc(
          graph,
          weight.map((value) => value + 1),
        );
        const nodes = new Float64Array(nodeCount);
        const links = new Float64Array(graph.linkCount);
        const distances: number[] = [];
        const closeness = new Float64Array(nodeCount);
        for (let source = 0; source < nodeCount; source += 1) {
          const own: number[] = [];
          for (let target = 0; target < nodeCount; target += 1) {
            if (source === target) continue;
            const all = allPaths(graph, source, target);
            if (all.length === 0) continue;
            const least = Math.min(...all.map((path) => lengthOf(path, length)));
            own.push(least);
            const shortest = all.filter((path) => lengthOf(path, length) === least);
            for (const path of shortest) {
              for (const node of nodesOf(graph, source, path).slice(1, -1)) nodes[node]! += 1 / shortest.length;
              for (const arc of path) links[graph.link[arc]!]! += 1 / shortest.length;
            }
          }
          const sum = own.reduce((a, b) => a + b, 0);
          if (sum > 0) closeness[source] = (own.length / (nodeCount - 1)) * (own.length / sum);
          distances.push(...own);
        }
        const found = centrality(graph, length);
        for (const [at, value] of nodes.entries()) expect(found.betweenness[at]).toBeCloseTo(value, 9);
        for (const [at, value] of links.entries()) expect(found.linkBetweenness[at]).toBeCloseTo(value, 9);
        for (const [at, value] of closeness.entries()) expect(found.closeness[at]).toBeCloseTo(value, 9);
        expect(found.diameter).toBe(Math.max(0, ...distances));
        expect(found.averagePath).toBeCloseTo(
          distances.length === 0 ? 0 : distances.reduce((a, b) => a + b, 0) / distances.length,
          9,
        );
        expect(found.approximate).toBe(false);
      }),
    );
  });

  test('of a ring, whose nodes are all alike, a sample of sources estimates about the truth', () => {
    const count = 200;
    const links = Array.from({ length: count }, (_, at) => ({ source: at, target: (at + 1) % count, isTwoWay: true }));
    const graph = createDigraph(count, links);
    const length = new Float64Array(graph.arcCount).fill(1);
    const sum = (values: Float64Array) => values.reduce((a, b) => a + b, 0);
    const exact = centrality(graph, length);
    const sampled = centrality(graph, length, { pivots: 20, seed: 7 });
    expect(sampled).toMatchObject({ approximate: true, sources: 20 });
    expect(sum(sampled.betweenness)).toBeCloseTo(sum(exact.betweenness), 6);
    expect(centrality(graph, length, { pivots: 20, seed: 7 })).toEqual(sampled);
  });
});

describe('cohesion', () => {
  const link = (source: number, target: number): LinkEnds => ({ source, target, isTwoWay: true });

  test('core numbers are those of the greatest subgraph in which all have so many neighbours', () => {
    fc.assert(
      fc.property(smallGraphs({ most: 7 }), ({ graph, links }) => {
        const found = coreNumbers(graph);
        const expected = new Int32Array(graph.nodeCount);
        for (let k = 1; k < graph.nodeCount; k += 1) {
          let kept = new Set(Array(graph.nodeCount).keys());
          for (;;) {
            const near = (node: number) =>
              new Set(
                links.flatMap(({ source, target }) => (source === node ? [target] : target === node ? [source] : [])),
              );
            const next = new Set(
              [...kept].filter((node) => [...near(node)].filter((one) => kept.has(one)).length >= k),
            );
            if (next.size === kept.size) break;
            kept = next;
          }
          for (const node of kept) expected[node] = k;
        }
        expect([...found]).toEqual([...expected]);
      }),
    );
  });

  test('a triangle with a tail clusters as counted by hand', () => {
    const graph = createDigraph(4, [link(0, 1), link(1, 2), link(2, 0), link(2, 3), link(0, 1)]);
    expect(clusteringCoefficient(graph)).toBeCloseTo((1 + 1 + 1 / 3) / 4, 12);
  });
});
