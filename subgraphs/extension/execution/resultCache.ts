import { createHash } from 'node:crypto';
import canonicalize from 'canonicalize';
import { LRUCache } from 'lru-cache';

const maxEntries = 10_000;
const maxBytes = 64 * 1_048_576;

/** Results of pure methods by everything they depend on. */
export function createResultCache() {
  const results = new LRUCache<string, string>({
    max: maxEntries,
    maxSize: maxBytes,
    sizeCalculation: (text) => 2 * text.length + 128,
  });
  return {
    /** SHA-256 of release, method, configuration and canonical parameters (RFC 8785), hex. */
    keyOf(parts: readonly unknown[]): string {
      return createHash('sha256')
        .update(canonicalize(parts) ?? '')
        .digest('hex');
    },
    get: (key: string) => results.get(key),
    set: (key: string, value: string, ttlSeconds: number) => void results.set(key, value, { ttl: ttlSeconds * 1_000 }),
  };
}
