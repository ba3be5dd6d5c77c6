import type { CacheValue } from './memoryLevel.ts';

export type Level = 'l1' | 'l2' | 'miss';

/** A point before which nothing had been read: what was loaded since then is judged from here. */
export interface Moment {
  readonly position: number;
  readonly stamp: number | null;
}

export interface Outcome {
  /** Null when the load said that its result is not to be shared. */
  readonly value: CacheValue | null;
  readonly tags: readonly string[];
  readonly stamp: number | null;
  readonly hit: Level;
  /** True when one of its tags was invalidated after its start. */
  readonly stale: boolean;
}

/** One load in progress; everyone who asks for the key meanwhile waits for it. */
export interface Flight {
  readonly key: string;
  readonly outcome: Promise<Outcome>;
  /** Invalidations after this position concern it. */
  start: number;
  settle(outcome: Outcome): void;
  fail(error: unknown): void;
}

export function createFlight(key: string, start: number): Flight {
  const { promise, resolve, reject } = Promise.withResolvers<Outcome>();
  // Whoever waits sees the rejection; a flight nobody waits for any more must not end the process.
  promise.catch(() => {});
  return { key, start, outcome: promise, settle: resolve, fail: reject };
}
