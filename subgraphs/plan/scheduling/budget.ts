/**
 * When a search ends. Without `maxMilliseconds` and `shouldStop` the result depends on problem and seed alone; with
 * `pacedByTime: false` it does as long as time does not end the search.
 */
export interface SearchLimits {
  /** Passes over all activities: generating a schedule is one, double justification two more. */
  readonly maxSchedules: number;
  /** Wall time; what is reached within it depends on the machine. @default none */
  readonly maxMilliseconds?: number | undefined;
  /** Whether a search cools as time passes, where that is faster than its schedules. @default true */
  readonly pacedByTime?: boolean | undefined;
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
  /** Whether time has ended or paced the search so far: another run may find something else. */
  isTimeLimited(): boolean;
}

export function createBudget(limits: SearchLimits): Budget {
  const {
    maxSchedules,
    maxMilliseconds = Number.POSITIVE_INFINITY,
    pacedByTime = true,
    shouldStop,
    now = () => performance.now(),
  } = limits;
  const timed = Number.isFinite(maxMilliseconds);
  const started = now();
  let stopped = false;
  let timeLimited = false;
  const share = (schedules: number): number => {
    const made = schedules / maxSchedules;
    const passed = timed ? (now() - started) / maxMilliseconds : 0;
    if (passed <= made || made >= 1 || (!pacedByTime && passed < 1)) return Math.min(1, made);
    timeLimited = true;
    return Math.min(1, passed);
  };
  return {
    elapsedMs: () => now() - started,
    isSpent(schedules) {
      stopped ||= share(schedules) >= 1 || (shouldStop?.() ?? false);
      return stopped;
    },
    share,
    isTimeLimited: () => timeLimited,
  };
}
