import fc from 'fast-check';
import { createDigraph, type Digraph, type LinkEnds } from '../../../subgraphs/network/graph/digraph.ts';

export interface SmallGraph {
  readonly graph: Digraph;
  readonly links: readonly LinkEnds[];
  /** By link, whole numbers from 0. */
  readonly weight: readonly number[];
}

/** Graphs of 2 to `most` nodes without loops, with parallel links and links of either kind; weights often tie. */
export function smallGraphs({ most = 6, twoWay }: { most?: number; twoWay?: boolean } = {}): fc.Arbitrary<SmallGraph> {
  return fc.integer({ min: 2, max: most }).chain((nodeCount) =>
    fc
      .array(
        fc.record({
          source: fc.nat(nodeCount - 1),
          shift: fc.integer({ min: 1, max: nodeCount - 1 }),
          isTwoWay: twoWay === undefined ? fc.boolean() : fc.constant(twoWay),
          weight: fc.nat(6),
        }),
        { maxLength: 12 },
      )
      .map((drawn) => {
        const links = drawn.map(({ source, shift, isTwoWay }) => ({
          source,
          target: (source + shift) % nodeCount,
          isTwoWay,
        }));
        return { graph: createDigraph(nodeCount, links), links, weight: drawn.map(({ weight }) => weight) };
      }),
  );
}

/** All paths without a node twice, as arcs: tries them all. */
export function allPaths(graph: Digraph, source: number, target: number): number[][] {
  const found: number[][] = [];
  const visited = new Set<number>([source]);
  const arcs: number[] = [];
  const visit = (node: number) => {
    if (node === target) {
      found.push([...arcs]);
      return;
    }
    for (let arc = graph.first[node]!; arc < graph.first[node + 1]!; arc += 1) {
      const head = graph.to[arc]!;
      if (visited.has(head)) continue;
      visited.add(head);
      arcs.push(arc);
      visit(head);
      arcs.pop();
      visited.delete(head);
    }
  };
  visit(source);
  return found;
}

/** Whether nodes that are left reach each other in pairs, directions aside; by brute closure. */
export function reachablePairs(
  nodeCount: number,
  links: readonly LinkEnds[],
  gone: { readonly node?: number; readonly links?: ReadonlySet<number> } = {},
): number {
  const group = Array.from({ length: nodeCount }, (_, node) => node);
  for (let round = 0; round < nodeCount; round += 1)
    for (const [at, { source, target }] of links.entries()) {
      if (gone.links?.has(at) || source === gone.node || target === gone.node) continue;
      group[source] = group[target] = Math.min(group[source]!, group[target]!);
    }
  let pairs = 0;
  for (let one = 0; one < nodeCount; one += 1)
    for (let other = one + 1; other < nodeCount; other += 1)
      if (one !== gone.node && other !== gone.node && group[one] === group[other]) pairs += 1;
  return pairs;
}
