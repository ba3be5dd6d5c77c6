/** When a search ends. Without `maxMilliseconds` and `shouldStop` the result depends on problem and seed alone. */
export interface SearchLimits {
  /** Passes over all activities: generating a schedule is one, double justification two more. */
  readonly maxSchedules: number;
  /** Wall time; what is reached within it depends on the machine. @default none */
  readonly maxMilliseconds?: number | undefined;
  /** Asked after every few schedules. */
  readonly shouldStop?: (() => boolean) | undefined;
  /** Milliseconds that only grow. @default performance.now */
  readonly now?: (() => number) | undefined;
}

export interface Budget {
  elapsedMs(): number;
  /** Whether the search has to end after this many schedules. */
  isSpent(schedules: number): boolean;
  /** How much of the budget these schedules and the time so far have used, 0 to 1. */
  share(schedules: number): number;
}

export function createBudget(limits: SearchLimits): Budget {
  const {
    maxSchedules,
    maxMilliseconds = Number.POSITIVE_INFINITY,
    shouldStop,
    now = () => performance.now(),
  } = limits;
  const timed = Number.isFinite(maxMilliseconds);
  const started = now();
  let stopped = false;
  const share = (schedules: number): number =>
    Math.min(1, Math.max(schedules / maxSchedules, timed ? (now() - started) / maxMilliseconds : 0));
  return {
    elapsedMs: () => now() - started,
    isSpent(schedules) {
      stopped ||= share(schedules) >= 1 || (shouldStop?.() ?? false);
      return stopped;
    },
    share,
  };
}
