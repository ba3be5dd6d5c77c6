/** Entries a shard holds on average before the number of shards is quadrupled. */
const crowdedAt = 48;

type Shard<V> = ReadonlyMap<string, V>;

/**
 * An immutable map from strings: `set` and `delete` answer a new map that shares all but one shard with the old one.
 * A two-level hash table; a change copies one array of shards and one shard of about 48 entries. Order is by hash.
 */
export class PersistentMap<V> {
  readonly size: number;
  readonly #shards: readonly (Shard<V> | undefined)[];

  private constructor(size: number, shards: readonly (Shard<V> | undefined)[]) {
    this.size = size;
    this.#shards = shards;
  }

  static empty<V>(): PersistentMap<V> {
    return new PersistentMap<V>(0, [undefined]);
  }

  /** Of entries with the same key the last one stays. */
  static from<V>(entries: Iterable<readonly [string, V]>): PersistentMap<V> {
    const all = new Map(entries);
    let count = 1;
    while (all.size > count * crowdedAt) count *= 4;
    const shards = new Array<Map<string, V> | undefined>(count).fill(undefined);
    for (const [key, value] of all) {
      const at = hashOf(key) & (count - 1);
      const shard = shards[at];
      if (shard === undefined) shards[at] = new Map([[key, value]]);
      else shard.set(key, value);
    }
    return new PersistentMap<V>(all.size, shards);
  }

  get(key: string): V | undefined {
    const count = this.#shards.length;
    return this.#shards[count === 1 ? 0 : hashOf(key) & (count - 1)]?.get(key);
  }

  has(key: string): boolean {
    return this.#shards[hashOf(key) & (this.#shards.length - 1)]?.has(key) ?? false;
  }

  set(key: string, value: V): PersistentMap<V> {
    const at = hashOf(key) & (this.#shards.length - 1);
    const shard = new Map(this.#shards[at]);
    const before = shard.size;
    shard.set(key, value);
    const size = this.size + shard.size - before;
    if (size > this.#shards.length * crowdedAt) {
      return PersistentMap.from<V>([...this.entries(), [key, value]]);
    }
    const shards = this.#shards.slice();
    shards[at] = shard;
    return new PersistentMap<V>(size, shards);
  }

  delete(key: string): PersistentMap<V> {
    const at = hashOf(key) & (this.#shards.length - 1);
    if (!this.#shards[at]?.has(key)) return this;
    const shard = new Map(this.#shards[at]);
    shard.delete(key);
    const shards = this.#shards.slice();
    shards[at] = shard.size === 0 ? undefined : shard;
    return new PersistentMap<V>(this.size - 1, shards);
  }

  *entries(): Generator<readonly [string, V]> {
    for (const shard of this.#shards) if (shard !== undefined) yield* shard;
  }

  *keys(): Generator<string> {
    for (const [key] of this.entries()) yield key;
  }

  *values(): Generator<V> {
    for (const [, value] of this.entries()) yield value;
  }
}

/** FNV-1a over UTF-16 units (Fowler, Noll, Vo), its high bits folded into the low ones that choose the shard. */
function hashOf(key: string): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < key.length; at += 1) hash = Math.imul(hash ^ key.charCodeAt(at), 0x01000193);
  return (hash ^ (hash >>> 15)) >>> 0;
}
