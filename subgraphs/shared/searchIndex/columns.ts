import { ChunkPool, maxChunkWords } from './chunkPool.ts';
import { detached, stringBytes, withRoom } from './growth.ts';

/** A condition beside the words. An empty `values` of `oneOf` or `anyOf` matches nothing, of `allOf` everything. */
export type Condition =
  /** The document's one value is among these. */
  | { readonly kind: 'oneOf'; readonly column: string; readonly values: readonly string[] }
  /** One of the document's values is among these, or all of these are the document's. */
  | { readonly kind: 'anyOf' | 'allOf'; readonly column: string; readonly values: readonly string[] }
  | {
      readonly kind: 'between';
      readonly column: string;
      readonly from?: number | undefined;
      readonly to?: number | undefined;
    };

/** A condition ready to be applied. */
export interface Filter {
  /** Documents it leaves at most, as far as is known: the least come first. */
  readonly estimate: number;
  /** Moves the slots that pass to the front of the list; answers how many they are. */
  keep(slots: Uint32Array, count: number): number;
}

export interface ValueCount {
  readonly value: string;
  readonly count: number;
}

const absent = 0;

/** Values by number, with how many documents have each; numbers of values nobody has any more are used again. */
class Dictionary {
  readonly #codes = new Map<string, number>();
  readonly values: string[] = [''];
  readonly #freed: number[] = [];
  #counts = new Uint32Array(0);
  #nameBytes = 0;

  take(value: string): number {
    let code = this.#codes.get(value);
    if (code === undefined) {
      const name = detached(value);
      code = this.#freed.pop() ?? this.values.length;
      this.values[code] = name;
      this.#codes.set(name, code);
      this.#nameBytes += stringBytes(name);
      this.#counts = withRoom(this.#counts, code + 1);
    }
    this.#counts[code]! += 1;
    return code;
  }

