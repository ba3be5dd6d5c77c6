export interface Claim {
  readonly id: string;
  readonly amount: number;
  /** More than 0. */
  readonly weight: number;
  /** The higher goes first where priorities decide. */
  readonly priority: number;
}

/**
 * Weighted max-min fairness by progressive filling (Bertsekas & Gallager 1992): all shares grow in proportion to their
 * weights; who has what it asks for stops growing. Of one divisible good it is the bargaining solution of Nash (1950)
 * with the weights as powers too.
 */
export function fairShares(claims: readonly Claim[], capacity: number): ReadonlyMap<string, number> {
  const shares = new Map(claims.map(({ id }) => [id, 0]));
  let left = Math.max(0, capacity);
  let open = claims.filter(({ amount }) => amount > 0);
  while (open.length > 0 && left > 0) {
    const weights = open.reduce((sum, { weight }) => sum + weight, 0);
    const level = left / weights;
    const full = open.filter(({ amount, weight }) => amount <= level * weight);
    if (full.length === 0) {
      for (const { id, weight } of open) shares.set(id, level * weight);
      return shares;
    }
    for (const { id, amount } of full) {
      shares.set(id, amount);
      left = Math.max(0, left - amount);
    }
    open = open.filter((claim) => !full.includes(claim));
  }
  return shares;
}

/** The highest priority first, each up to what it asks for; equals share fairly. */
export function sharesByPriority(claims: readonly Claim[], capacity: number): ReadonlyMap<string, number> {
  const shares = new Map<string, number>();
  let left = Math.max(0, capacity);
  const levels = [...Map.groupBy(claims, ({ priority }) => priority)].sort(([one], [other]) => other - one);
  for (const [, group] of levels) {
    const given = fairShares(group, left);
    for (const [id, share] of given) {
      shares.set(id, share);
      left = Math.max(0, left - share);
    }
  }
  return shares;
}

export interface Slice {
  readonly id: string;
  readonly start: number;
  readonly end: number;
  readonly amount: number;
}

/**
 * One after the other in the whole time from `start` to `end`: each gets all it asks for during a part of it in proportion
 * to its weight, the higher priority earlier. Claims above the capacity are cut to it.
 */
export function timeSlices(
  claims: readonly Claim[],
  { capacity, start, end }: { readonly capacity: number; readonly start: number; readonly end: number },
): readonly Slice[] {
  const open = claims.filter(({ amount }) => amount > 0);
  const weights = open.reduce((sum, { weight }) => sum + weight, 0);
  const order = [...open].sort((one, other) => other.priority - one.priority);
  let at = start;
  return order.map(({ id, amount, weight }, place) => {
    const from = at;
    at = place === order.length - 1 ? end : at + ((end - start) * weight) / weights;
    return { id, start: from, end: at, amount: Math.min(amount, capacity) };
  });
}
