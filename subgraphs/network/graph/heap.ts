/** Least key first over the numbers 0 to `size - 1`, with decrease of keys; equal keys leave by the smaller number. */
export class IndexedHeap {
  readonly #keys: Float64Array;
  readonly #heap: Int32Array;
  /** Place in the heap; -1 outside. */
  readonly #place: Int32Array;
  #length = 0;

  constructor(size: number) {
    this.#keys = new Float64Array(size);
    this.#heap = new Int32Array(size);
    this.#place = new Int32Array(size).fill(-1);
  }

  get length(): number {
    return this.#length;
  }

  /** Puts an item in, or moves it up where it is in with a greater key. */
  push(item: number, key: number): void {
    let at = this.#place[item]!;
    if (at === -1) {
      at = this.#length;
      this.#length += 1;
    } else if (key >= this.#keys[item]!) return;
    this.#keys[item] = key;
    this.#up(item, at);
  }

  /** @throws {Error} when it is empty */
  pop(): number {
    if (this.#length === 0) throw new Error('the heap is empty');
    const top = this.#heap[0]!;
    this.#place[top] = -1;
    this.#length -= 1;
    if (this.#length > 0) this.#down(this.#heap[this.#length]!);
    return top;
  }

  clear(): void {
    for (let at = 0; at < this.#length; at += 1) this.#place[this.#heap[at]!] = -1;
    this.#length = 0;
  }

  #isBefore(one: number, other: number): boolean {
    const difference = this.#keys[one]! - this.#keys[other]!;
    return difference < 0 || (difference === 0 && one < other);
  }

  #up(item: number, from: number): void {
    let at = from;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const above = this.#heap[parent]!;
      if (!this.#isBefore(item, above)) break;
      this.#heap[at] = above;
      this.#place[above] = at;
      at = parent;
    }
    this.#heap[at] = item;
    this.#place[item] = at;
  }

  #down(item: number): void {
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= this.#length) break;
      if (child + 1 < this.#length && this.#isBefore(this.#heap[child + 1]!, this.#heap[child]!)) child += 1;
      const below = this.#heap[child]!;
      if (!this.#isBefore(below, item)) break;
      this.#heap[at] = below;
      this.#place[below] = at;
      at = child;
    }
    this.#heap[at] = item;
    this.#place[item] = at;
  }
}
