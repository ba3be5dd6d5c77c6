/** Binary heap of integers (Williams 1964) by a comparator; the least comes first. */
export interface IntegerHeap {
  readonly size: number;
  push(item: number): void;
  peek(): number | undefined;
  pop(): number | undefined;
  /** The items in no particular order. */
  items(): readonly number[];
}

export function createIntegerHeap(compare: (left: number, right: number) => number): IntegerHeap {
  const heap: number[] = [];
  return {
    get size() {
      return heap.length;
    },
    push(item) {
      let at = heap.length;
      while (at > 0) {
        const parent = (at - 1) >> 1;
        if (compare(heap[parent]!, item) <= 0) break;
        heap[at] = heap[parent]!;
        at = parent;
      }
      heap[at] = item;
    },
    peek: () => heap[0],
    pop() {
      const first = heap[0];
      const item = heap.pop();
      if (item === undefined || heap.length === 0) return first;
      let at = 0;
      for (let child = 1; child < heap.length; child = 2 * at + 1) {
        if (child + 1 < heap.length && compare(heap[child + 1]!, heap[child]!) < 0) child += 1;
        if (compare(item, heap[child]!) <= 0) break;
        heap[at] = heap[child]!;
        at = child;
      }
      heap[at] = item;
      return first;
    },
    items: () => heap,
  };
}
