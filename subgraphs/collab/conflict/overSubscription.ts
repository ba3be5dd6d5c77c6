/** An amount of something from `start` (included) to `end` (not included). */
export interface Interval {
  readonly id: string;
  readonly start: number;
  readonly end: number;
  readonly amount: number;
}

export interface Overload {
  readonly start: number;
  readonly end: number;
  /** The most that is taken at once in it. */
  readonly peak: number;
  /** All that take part of it. */
  readonly ids: readonly string[];
}

/**
 * Times in which more is taken than there is, by a sweep over the ends of the intervals (Shamos & Hoey 1976), O(n log n).
 * Overloads that touch are one.
 */
export function overloads(intervals: readonly Interval[], capacity: number): readonly Overload[] {
  const points = intervals
    .filter(({ start, end, amount }) => end > start && amount > 0)
    .flatMap((interval) => [
      { at: interval.start, isStart: true, interval },
      { at: interval.end, isStart: false, interval },
    ])
    // What ends makes room before what begins at the same instant.
    .sort((one, other) => one.at - other.at || Number(one.isStart) - Number(other.isStart));
  const active = new Map<string, Interval>();
  const found: Overload[] = [];
  let open: { start: number; peak: number; ids: Set<string> } | null = null;
  for (let at = 0; at < points.length; ) {
    const now = points[at]!.at;
    for (; points[at]?.at === now; at += 1) {
      const { isStart, interval } = points[at]!;
      if (isStart) active.set(interval.id, interval);
      else active.delete(interval.id);
    }
    const taken = [...active.values()].reduce((sum, { amount }) => sum + amount, 0);
    if (taken > capacity * (1 + 1e-9)) {
      open ??= { start: now, peak: 0, ids: new Set() };
      open.peak = Math.max(open.peak, taken);
      for (const id of active.keys()) open.ids.add(id);
    } else if (open !== null) {
      found.push({ start: open.start, end: now, peak: open.peak, ids: [...open.ids].sort() });
      open = null;
    }
  }
  return found;
}
