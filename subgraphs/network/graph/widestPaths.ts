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
  // Reached by the width of the last one to leave the heap: nothing wider is to come, so they need not go through it.
  const asWide = new Int32Array(nodeCount);
  width[source] = Number.POSITIVE_INFINITY;
  heap.push(source, Number.NEGATIVE_INFINITY);
  while (heap.length > 0) {
    asWide[0] = heap.pop();
    const reached = width[asWide[0]]!;
    if (isDone[asWide[0]] === 1) continue;
    isDone[asWide[0]] = 1;
    for (let [at, length] = [0, 1]; at < length; at += 1) {
      const node = asWide[at]!;
      for (let arc = first[node]!; arc < first[node + 1]!; arc += 1) {
        const head = to[arc]!;
        if (isDone[head] === 1) continue;
        const candidate = Math.min(reached, capacity[link[arc]!]!);
        if (candidate === reached) {
          width[head] = reached;
          isDone[head] = 1;
          asWide[length] = head;
          length += 1;
        } else if (candidate > width[head]!) {
          width[head] = candidate;
          heap.push(head, -candidate);
        }
      }
    }
  }
  return width;
}
