export interface TokenDemand {
  readonly resourceId: string;
  readonly amount: number;
}

export interface TokenPool {
  /** The first resource the node lacks, or null when everything it needs is free and not kept for another. */
  lacking(node: number): string | null;
  take(node: number): void;
  release(node: number): void;
  /** Amount by resource, of those it needs some of. */
  needsOf(node: number): ReadonlyMap<string, number>;
  /** Keeps what the node needs from all others until it has taken it. One node at a time; null keeps nothing. */
  reserveFor(node: number | null): void;
  readonly reservedFor: number | null;
  isReserved(resourceId: string): boolean;
  free(resourceId: string): number;
  inUse(resourceId: string): number;
}

/**
 * Renewable resources by node.
 * @throws {RangeError} for a demand of an unknown resource or above its capacity: such a step would never start.
 */
export function createTokenPool(
  capacities: ReadonlyMap<string, number>,
  demandsOf: readonly (readonly TokenDemand[])[],
): TokenPool {
  const free = new Map(capacities);
  const needs = demandsOf.map((demands, node) => {
    const total = new Map<string, number>();
    for (const { resourceId, amount } of demands)
      if (amount > 0) total.set(resourceId, (total.get(resourceId) ?? 0) + amount);
    for (const [resourceId, amount] of total) {
      const capacity = capacities.get(resourceId) ?? 0;
      if (amount > capacity)
        throw new RangeError(`expected at most ${capacity} of '${resourceId}' for the step at ${node}, got ${amount}`);
    }
    return total;
  });
  const nothing: ReadonlyMap<string, number> = new Map();
  const needsOf = (node: number): ReadonlyMap<string, number> => needs[node] ?? nothing;
  let reservedFor: number | null = null;
  let reserved = nothing;
  return {
    lacking(node) {
      for (const [resourceId, amount] of needsOf(node)) {
        if (amount > free.get(resourceId)!) return resourceId;
        if (node !== reservedFor && reserved.has(resourceId)) return resourceId;
      }
      return null;
    },
    take(node) {
      for (const [resourceId, amount] of needsOf(node)) free.set(resourceId, free.get(resourceId)! - amount);
    },
    release(node) {
      for (const [resourceId, amount] of needsOf(node)) free.set(resourceId, free.get(resourceId)! + amount);
    },
    needsOf,
    reserveFor(node) {
      reservedFor = node;
      reserved = node === null ? nothing : needsOf(node);
    },
    get reservedFor() {
      return reservedFor;
    },
    isReserved: (resourceId) => reserved.has(resourceId),
    free: (resourceId) => free.get(resourceId) ?? 0,
    inUse: (resourceId) => (capacities.get(resourceId) ?? 0) - (free.get(resourceId) ?? 0),
  };
}
