import type { StreamKey } from './eventLog.ts';

/**
 * Entries by stream. Found by the id of the stream, whose text has its hash already, and then told apart by module and
 * tenant: a key of all three would be put together, and hashed, for every message of the bus.
 */
export class StreamEntries<Entry extends { readonly follower: { readonly key: StreamKey } }> {
  readonly #byStream = new Map<string, Entry[]>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get({ module, tenantId, streamId }: StreamKey): Entry | undefined {
    const entries = this.#byStream.get(streamId);
    if (entries === undefined) return undefined;
    for (const entry of entries) {
      const { key } = entry.follower;
      if (key.tenantId === tenantId && key.module === module) return entry;
    }
    return undefined;
  }

  add(entry: Entry): void {
    const { streamId } = entry.follower.key;
    const entries = this.#byStream.get(streamId);
    if (entries === undefined) this.#byStream.set(streamId, [entry]);
    else entries.push(entry);
    this.#size += 1;
  }

  /** Takes this very entry out, where it still is the one of its stream. */
  remove(entry: Entry): void {
    const { streamId } = entry.follower.key;
    const entries = this.#byStream.get(streamId);
    const at = entries?.indexOf(entry) ?? -1;
    if (entries === undefined || at < 0) return;
    entries.splice(at, 1);
    if (entries.length === 0) this.#byStream.delete(streamId);
    this.#size -= 1;
  }

  *values(): Generator<Entry> {
    for (const entries of this.#byStream.values()) yield* entries;
  }

  clear(): void {
    this.#byStream.clear();
    this.#size = 0;
  }
}
