/** Longest time that something waits for the end of a turn, ms. */
const maxHoldMs = 1;

let waiting: { readonly promise: Promise<void>; readonly release: () => void; readonly sinceMs: number } | null = null;

/**
 * Resolves when the callbacks of this turn of the event loop have run, for all who wait at once; of a long turn, as soon as
 * somebody asks a millisecond after the first. What is then written to many sockets is written one after another: the
 * first write wakes its reader, the others find it awake, and each wake-up saved is a third of what a small answer costs.
 */
export function turnEnd(): Promise<void> {
  const nowMs = performance.now();
  if (waiting !== null) {
    const { promise, release, sinceMs } = waiting;
    if (nowMs - sinceMs >= maxHoldMs) release();
    return promise;
  }
  const { promise, resolve } = Promise.withResolvers<void>();
  const immediate = setImmediate(() => release());
  const release = () => {
    clearImmediate(immediate);
    waiting = null;
    resolve();
  };
  waiting = { promise, release, sinceMs: nowMs };
  return promise;
}