  drop(code: number): void {
    this.#counts[code]! -= 1;
    if (this.#counts[code]! > 0) return;
    const name = this.values[code]!;
    this.#codes.delete(name);
    this.#nameBytes -= stringBytes(name);
    this.#freed.push(code);
  }

  /** Numbers of those values that some document has. */
  find(values: readonly string[]): readonly number[] {
    return [...new Set(values)].flatMap((value) => this.#codes.get(value) ?? []);
  }

  countOf(code: number): number {
    return this.#counts[code]!;
  }

  get bytes(): number {
    return this.#counts.byteLength + this.#nameBytes;
  }
}

/** Most frequent first, then by value. */
function ranked(dictionary: Dictionary, counts: Uint32Array, limit: number): ValueCount[] {
  const found: ValueCount[] = [];
  for (let code = 1; code < counts.length; code += 1)
    if (counts[code]! > 0) found.push({ value: dictionary.values[code]!, count: counts[code]! });
  found.sort((a, b) => b.count - a.count || (a.value < b.value ? -1 : 1));
  return found.slice(0, limit);
}

function flagsOf(dictionary: Dictionary, codes: readonly number[]): Uint8Array {
  const flags = new Uint8Array(dictionary.values.length);
  for (const code of codes) flags[code] = 1;
  return flags;
}

const sumOf = (dictionary: Dictionary, codes: readonly number[]) =>
  codes.reduce((sum, code) => sum + dictionary.countOf(code), 0);

/** One value or none for each document. */
export class ValueColumn {
  readonly #dictionary = new Dictionary();
  #codes = new Uint32Array(0);

  set(slot: number, value: string | null): void {
    this.#codes = withRoom(this.#codes, slot + 1);
    this.#codes[slot] = value === null ? absent : this.#dictionary.take(value);
  }

  clear(slot: number): void {
    const code = this.#codes[slot]!;
    if (code !== absent) this.#dictionary.drop(code);
    this.#codes[slot] = absent;
  }

  oneOf(values: readonly string[]): Filter {
    const wanted = this.#dictionary.find(values);
    const flags = flagsOf(this.#dictionary, wanted);
    const codes = this.#codes;
    return {
      estimate: sumOf(this.#dictionary, wanted),
      keep(slots, count) {
        let kept = 0;
        for (let at = 0; at < count; at += 1) {
          const slot = slots[at]!;
          slots[kept] = slot;
          kept += flags[codes[slot]!]!;
        }
        return kept;
      },
    };
  }

  count(slots: Uint32Array, length: number, limit: number): ValueCount[] {
    const counts = new Uint32Array(this.#dictionary.values.length);
    for (let at = 0; at < length; at += 1) counts[this.#codes[slots[at]!]!]! += 1;
    return ranked(this.#dictionary, counts, limit);
  }

  get bytes(): number {
    return this.#dictionary.bytes + this.#codes.byteLength;
  }
}

/** Any number of different values for each document. */
export class SetColumn {
  readonly #dictionary = new Dictionary();
  readonly #pool = new ChunkPool();
  #offsets = new Uint32Array(0);
  #sizes = new Uint16Array(0);

  set(slot: number, values: readonly string[]): void {
    this.#offsets = withRoom(this.#offsets, slot + 1);
    this.#sizes = withRoom(this.#sizes, slot + 1);
    const different = [...new Set(values)];
    if (different.length > maxChunkWords) throw new RangeError(`expected at most ${maxChunkWords} values`);
    this.#sizes[slot] = different.length;
    if (different.length === 0) return;
    const offset = this.#pool.allocate(different.length);
    this.#offsets[slot] = offset;
    for (const [at, value] of different.entries()) this.#pool.words[offset + at] = this.#dictionary.take(value);
  }

  clear(slot: number): void {
    const size = this.#sizes[slot]!;
    if (size === 0) return;
    const offset = this.#offsets[slot]!;
    for (let at = offset; at < offset + size; at += 1) this.#dictionary.drop(this.#pool.words[at]!);
    this.#pool.release(offset, size);
    this.#sizes[slot] = 0;
  }

  anyOf(values: readonly string[]): Filter {
    const wanted = this.#dictionary.find(values);
    return this.#having(wanted, 1, sumOf(this.#dictionary, wanted));
  }

  allOf(values: readonly string[]): Filter {
    const wanted = this.#dictionary.find(values);
    const missing = wanted.length < new Set(values).size;
    const least = wanted.length === 0 ? Infinity : Math.min(...wanted.map((code) => this.#dictionary.countOf(code)));
    return this.#having(wanted, missing ? Infinity : wanted.length, missing ? 0 : least);
  }

  /** Documents with at least so many of the values. */
  #having(wanted: readonly number[], needed: number, estimate: number): Filter {
    const flags = flagsOf(this.#dictionary, wanted);
    const [offsets, sizes, words] = [this.#offsets, this.#sizes, this.#pool.words];
    return {
      estimate,
      keep(slots, count) {
        let kept = 0;
        for (let at = 0; at < count; at += 1) {
          const slot = slots[at]!;
          const end = offsets[slot]! + sizes[slot]!;
          let found = 0;
          for (let place = offsets[slot]!; place < end; place += 1) found += flags[words[place]!]!;
          slots[kept] = slot;
          if (found >= needed) kept += 1;
        }
        return kept;
      },
    };
  }

  count(slots: Uint32Array, length: number, limit: number): ValueCount[] {
    const counts = new Uint32Array(this.#dictionary.values.length);
    for (let at = 0; at < length; at += 1) {
      const slot = slots[at]!;
      const end = this.#offsets[slot]! + this.#sizes[slot]!;
      for (let place = this.#offsets[slot]!; place < end; place += 1) counts[this.#pool.words[place]!]! += 1;
    }
    return ranked(this.#dictionary, counts, limit);
  }

  get bytes(): number {
    return this.#dictionary.bytes + this.#pool.bytes + this.#offsets.byteLength + this.#sizes.byteLength;
  }
}

/** One number for each document, times in milliseconds say. */
export class NumberColumn {
  #numbers = new Float64Array(0);

  set(slot: number, value: number): void {
    this.#numbers = withRoom(this.#numbers, slot + 1);
    this.#numbers[slot] = value;
  }

  get(slot: number): number {
    return this.#numbers[slot]!;
  }

  between(from: number, to: number): Filter {
    const numbers = this.#numbers;
    return {
      estimate: Infinity,
      keep(slots, count) {
        let kept = 0;
        for (let at = 0; at < count; at += 1) {
          const slot = slots[at]!;
          const value = numbers[slot]!;
          slots[kept] = slot;
          if (value >= from && value <= to) kept += 1;
        }
        return kept;
      },
    };
  }

  get bytes(): number {
    return this.#numbers.byteLength;
  }
}
