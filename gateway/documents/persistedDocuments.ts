import { createHash } from 'node:crypto';
import type { Redis } from 'ioredis';
import { LRUCache } from 'lru-cache';
import type { TrustedDocuments } from '#shared/trustedDocuments.ts';

/** Documents that clients stored under their SHA-256 by sending them once (automatic persisted queries). */
export interface PersistedDocuments {
  get(hash: string): Promise<string | undefined>;
  /** What `get` would find in the process. */
  peek(hash: string): string | undefined;
  set(hash: string, source: string): Promise<void>;
  delete(hash: string): Promise<boolean>;
}

const isHash = (text: string): boolean => /^[0-9a-f]{64}$/.test(text);
const maxEntries = 5_000;
/** A document within the limit of tokens is shorter, unless it is mostly comment. */
const maxCharacters = 65_536;
const maxBytes = 32 * 1_048_576;
const lifeSeconds = 24 * 60 * 60;

/**
 * Keeps them in the process and, with Redis, for all instances. Redis is asked for hashes alone, its answer is held
 * against the hash, and losing it costs the client one more round trip. What an instance put there goes when it leaves the
 * process, so there is never more of it than each instance holds.
 */
export function createPersistedDocuments(redis: Redis | null): PersistedDocuments {
  const known = new LRUCache<string, { readonly source: string; readonly isOwn: boolean }>({
    max: maxEntries,
    maxSize: maxBytes,
    sizeCalculation: ({ source }) => source.length + 64,
    dispose({ isOwn }, hash, reason) {
      if (isOwn && reason === 'evict') redis?.del(keyOf(hash)).catch(() => 0);
    },
  });
  const keyOf = (hash: string) => `mplp:document:${hash}`;
  return {
    async get(hash) {
      if (!isHash(hash)) return undefined;
      const local = known.get(hash)?.source;
      if (local !== undefined || redis === null) return local;
      const shared = await redis.get(keyOf(hash)).catch(() => null);
      if (shared === null || createHash('sha256').update(shared).digest('hex') !== hash) return undefined;
      known.set(hash, { source: shared, isOwn: false });
      return shared;
    },
    peek: (hash) => known.get(hash)?.source,
    async set(hash, source) {
      if (!isHash(hash) || source.length > maxCharacters) return;
      known.set(hash, { source, isOwn: true });
      await redis?.set(keyOf(hash), source, 'EX', lifeSeconds).catch(() => null);
    },
    async delete(hash) {
      await redis?.del(keyOf(hash)).catch(() => 0);
      return known.delete(hash);
    },
  };
}

/** Finds trusted documents too, for requests whose body nobody has looked into (GET). */
export function withTrusted(persisted: PersistedDocuments, trusted: TrustedDocuments): PersistedDocuments {
  return { ...persisted, get: async (hash) => trusted.find(hash) ?? (await persisted.get(hash)) };
}
