import { monotonicMs } from './clock.ts';
import type { Random } from './random.ts';

export interface ArrivalOptions {
  readonly ratePerSecond: number;
  /** Gaps of a Poisson process, or all equal. */
  readonly gaps: 'poisson' | 'constant';
  readonly random: Random;
  readonly startMs: number;
  readonly endMs: number;
  /**
   * `timer` sleeps up to 1 ms between arrivals and leaves the core to others; `spin` never sleeps, for operations
   * faster than a timer.
   */
  readonly wake: 'timer' | 'spin';
  /** Called once for each arrival with the time it was due, never earlier. */
  readonly arrive: (dueMs: number, nowMs: number) => void;
}

/** Runs an open-loop schedule: arrivals come when they are due, whatever became of the earlier ones. */
export function runArrivals(options: ArrivalOptions): Promise<void> {
  const { random, endMs, arrive } = options;
  const meanMs = 1000 / options.ratePerSecond;
  const gap = options.gaps === 'poisson' ? () => random.exponential(meanMs) : () => meanMs;
  let dueMs = options.startMs + gap();
  return new Promise((resolve, reject) => {
    function tick(): void {
      try {
        const nowMs = monotonicMs();
        while (dueMs <= nowMs && dueMs < endMs) {
          arrive(dueMs, nowMs);
          dueMs += gap();
        }
        if (dueMs >= endMs) {
          // Time passes to the end of the window, so that what is measured over it has its full length.
          setTimeout(resolve, Math.max(0, endMs - nowMs));
          return;
        }
        if (options.wake === 'spin') setImmediate(tick);
        else setTimeout(tick, Math.max(1, Math.floor(dueMs - nowMs)));
      } catch (error) {
        reject(error);
      }
    }
    tick();
  });
}
