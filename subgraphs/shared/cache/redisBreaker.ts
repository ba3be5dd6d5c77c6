/** Opens after consecutive failures, so that a dead peer costs a few calls their deadline and everyone else nothing. */
export interface Breaker {
  /** Whether calls may be made now. */
  readonly closed: boolean;
  /** True once an open breaker has waited long enough for one probe. */
  readonly mayProbe: boolean;
  succeeded(): void;
  failed(): void;
  /** Opens at once: the peer is known to be gone. */
  trip(): void;
}

export interface BreakerOptions {
  /** Consecutive failures that open it. @default 3 */
  readonly threshold?: number;
  /** First wait before a probe; doubles with every failed probe up to `maxWaitMs`. @default 100 */
  readonly waitMs?: number;
  /** @default 2_000 */
  readonly maxWaitMs?: number;
}

export function createBreaker(options: BreakerOptions = {}): Breaker {
  const threshold = options.threshold ?? 3;
  const firstWaitMs = options.waitMs ?? 100;
  const maxWaitMs = options.maxWaitMs ?? 2_000;
  let failures = 0;
  let open = false;
  let waitMs = firstWaitMs;
  let probeAtMs = 0;

  return {
    get closed() {
      return !open;
    },
    get mayProbe() {
      return open && performance.now() >= probeAtMs;
    },
    succeeded() {
      failures = 0;
      open = false;
      waitMs = firstWaitMs;
    },
    failed() {
      failures += 1;
      if (open) waitMs = Math.min(waitMs * 2, maxWaitMs);
      else if (failures < threshold) return;
      open = true;
      probeAtMs = performance.now() + waitMs;
    },
    trip() {
      open = true;
      probeAtMs = performance.now();
    },
  };
}

/**
 * Rejects when the promise has not settled in time. A busy event loop runs timers before it reads sockets: the answer
 * may already lie in the socket's buffer, so the deadline counts only once the sockets have been read after it.
 */
export function withDeadline<T>(promise: Promise<T>, timeoutMs: number): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      setImmediate(() => reject(new Error(`no answer within ${timeoutMs} ms`)));
    }, timeoutMs);
    promise.then(
      (value) => {
        clearTimeout(timer);
        resolve(value);
      },
      (error: unknown) => {
        clearTimeout(timer);
        reject(error);
      },
    );
  });
}
