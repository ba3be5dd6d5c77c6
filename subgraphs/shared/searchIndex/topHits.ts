/** A place in a ranking, from a hit of an earlier page. */
export interface Place {
  readonly score: number;
  readonly id: string;
}

export interface RankingPage {
  readonly limit: number;
  /** Worst first: for pages that go backwards. */
  readonly reversed: boolean;
  /** Only what stands behind this place, in the page's direction. */
  readonly after: Place | null;
}

/**
 * The first so many slots by score, highest first, then by id; a heap keeps the best, its root the worst of them, so
 * that nearly every other slot costs one comparison.
 */
export function topHits(
  slots: Uint32Array,
  count: number,
  { scores, ids }: { readonly scores: Float64Array; readonly ids: readonly string[] },
  page: RankingPage,
): number[] {
  const sign = page.reversed ? -1 : 1;
  const after = page.after && { key: page.after.score * sign, id: page.after.id };
  /** True when the first stands before the second. */
  const isBefore = (key: number, id: string, otherKey: number, otherId: string) =>
    key === otherKey ? (page.reversed ? id > otherId : id < otherId) : key > otherKey;
  const heap: number[] = [];
  const keyOf = (slot: number) => scores[slot]! * sign;
  const standsBefore = (one: number, other: number) => isBefore(keyOf(one), ids[one]!, keyOf(other), ids[other]!);

  function sink(at: number): void {
    const slot = heap[at]!;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && standsBefore(heap[child]!, heap[child + 1]!)) child += 1;
      if (!standsBefore(slot, heap[child]!)) break;
      heap[at] = heap[child]!;
      at = child;
    }
    heap[at] = slot;
  }

  let worst = Number.NEGATIVE_INFINITY;
  for (let index = 0; index < count; index += 1) {
    const slot = slots[index]!;
    const key = scores[slot]! * sign;
    if (key < worst) continue;
    if (after && !isBefore(after.key, after.id, key, ids[slot]!)) continue;
    if (heap.length < page.limit) {
      heap.push(slot);
      if (heap.length < page.limit) continue;
      for (let at = (heap.length >>> 1) - 1; at >= 0; at -= 1) sink(at);
    } else {
      if (!standsBefore(slot, heap[0]!)) continue;
      heap[0] = slot;
      sink(0);
    }
    worst = keyOf(heap[0]!);
  }
  return heap.sort((one, other) => (standsBefore(one, other) ? -1 : 1));
}
