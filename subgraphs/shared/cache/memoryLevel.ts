import { LRUCache } from 'lru-cache';
import type { Groups } from './groupStats.ts';

/** What is kept: the serialised form, never an object that somebody could change. */
export type CacheValue = string | Buffer;

export interface MemoryEntry {
  readonly key: string;
  readonly value: CacheValue;
  readonly tags: readonly string[];
  /** Sequence of the shared level before this was loaded; null when it was not reachable then. */
  readonly stamp: number | null;
  readonly ttlMs: number;
  readonly storedAtMs: number;
}

export interface MemoryLevel {
  get(key: string): MemoryEntry | undefined;
  set(entry: MemoryEntry): void;
  /** Removes the entry only if it is still this one. */
  remove(entry: MemoryEntry): void;
  /** Drops every entry with one of the tags; returns how many. */
  invalidate(tags: Iterable<string>): number;
  clear(): void;
  readonly entries: number;
  readonly bytes: number;
  readonly tags: number;
  readonly evictions: number;
}

/** Entries are found by tag through nodes they point to, so that one leaving never searches and an unused tag is gone. */
interface TagNode {
  readonly tag: string;
  readonly entries: Set<MemoryEntry>;
}

/** What a tag costs: its place in the entry and in the index, bytes. */
const bytesPerTag = 96;
const bytesPerEntry = 320;

export interface MemoryLevelOptions {
  readonly maxEntries: number;
  readonly maxBytes: number;
  readonly ttlMs: number;
  /** Told of every entry that comes and goes. */
  readonly observer?: Pick<Groups, 'entered' | 'left'> | undefined;
}

export function createMemoryLevel(options: MemoryLevelOptions): MemoryLevel {
  const index = new Map<string, TagNode>();
  const linked = new Map<MemoryEntry, { readonly nodes: TagNode[]; readonly size: number }>();
  let evictions = 0;

  const lru = new LRUCache<string, MemoryEntry>({
    max: options.maxEntries,
    maxSize: options.maxBytes,
    ttl: options.ttlMs,
    dispose(entry, _key, reason) {
      if (reason === 'evict') evictions += 1;
      unlink(entry, reason === 'evict');
    },
  });

  function link(entry: MemoryEntry, size: number): void {
    const nodes: TagNode[] = [];
    for (const tag of entry.tags) {
      let node = index.get(tag);
      if (!node) {
        node = { tag, entries: new Set() };
        index.set(tag, node);
      }
      node.entries.add(entry);
      nodes.push(node);
    }
    linked.set(entry, { nodes, size });
    options.observer?.entered(entry.key, size);
  }

  function unlink(entry: MemoryEntry, evicted: boolean): void {
    const link = linked.get(entry);
    if (link === undefined) return;
    for (const node of link.nodes) {
      node.entries.delete(entry);
      if (node.entries.size === 0) index.delete(node.tag);
    }
    linked.delete(entry);
    options.observer?.left(entry.key, link.size, evicted);
  }

  return {
    get: (key) => lru.get(key),
    set(entry) {
      const size = sizeOf(entry);
      if (size > options.maxBytes / 8) {
        lru.delete(entry.key);
        return;
      }
      lru.set(entry.key, entry, { size, ttl: Math.min(entry.ttlMs, options.ttlMs) });
      link(entry, size);
    },
    remove(entry) {
      if (lru.peek(entry.key, { allowStale: true }) === entry) lru.delete(entry.key);
    },
    invalidate(tags) {
      let dropped = 0;
      for (const tag of tags) {
        for (const entry of index.get(tag)?.entries ?? []) {
          lru.delete(entry.key);
          dropped += 1;
        }
      }
      return dropped;
    },
    clear: () => lru.clear(),
    get entries() {
      return lru.size;
    },
    get bytes() {
      return lru.calculatedSize;
    },
    get tags() {
      return index.size;
    },
    get evictions() {
      return evictions;
    },
  };
}

function sizeOf(entry: MemoryEntry): number {
  let size = bytesPerEntry + entry.key.length + Buffer.byteLength(entry.value);
  for (const tag of entry.tags) size += bytesPerTag + tag.length;
  return size;
}
