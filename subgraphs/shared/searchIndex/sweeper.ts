import { type Bits, listBits, setBit } from './bits.ts';
import { withRoom } from './growth.ts';
import type { Postings } from './postings.ts';

/** A sweep begins when this part of the slots is dead, or so many. */
const deadShare = 1 / 8;
const deadMinimum = 64;
/** Entries looked at by each change while a sweep goes on: about 10 us. */
const entriesPerStep = 4_000;

/**
 * Takes the entries of removed documents out of the postings, some with each change, so that no single change pays for
 * all. A removed document's slot is free again when a sweep that began after its removal has passed every term.
 */
export class Sweeper {
  readonly #postings: Postings;
  readonly #release: (slot: number) => void;
  /** Removed since the sweep under way began. */
  #waiting: number[] = [];
  #sweeping: Bits | null = null;
  #sweepingCount = 0;
  #next = 0;
  #end = 0;

  constructor(postings: Postings, release: (slot: number) => void) {
    this.#postings = postings;
    this.#release = release;
  }

  /** Slots of removed documents whose entries may still be there. */
  get deadCount(): number {
    return this.#waiting.length + this.#sweepingCount;
  }

  add(slot: number): void {
    this.#waiting.push(slot);
  }

  /** Goes on with the sweep, or begins one when it is worth it. */
  step(slots: number, budget = entriesPerStep): void {
    if (this.#sweeping === null) {
      if (this.#waiting.length < Math.max(deadMinimum, slots * deadShare)) return;
      this.#begin(slots);
    }
    const removed = this.#sweeping!;
    let left = budget;
    // A term numbered since the sweep began holds nothing of what it removes.
    for (; this.#next < this.#end && left > 0; this.#next += 1) left -= 1 + this.#postings.sweep(this.#next, removed);
    if (this.#next === this.#end) this.#finish(removed);
  }

  /** Sweeps everything at once. */
  finishAll(slots: number): void {
    if (this.#sweeping !== null) this.step(slots, Infinity);
    if (this.#waiting.length === 0) return;
    this.#begin(slots);
    this.step(slots, Infinity);
  }

  #begin(slots: number): void {
    const removed = withRoom(new Uint32Array(0), (slots >>> 5) + 1);
    for (const slot of this.#waiting) setBit(removed, slot);
    this.#sweeping = removed;
    this.#sweepingCount = this.#waiting.length;
    this.#waiting = [];
    this.#next = 0;
    this.#end = this.#postings.limit;
  }

  #finish(removed: Bits): void {
    const slots = new Uint32Array(this.#sweepingCount);
    listBits(removed, slots);
    for (const slot of slots) this.#release(slot);
    this.#sweeping = null;
    this.#sweepingCount = 0;
  }

  get bytes(): number {
    return this.#waiting.length * 8 + (this.#sweeping?.byteLength ?? 0);
  }
}
