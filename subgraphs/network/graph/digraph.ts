/**
 * A directed multigraph in compressed sparse rows: the arcs that leave `node` are numbered `first[node]` to
 * `first[node + 1] - 1`. A link that leads both ways is two arcs.
 */
export interface Digraph {
  readonly nodeCount: number;
  readonly arcCount: number;
  readonly linkCount: number;
  readonly first: Int32Array;
  /** By arc. */
  readonly from: Int32Array;
  readonly to: Int32Array;
  /** Link that the arc is a direction of. */
  readonly link: Int32Array;
  /** The other direction of the same link; -1 where it leads one way. */
  readonly reverse: Int32Array;
}

export interface LinkEnds {
  readonly source: number;
  readonly target: number;
  readonly isTwoWay: boolean;
}

/** Arcs of a node stand in the order of the links, so that what is equal elsewhere is decided by that order. */
export function createDigraph(nodeCount: number, links: readonly LinkEnds[]): Digraph {
  const arcCount = links.reduce((sum, { isTwoWay }) => sum + (isTwoWay ? 2 : 1), 0);
  const first = new Int32Array(nodeCount + 1);
  for (const { source, target, isTwoWay } of links) {
    first[source + 1]! += 1;
    if (isTwoWay) first[target + 1]! += 1;
  }
  for (let node = 0; node < nodeCount; node += 1) first[node + 1]! += first[node]!;
  const next = first.slice(0, nodeCount);
  const from = new Int32Array(arcCount);
  const to = new Int32Array(arcCount);
  const link = new Int32Array(arcCount);
  const reverse = new Int32Array(arcCount).fill(-1);
  const put = (source: number, target: number, index: number): number => {
    const arc = next[source]!;
    next[source]! += 1;
    from[arc] = source;
    to[arc] = target;
    link[arc] = index;
    return arc;
  };
  for (const [index, { source, target, isTwoWay }] of links.entries()) {
    const there = put(source, target, index);
    if (!isTwoWay) continue;
    const back = put(target, source, index);
    reverse[there] = back;
    reverse[back] = there;
  }
  return { nodeCount, arcCount, linkCount: links.length, first, from, to, link, reverse };
}

/** The graph in which every link leads both ways: what is connected, whatever the direction. */
export function undirected(graph: Digraph): Digraph {
  const links = new Array<LinkEnds>(graph.linkCount);
  for (let arc = 0; arc < graph.arcCount; arc += 1)
    links[graph.link[arc]!] ??= { source: graph.from[arc]!, target: graph.to[arc]!, isTwoWay: true };
  return createDigraph(graph.nodeCount, links);
}

/** Values of links as values of their arcs. */
export function byArc(graph: Digraph, ofLink: ArrayLike<number>): Float64Array {
  const values = new Float64Array(graph.arcCount);
  for (let arc = 0; arc < graph.arcCount; arc += 1) values[arc] = ofLink[graph.link[arc]!]!;
  return values;
}
