/** Who waits for the answer: a caller (`interactive`) or nobody in particular (`background`). */
export type Lane = 'interactive' | 'background';

export const laneNames: readonly Lane[] = ['interactive', 'background'];

/** After so many interactive tasks in a row a waiting background task has its turn. */
const maxStreak = 8;

export interface LanesOptions {
  readonly maxRunning: number;
  /** Waiting tasks of each lane at most. */
  readonly maxWaiting: number;
}

/**
 * Two queues in front of a fixed number of places: interactive before background, first come first served in each.
 * Background work never takes the last place of several, so that an interactive task need not wait for a long one.
 */
export function createLanes<Task>({ maxRunning, maxWaiting }: LanesOptions) {
  const waiting: Readonly<Record<Lane, Set<Task>>> = { interactive: new Set(), background: new Set() };
  const running: Record<Lane, number> = { interactive: 0, background: 0 };
  const maxBackground = Math.max(1, maxRunning - 1);
  let streak = 0;

  function choose(): Lane | null {
    if (running.interactive + running.background >= maxRunning) return null;
    const background = waiting.background.size > 0 && running.background < maxBackground;
    if (waiting.interactive.size > 0 && (!background || streak < maxStreak)) return 'interactive';
    return background ? 'background' : null;
  }

  return {
    /** False when the lane is full. */
    add(lane: Lane, task: Task): boolean {
      if (waiting[lane].size >= maxWaiting) return false;
      waiting[lane].add(task);
      return true;
    },

    /** Takes a task that waits out of its lane; false when it waits no more. */
    remove: (lane: Lane, task: Task): boolean => waiting[lane].delete(task),

    /** The next task to run, which takes a place; null when there is none or no place. */
    take(): Task | null {
      const lane = choose();
      if (lane === null) return null;
      streak = lane === 'interactive' && waiting.background.size > 0 ? streak + 1 : 0;
      const [task] = waiting[lane];
      waiting[lane].delete(task!);
      running[lane] += 1;
      return task!;
    },

    /** Gives the place of a task back. */
    release(lane: Lane): void {
      running[lane] -= 1;
    },

    waitingIn: (lane: Lane): number => waiting[lane].size,
    runningIn: (lane: Lane): number => running[lane],
    allWaiting: (): readonly Task[] => laneNames.flatMap((lane) => [...waiting[lane]]),
  };
}
