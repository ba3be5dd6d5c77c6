import { LRUCache } from 'lru-cache';

/**
 * A cache of the `maxEntries` entries that were used last, which takes memory as it fills. Told only how many there may be
 * (`max`), the package makes room for all of them at once.
 */
export function createLru<Value extends NonNullable<unknown>>(
  maxEntries: number,
  options: { readonly ttl?: number } = {},
): LRUCache<string, Value> {
  return new LRUCache({ ...options, maxSize: maxEntries, sizeCalculation: countOne });
}

const countOne = (): number => 1;
