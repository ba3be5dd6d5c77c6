import type { CacheCounter } from './cacheStats.ts';

/** Counts since the cache was made, and what of the group stands in the first level now. */
export interface GroupStats extends Readonly<Record<CacheCounter, number>> {
  readonly evictions: number;
  readonly entries: number;
  /** In the first level. */
  readonly bytes: number;
}

type Group = { -readonly [Name in keyof GroupStats]: number };

/** What is cached, told apart by key. A group never goes, so the first ones have counts of their own and the rest share one. */
export interface Groups {
  add(key: string, counter: CacheCounter): void;
  entered(key: string, bytes: number): void;
  left(key: string, bytes: number, evicted: boolean): void;
  /** By name; the shared one has the name `''`. */
  all(): ReadonlyMap<string, GroupStats>;
}

const overflow = '';

export function createGroups(groupOf: (key: string) => string, maxGroups = 5_000): Groups {
  const groups = new Map<string, Group>();
  const of = (key: string): Group => {
    let name = groupOf(key);
    let group = groups.get(name);
    if (group !== undefined) return group;
    if (groups.size >= maxGroups) {
      name = overflow;
      group = groups.get(name);
    }
    if (group === undefined) {
      group = createGroup();
      groups.set(name, group);
    }
    return group;
  };
  return {
    add(key, counter) {
      of(key)[counter] += 1;
    },
    entered(key, bytes) {
      const group = of(key);
      group.entries += 1;
      group.bytes += bytes;
    },
    left(key, bytes, evicted) {
      const group = of(key);
      group.entries -= 1;
      group.bytes -= bytes;
      if (evicted) group.evictions += 1;
    },
    all: () => groups,
  };
}

function createGroup(): Group {
  return {
    l1Hits: 0,
    l1Misses: 0,
    l2Hits: 0,
    l2Misses: 0,
    loads: 0,
    joined: 0,
    staleDrops: 0,
    refusedStores: 0,
    invalidatedEntries: 0,
    evictions: 0,
    entries: 0,
    bytes: 0,
  };
}
