import type { Writable } from 'node:stream';

export interface DrainOptions {
  readonly bufferedBytes: () => number;
  /** Waits until at most this many bytes are left. */
  readonly belowBytes: number;
  readonly timeoutMs: number;
}

/** Resolves true once the stream has sent enough of what it buffers, false when time is up or it closed. */
export function waitForDrain(
  stream: Writable,
  { bufferedBytes, belowBytes, timeoutMs }: DrainOptions,
): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  // 'drain' only comes when all is sent; half the bound is free long before that.
  const poll = setInterval(check, 5);
  const timer = setTimeout(() => finish(false), timeoutMs);
  stream.once('close', onClose);
  function check(): void {
    if (stream.destroyed) finish(false);
    else if (bufferedBytes() <= belowBytes) finish(true);
  }
  function onClose(): void {
    finish(false);
  }
  function finish(drained: boolean): void {
    clearInterval(poll);
    clearTimeout(timer);
    stream.off('close', onClose);
    resolve(drained);
  }
  check();
  return promise;
}
