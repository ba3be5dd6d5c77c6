import { withRoom } from './growth.ts';

/** Sizes of chunks in words, two to an octave: at most a third of a chunk stays empty. */
const sizes: readonly number[] = (() => {
  const list = [1, 2, 3];
  for (let size = 4; size <= 4_096; size *= 2) list.push(size, size * 1.5);
  return list;
})();

/** Words of the largest chunk. */
export const maxChunkWords = sizes.at(-1)!;

const classes = (() => {
  const table = new Uint8Array(maxChunkWords + 1);
  let at = 0;
  for (let words = 0; words <= maxChunkWords; words += 1) {
    while (sizes[at]! < words) at += 1;
    table[words] = at;
  }
  return table;
})();

/**
 * Many short lists of 32-bit words in one array: an array of its own costs a list of a few words ten times its size.
 * Freed chunks are given out again by their size class.
 */
export class ChunkPool {
  words = new Uint32Array(0);
  #used = 0;
  readonly #free: number[][] = sizes.map(() => []);

  /** Words a chunk has that was asked for with this length. */
  roomFor(length: number): number {
    return sizes[classes[length]!]!;
  }

  /** Answers where a chunk of at least `length` words begins; `length` is at most `maxChunkWords`. */
  allocate(length: number): number {
    const sizeClass = classes[length]!;
    const freed = this.#free[sizeClass]!.pop();
    if (freed !== undefined) return freed;
    const offset = this.#used;
    this.#used += sizes[sizeClass]!;
    this.words = withRoom(this.words, this.#used);
    return offset;
  }

  /** Gives back a chunk that was allocated with this length. */
  release(offset: number, length: number): void {
    this.#free[classes[length]!]!.push(offset);
  }

  get bytes(): number {
    return this.words.byteLength + this.#free.reduce((sum, list) => sum + list.length * 8, 0);
  }
}
