/** When a search ends. Without `maxMilliseconds` and `shouldStop` the result depends on problem and seed alone. */
export interface SearchLimits {
  /** Passes over all activities: generating a schedule is one, double justification two more. */
  readonly maxSchedules: number;
  /** Wall time; what is reached within it depends on the machine. @default none */
  readonly maxMilliseconds?: number;
  /** Asked every few schedules. */
  readonly shouldStop?: () => boolean;
  /** Milliseconds that only grow. @default performance.now */
  readonly now?: () => number;
}

export interface Budget {
  readonly elapsedMs: () => number;
  /** Whether the search has to end after this many schedules. */
  readonly isSpent: (schedules: number) => boolean;
}

export function createBudget({
  maxSchedules,
  maxMilliseconds,
  shouldStop,
  now = () => performance.now(),
}: SearchLimits): Budget {
  const started = now();
  let stopped = false;
  return {
    elapsedMs: () => now() - started,
    isSpent(schedules) {
      stopped ||=
        schedules >= maxSchedules ||
        (maxMilliseconds !== undefined && now() - started >= maxMilliseconds) ||
        (shouldStop?.() ?? false);
      return stopped;
    },
  };
}
