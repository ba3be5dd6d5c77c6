import { PlatformError } from '#shared/errors.ts';

/** Tells when the client goes away, at once where it has gone; `Cancellation` is one. */
export interface FetchCancellation {
  watch(watcher: { cancel(): void }): void;
}

/** Gives up one fetch when its time is up or its client has gone; `release` must follow, whatever comes of the fetch. */
export interface Deadline {
  /** Why it was given up; null while it was not. */
  readonly reason: PlatformError | null;
  /** Who is told of it, at once where it has been given up already. */
  watch(giveUp: (reason: PlatformError) => void): void;
  release(): void;
}

export interface DeadlineOptions {
  readonly name: string;
  readonly timeoutMs: number;
  readonly cancellation: FetchCancellation | undefined;
}

export function createDeadline({ name, timeoutMs, cancellation }: DeadlineOptions): Deadline {
  let reason: PlatformError | null = null;
  let tell: ((reason: PlatformError) => void) | null = null;
  const giveUp = (why: PlatformError) => {
    reason ??= why;
    tell?.(reason);
  };
  const timer = setTimeout(
    () => giveUp(new PlatformError('DEADLINE_EXCEEDED', `subgraph ${name} did not answer within ${timeoutMs} ms`)),
    timeoutMs,
  );
  cancellation?.watch({
    cancel: () => giveUp(new PlatformError('DEADLINE_EXCEEDED', `the request to subgraph ${name} was given up`)),
  });
  return {
    get reason() {
      return reason;
    },
    watch(other) {
      tell = other;
      if (reason !== null) other(reason);
    },
    release() {
      tell = null;
      clearTimeout(timer);
    },
  };
}
