import type { Writable } from 'node:stream';

export interface DrainOptions {
  readonly bufferedBytes: () => number;
  /** Waits until at most this many bytes are left. */
  readonly belowBytes: number;
  readonly timeoutMs: number;
}

export type DrainOutcome = 'drained' | 'late' | 'gone';

/** Resolves once the stream has sent enough of what it buffers, when time is up, or when it closed. */
export function waitForDrain(
  stream: Writable,
  { bufferedBytes, belowBytes, timeoutMs }: DrainOptions,
): Promise<DrainOutcome> {
  const { promise, resolve } = Promise.withResolvers<DrainOutcome>();
  // 'drain' only comes when all is sent; half the bound is free long before that.
  const poll = setInterval(check, 5);
  const timer = setTimeout(() => finish('late'), timeoutMs);
  stream.once('close', onClose);
  function check(): void {
    if (stream.destroyed) finish('gone');
    else if (bufferedBytes() <= belowBytes) finish('drained');
  }
  function onClose(): void {
    finish('gone');
  }
  function finish(outcome: DrainOutcome): void {
    clearInterval(poll);
    clearTimeout(timer);
    stream.off('close', onClose);
    resolve(outcome);
  }
  check();
  return promise;
}
