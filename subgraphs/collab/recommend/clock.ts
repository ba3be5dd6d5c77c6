/** Time that a search may take; it remembers whether somebody had to stop for it. */
export interface Clock {
  /** Asked before each piece of work. */
  isOver(): boolean;
  /** Left of it, ms. */
  leftMs(): number;
  readonly wasOver: boolean;
}

export function createClock(budgetMs = Number.POSITIVE_INFINITY): Clock {
  const endsAtMs = performance.now() + budgetMs;
  let wasOver = false;
  return {
    isOver() {
      wasOver ||= performance.now() >= endsAtMs;
      return wasOver;
    },
    leftMs: () => Math.max(0, endsAtMs - performance.now()),
    get wasOver() {
      return wasOver;
    },
  };
}
