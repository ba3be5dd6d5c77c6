export interface LevelStats {
  readonly hits: number;
  readonly misses: number;
  readonly ratio: number;
}

export interface CacheStats {
  readonly l1: LevelStats & { entries: number; bytes: number; tags: number; evictions: number };
  readonly l2: LevelStats & { usable: boolean; refusedStores: number };
  /** Share of lookups that did not reach the load. */
  readonly ratio: number;
  readonly loads: number;
  /** Loads that others waited for instead of loading themselves. */
  readonly joined: number;
  /** Results not kept, or not handed to a late asker, because a tag was invalidated meanwhile. */
  readonly staleDrops: number;
  /** Entries dropped by tag. */
  readonly invalidatedEntries: number;
}

export type CacheCounter =
  | 'l1Hits'
  | 'l1Misses'
  | 'l2Hits'
  | 'l2Misses'
  | 'loads'
  | 'joined'
  | 'staleDrops'
  | 'refusedStores'
  | 'invalidatedEntries';

/** Told of every count as it happens; a metrics registry listens here. */
export interface CacheMetrics {
  count(counter: CacheCounter, by: number): void;
}

export interface Counters {
  readonly values: Readonly<Record<CacheCounter, number>>;
  add(counter: CacheCounter, by?: number): void;
}

export function createCounters(metrics: CacheMetrics | undefined): Counters {
  const values: Record<CacheCounter, number> = {
    l1Hits: 0,
    l1Misses: 0,
    l2Hits: 0,
    l2Misses: 0,
    loads: 0,
    joined: 0,
    staleDrops: 0,
    refusedStores: 0,
    invalidatedEntries: 0,
  };
  return {
    values,
    add(counter, by = 1) {
      values[counter] += by;
      metrics?.count(counter, by);
    },
  };
}

export function ratio(hits: number, misses: number): number {
  return hits + misses === 0 ? 0 : hits / (hits + misses);
}
