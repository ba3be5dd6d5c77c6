import { type Bits, hasBit } from './bits.ts';
import { ChunkPool, maxChunkWords } from './chunkPool.ts';
import { detached, stringBytes, withRoom } from './growth.ts';

/** Where a term's entries lie: pairs of (document slot, packed frequencies) in `words` from `start` to `end`. */
export interface PostingList {
  readonly words: Uint32Array;
  readonly start: number;
  readonly end: number;
}

const empty: PostingList = { words: new Uint32Array(0), start: 0, end: 0 };
const entryWords = 2;
const noTerm = -1;

/**
 * Which documents contain a term and how often in each field. Short lists share a pool, long ones have arrays of their
 * own. Entries stand in no order; those of removed documents stay until a sweep.
 */
export class Postings {
  readonly #numbers = new Map<string, number>();
  readonly #names: string[] = [];
  readonly #freed: number[] = [];
  readonly #pool = new ChunkPool();
  readonly #long = new Map<number, Uint32Array>();
  #offsets = new Uint32Array(0);
  #lengths = new Uint32Array(0);
  /** Words there is room for. */
  #rooms = new Uint32Array(0);
  #nameBytes = 0;
  #longBytes = 0;

  /** Terms ever numbered and not given back: the end of what a sweep walks through. */
  get limit(): number {
    return this.#names.length;
  }

  get termCount(): number {
    return this.#numbers.size;
  }

  find(term: string): PostingList {
    const number = this.#numbers.get(term) ?? noTerm;
    return number === noTerm ? empty : this.#listOf(number);
  }

  #listOf(number: number): PostingList {
    const length = this.#lengths[number]!;
    const long = this.#long.get(number);
    if (long) return { words: long, start: 0, end: length };
    const start = this.#offsets[number]!;
    return { words: this.#pool.words, start, end: start + length };
  }

  append(term: string, slot: number, frequencies: number): void {
    const number = this.#numbers.get(term) ?? this.#create(term);
    const length = this.#lengths[number]!;
    if (length + entryWords > this.#rooms[number]!) this.#enlarge(number, length + entryWords);
    const long = this.#long.get(number);
    const words = long ?? this.#pool.words;
    const at = (long ? 0 : this.#offsets[number]!) + length;
    words[at] = slot;
    words[at + 1] = frequencies;
    this.#lengths[number] = length + entryWords;
  }

  #create(term: string): number {
    const name = detached(term);
    const number = this.#freed.pop() ?? this.#names.length;
    this.#names[number] = name;
    this.#numbers.set(name, number);
    this.#nameBytes += stringBytes(name);
    this.#offsets = withRoom(this.#offsets, number + 1);
    this.#lengths = withRoom(this.#lengths, number + 1);
    this.#rooms = withRoom(this.#rooms, number + 1);
    this.#lengths[number] = 0;
    this.#rooms[number] = 0;
    return number;
  }

  #enlarge(number: number, needed: number): void {
    const { words, start, end } = this.#listOf(number);
    const entries = words.slice(start, end);
    this.#release(number);
    // Half as much again, so that appending stays cheap; the first entries come one by one.
    this.#store(number, entries, needed <= 8 ? needed : Math.ceil(needed * 1.25));
  }

  /** Puts the entries into a chunk or array with room for `room` words. */
  #store(number: number, entries: Uint32Array, room: number): void {
    if (room <= maxChunkWords) {
      const offset = this.#pool.allocate(room);
      this.#pool.words.set(entries, offset);
      this.#offsets[number] = offset;
      this.#rooms[number] = this.#pool.roomFor(room);
    } else {
      const own = new Uint32Array(room + (room & 1));
      own.set(entries);
      this.#long.set(number, own);
      this.#longBytes += own.byteLength;
      this.#rooms[number] = own.length;
    }
  }

  #release(number: number): void {
    const long = this.#long.get(number);
    if (long) {
      this.#long.delete(number);
      this.#longBytes -= long.byteLength;
    } else if (this.#rooms[number]! > 0) {
      this.#pool.release(this.#offsets[number]!, this.#rooms[number]!);
    }
    this.#rooms[number] = 0;
  }

  /** Drops a term's entries of these documents; answers how many entries were looked at. */
  sweep(number: number, removed: Bits): number {
    const length = this.#lengths[number]!;
    if (length === 0) return 0;
    const { words, start, end } = this.#listOf(number);
    let kept = start;
    for (let at = start; at < end; at += entryWords) {
      const slot = words[at]!;
      if (hasBit(removed, slot)) continue;
      words[kept] = slot;
      words[kept + 1] = words[at + 1]!;
      kept += entryWords;
    }
    this.#lengths[number] = kept - start;
    if (kept === start) this.#forget(number);
    else if (kept - start < this.#rooms[number]! / 2) {
      const entries = words.slice(start, kept);
      this.#release(number);
      this.#store(number, entries, entries.length);
    }
    return length / entryWords;
  }

  #forget(number: number): void {
    this.#release(number);
    const name = this.#names[number]!;
    this.#numbers.delete(name);
    this.#names[number] = '';
    this.#nameBytes -= stringBytes(name);
    this.#freed.push(number);
  }

  get bytes(): number {
    const { byteLength } = this.#offsets;
    return this.#pool.bytes + this.#longBytes + this.#nameBytes + 3 * byteLength + this.#names.length * 8;
  }
}
