import { type Digraph, undirected } from './digraph.ts';

export interface Components {
  readonly count: number;
  /** Component of each node, numbered by its first node. */
  readonly of: Int32Array;
  readonly sizes: Int32Array;
}

/** What is connected, whatever the direction of links; closed nodes count as gone and get -1. */
export function weakComponents(graph: Digraph, closed: { nodes?: Uint8Array; links?: Uint8Array } = {}): Components {
  const both = undirected(graph);
  const of = new Int32Array(graph.nodeCount).fill(-1);
  const sizes: number[] = [];
  const stack: number[] = [];
  for (let start = 0; start < graph.nodeCount; start += 1) {
    if (of[start] !== -1 || closed.nodes?.[start] === 1) continue;
    let size = 0;
    of[start] = sizes.length;
    stack.push(start);
    while (stack.length > 0) {
      const node = stack.pop()!;
      size += 1;
      for (let arc = both.first[node]!; arc < both.first[node + 1]!; arc += 1) {
        const head = both.to[arc]!;
        if (of[head] !== -1 || closed.nodes?.[head] === 1 || closed.links?.[both.link[arc]!] === 1) continue;
        of[head] = sizes.length;
        stack.push(head);
      }
    }
    sizes.push(size);
  }
  return { count: sizes.length, of, sizes: Int32Array.from(sizes) };
}

/** What reaches each other along the directions of links (Tarjan 1972), with a stack of its own. */
export function strongComponents({ nodeCount, first, to }: Digraph): Components {
  const of = new Int32Array(nodeCount).fill(-1);
  const index = new Int32Array(nodeCount).fill(-1);
  const low = new Int32Array(nodeCount);
  const place = Int32Array.from(first.subarray(0, nodeCount));
  const path: number[] = [];
  const open: number[] = [];
  const sizes: number[] = [];
  let counter = 0;
  for (let start = 0; start < nodeCount; start += 1) {
    if (index[start] !== -1) continue;
    path.push(start);
    while (path.length > 0) {
      const node = path.at(-1)!;
      if (index[node] === -1) {
        index[node] = counter;
        low[node] = counter;
        counter += 1;
        open.push(node);
      }
      let descended = false;
      for (; place[node]! < first[node + 1]!; place[node]! += 1) {
        const head = to[place[node]!]!;
        if (index[head] === -1) {
          path.push(head);
          descended = true;
          break;
        }
        if (of[head] === -1) low[node] = Math.min(low[node]!, index[head]!);
      }
      if (descended) continue;
      path.pop();
      const parent = path.at(-1);
      if (parent !== undefined) low[parent] = Math.min(low[parent]!, low[node]!);
      if (low[node] !== index[node]) continue;
      let size = 0;
      for (let member = -1; member !== node; size += 1) {
        member = open.pop()!;
        of[member] = sizes.length;
      }
      sizes.push(size);
    }
  }
  return { count: sizes.length, of, sizes: Int32Array.from(sizes) };
}
