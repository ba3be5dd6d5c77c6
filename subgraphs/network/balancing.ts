import { createLru } from '#shared/lru.ts';

export const balancings = ['nearest', 'round_robin', 'weighted', 'least_connections', 'random'] as const;
export type Balancing = (typeof balancings)[number];

/** Something that one of several is chosen of. */
export interface Balanced {
  readonly id: string;
  /** 0 or more; what weighs nothing comes last. */
  readonly weight: number;
  /** Null where it is not known. */
  readonly latencyMs: number | null;
  readonly connections: number;
}

/** Turns that are remembered; the least used begin anew. */
const maxTurns = 10_000;

/**
 * Puts what may be chosen in the order in which it is to be tried. Turns are those of this process, and begin anywhere:
 * several processes do not begin with the same one.
 */
export function createBalancer(random: () => number = Math.random) {
  const turns = createLru<number>(maxTurns);

  function byKey<Item>(items: readonly Item[], keyOf: (item: Item) => number): readonly Item[] {
    return items
      .map((item) => ({ item, key: keyOf(item) }))
      .sort((one, other) => one.key - other.key)
      .map(({ item }) => item);
  }

  /** @param pool names what is chosen of: turns go on where it is the same */
  return function balance<Item extends Balanced>(
    balancing: Balancing,
    items: readonly Item[],
    pool: string,
  ): readonly Item[] {
    const steady = [...items].sort((one, other) => (one.id < other.id ? -1 : 1));
    const last = Number.POSITIVE_INFINITY;
    switch (balancing) {
      case 'nearest':
        return steady.sort(
          (one, other) =>
            (one.latencyMs ?? Number.MAX_VALUE) - (other.latencyMs ?? Number.MAX_VALUE) || other.weight - one.weight,
        );
      case 'round_robin': {
        if (steady.length === 0) return steady;
        const turn = (turns.get(pool) ?? Math.floor(random() * steady.length)) % steady.length;
        turns.set(pool, turn + 1);
        return [...steady.slice(turn), ...steady.slice(0, turn)];
      }
      case 'weighted':
        // Drawn without putting back, each by its weight (Efraimidis & Spirakis 2006).
        return byKey(steady, ({ weight }) => (weight === 0 ? last : -Math.log(1 - random()) / weight));
      case 'least_connections':
        return byKey(steady, ({ connections, weight }) => (weight === 0 ? last : (connections + 1) / weight));
      case 'random':
        return byKey(steady, () => random());
    }
  };
}
