import { createIntegerHeap, type IntegerHeap } from '#shared/integerHeap.ts';
import type { TokenPool } from './tokens.ts';

/** Ready nodes: a heap of those not looked at yet, and those that lack a resource, by how much of it they need. */
export interface ReadyPool {
  add(node: number): void;
  /** Takes out the first ready node whose resources are free; null when none fits. */
  next(): number | null;
  /** The node starts: its resources are in use from here on. */
  taken(node: number): void;
  /** The node gives its resources back. */
  released(node: number): void;
  /** The node is not ready any more, or may wait longer. */
  withdrawn(node: number): void;
}

export interface ReadyPoolOptions {
  readonly rank: Int32Array;
  readonly tokens: TokenPool;
  readonly maxPassed: number;
  readonly isReady: (node: number) => boolean;
}

/**
 * A node that lacks some amount of a resource waits in a heap of that amount, which is only looked at when as much is
 * free: O(log ready + heaps) for a start, whatever the number of those that wait. Nodes that stopped being ready stay
 * where they are and are passed over when they come up.
 */
export function createReadyPool({ rank, tokens, maxPassed, isReady }: ReadyPoolOptions): ReadyPool {
  const byRank = (left: number, right: number): number => rank[left]! - rank[right]!;
  const fresh = createIntegerHeap(byRank);
  const lacking = new Map<string, Map<number, IntegerHeap>>();
  const timesPassed = new Map<number, number>();

  const firstOf = (heap: IntegerHeap): number | undefined => {
    for (let node = heap.peek(); node !== undefined; node = heap.peek()) {
      if (isReady(node)) return node;
      heap.pop();
    }
    return undefined;
  };
  const park = (node: number, resourceId: string): void => {
    const amount = tokens.needsOf(node).get(resourceId)!;
    const heaps = lacking.get(resourceId) ?? new Map<number, IntegerHeap>();
    lacking.set(resourceId, heaps);
    const heap = heaps.get(amount) ?? createIntegerHeap(byRank);
    heaps.set(amount, heap);
    heap.push(node);
  };
  /** The heap whose first node comes before all others of which enough is free. */
  const bestHeap = (): IntegerHeap | null => {
    let best: IntegerHeap | null = null;
    let bestRank = Infinity;
    const consider = (heap: IntegerHeap): void => {
      const node = firstOf(heap);
      if (node === undefined || rank[node]! >= bestRank) return;
      best = heap;
      bestRank = rank[node]!;
    };
    consider(fresh);
    for (const [resourceId, heaps] of lacking) {
      if (tokens.isReserved(resourceId)) continue;
      const free = tokens.free(resourceId);
      for (const [amount, heap] of heaps) if (amount <= free) consider(heap);
    }
    return best;
  };
  /** Whoever stands first in line for what the node now takes has been passed, if the node comes behind it. */
  const countPassed = (node: number): void => {
    for (const resourceId of tokens.needsOf(node).keys())
      for (const heap of lacking.get(resourceId)?.values() ?? []) {
        const first = firstOf(heap);
        if (first === undefined || rank[first]! > rank[node]!) continue;
        const passed = (timesPassed.get(first) ?? 0) + 1;
        timesPassed.set(first, passed);
        if (passed > maxPassed && tokens.reservedFor === null) tokens.reserveFor(first);
      }
  };
  const endReservation = (node: number): void => {
    timesPassed.delete(node);
    if (tokens.reservedFor === node) tokens.reserveFor(null);
  };
  return {
    add: fresh.push,
    next() {
      const kept = tokens.reservedFor;
      if (kept !== null && isReady(kept) && tokens.lacking(kept) === null) return kept;
      for (let heap = bestHeap(); heap !== null; heap = bestHeap()) {
        const node = heap.pop()!;
        const resourceId = tokens.lacking(node);
        if (resourceId === null) return node;
        park(node, resourceId);
      }
      return null;
    },
    taken(node) {
      tokens.take(node);
      endReservation(node);
      countPassed(node);
    },
    released: tokens.release,
    withdrawn: endReservation,
  };
}
