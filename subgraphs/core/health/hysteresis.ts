export const overalls = ['healthy', 'warning', 'degraded', 'unhealthy', 'critical'] as const;
export type Overall = (typeof overalls)[number];

export interface Settled {
  readonly shown: Overall;
  /** What was seen last, and how often in a row on the same side of what is shown. */
  readonly seen: Overall;
  readonly times: number;
}

/** Looks in a row until something worse, or better, is shown: one slow probe alarms nobody. */
export const looksUntilWorse = 2;
export const looksUntilBetter = 3;

/** What is shown after another look. The first look is shown as it is. */
export function settleOverall(before: Settled | null, seen: Overall): Settled {
  if (before === null) return { shown: seen, seen, times: 0 };
  const rank = (overall: Overall) => overalls.indexOf(overall);
  const side = Math.sign(rank(seen) - rank(before.shown));
  if (side === 0) return { shown: before.shown, seen, times: 0 };
  const times = Math.sign(rank(before.seen) - rank(before.shown)) === side ? before.times + 1 : 1;
  const needed = side > 0 ? looksUntilWorse : looksUntilBetter;
  return times >= needed ? { shown: seen, seen, times: 0 } : { shown: before.shown, seen, times };
}
