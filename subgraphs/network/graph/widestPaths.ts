import type { Digraph } from './digraph.ts';
import { IndexedHeap } from './heap.ts';

/**
 * By node, the capacity of the narrowest link on the widest path from the source (Dijkstra's search with the minimum in place of
 * the sum, Pollack 1960); Infinity for the source, 0 where no link with capacity leads.
 */
export function widestPaths(graph: Digraph, source: number, capacity: ArrayLike<number>): Float64Array {
  const { first, to, link, nodeCount } = graph;
  const width = new Float64Array(nodeCount);
  const isDone = new Uint8Array(nodeCount);
  const heap = new IndexedHeap(nodeCount);
  width[source] = Number.POSITIVE_INFINITY;
  heap.push(source, Number.NEGATIVE_INFINITY);
  while (heap.length > 0) {
    const node = heap.pop();
    isDone[node] = 1;
    for (let arc = first[node]!; arc < first[node + 1]!; arc += 1) {
      const head = to[arc]!;
      const candidate = Math.min(width[node]!, capacity[link[arc]!]!);
      if (isDone[head] === 1 || candidate <= width[head]!) continue;
      width[head] = candidate;
      heap.push(head, -candidate);
    }
  }
  return width;
}
