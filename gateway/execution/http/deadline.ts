import { PlatformError } from '#shared/errors.ts';

/** Aborts one fetch when its time is up or its client has gone; `release` must follow, whatever comes of the fetch. */
export interface Deadline {
  readonly signal: AbortSignal;
  release(): void;
}

export interface DeadlineOptions {
  readonly name: string;
  readonly timeoutMs: number;
  readonly clientSignal: AbortSignal | undefined;
}

export function createDeadline({ name, timeoutMs, clientSignal }: DeadlineOptions): Deadline {
  const controller = new AbortController();
  const timer = setTimeout(
    () =>
      controller.abort(
        new PlatformError('DEADLINE_EXCEEDED', `subgraph ${name} did not answer within ${timeoutMs} ms`),
      ),
    timeoutMs,
  );
  const giveUp = () => {
    const reason: unknown = clientSignal?.reason;
    controller.abort(
      reason instanceof PlatformError
        ? reason
        : new PlatformError('DEADLINE_EXCEEDED', `the request to subgraph ${name} was given up`, { cause: reason }),
    );
  };
  if (clientSignal?.aborted) giveUp();
  else clientSignal?.addEventListener('abort', giveUp, { once: true });
  return {
    signal: controller.signal,
    release() {
      clearTimeout(timer);
      clientSignal?.removeEventListener('abort', giveUp);
    },
  };
}
