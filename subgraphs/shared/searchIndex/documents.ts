import { type Bits, clearBit, hasBit, setBit } from './bits.ts';
import { stringBytes, withRoom } from './growth.ts';
import { bucketLength, frequencyOf, lengthBucket, maxFields } from './scoring.ts';

/** The documents by slot: dense numbers that postings and columns refer to. */
export class Documents {
  readonly #slots = new Map<string, number>();
  readonly ids: string[] = [];
  /** Length buckets of the fields, a byte each. */
  lengths = new Uint32Array(0);
  #revisions = new Float64Array(0);
  alive: Bits = new Uint32Array(0);
  restricted: Bits = new Uint32Array(0);
  restrictedCount = 0;
  /** Words per field over all documents, as their buckets count them. */
  readonly #words: number[] = Array.from({ length: maxFields }, () => 0);
  readonly #free: number[] = [];
  #idBytes = 0;

  get size(): number {
    return this.#slots.size;
  }

  /** Slots ever in use. */
  get limit(): number {
    return this.ids.length;
  }

  find(id: string): number | undefined {
    return this.#slots.get(id);
  }

  revisionOf(slot: number): number {
    return this.#revisions[slot]!;
  }

  averageLength(field: number): number {
    return this.size === 0 ? 0 : this.#words[field]! / this.size;
  }

  add(document: {
    readonly id: string;
    readonly revision: number;
    readonly restricted: boolean;
    readonly frequencies: readonly number[];
  }): number {
    const slot = this.#free.pop() ?? this.limit;
    this.ids[slot] = document.id;
    this.#slots.set(document.id, slot);
    this.#idBytes += stringBytes(document.id);
    this.lengths = withRoom(this.lengths, slot + 1);
    this.#revisions = withRoom(this.#revisions, slot + 1);
    this.alive = withRoom(this.alive, (slot >>> 5) + 1);
    this.restricted = withRoom(this.restricted, (slot >>> 5) + 1);
    this.#revisions[slot] = document.revision;
    this.lengths[slot] = this.#measure(document.frequencies);
    setBit(this.alive, slot);
    if (document.restricted) {
      setBit(this.restricted, slot);
      this.restrictedCount += 1;
    }
    return slot;
  }

  #measure(frequencies: readonly number[]): number {
    let buckets = 0;
    for (let field = 0; field < maxFields; field += 1) {
      let length = 0;
      for (const packed of frequencies) length += frequencyOf(packed, field);
      const bucket = lengthBucket(length);
      this.#words[field]! += bucketLength(bucket);
      buckets |= bucket << (8 * field);
    }
    return buckets >>> 0;
  }

  /** Takes a document away; its slot is given out again only after `release`. */
  remove(id: string): number | undefined {
    const slot = this.#slots.get(id);
    if (slot === undefined) return undefined;
    this.#slots.delete(id);
    this.#idBytes -= stringBytes(id);
    this.ids[slot] = '';
    clearBit(this.alive, slot);
    if (hasBit(this.restricted, slot)) {
      clearBit(this.restricted, slot);
      this.restrictedCount -= 1;
    }
    for (let field = 0; field < maxFields; field += 1)
      this.#words[field]! -= bucketLength((this.lengths[slot]! >>> (8 * field)) & 255);
    return slot;
  }

  /** Nothing refers to the slot any more. */
  release(slot: number): void {
    this.#free.push(slot);
  }

  get bytes(): number {
    // A map's entry: key, value, chain and its part of the buckets.
    const entries = this.#slots.size * 48 + this.#idBytes + (this.ids.length + this.#free.length) * 8;
    return (
      entries +
      this.lengths.byteLength +
      this.#revisions.byteLength +
      this.alive.byteLength +
      this.restricted.byteLength
    );
  }
}
