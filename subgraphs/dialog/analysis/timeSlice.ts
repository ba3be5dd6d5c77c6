import { setImmediate } from 'node:timers/promises';

/**
 * Gives the event loop a turn whenever `sliceMs` of work have passed, and throws the signal's reason once it is
 * aborted. The clock decides only when to pause, never what is computed.
 */
export function createTimeSlice(
  sliceMs: number,
  signal: AbortSignal | undefined,
): { pause(): Promise<void> | undefined } {
  let startedMs = performance.now();
  return {
    pause: () => {
      signal?.throwIfAborted();
      if (performance.now() - startedMs < sliceMs) return undefined;
      return setImmediate().then(() => {
        signal?.throwIfAborted();
        startedMs = performance.now();
      });
    },
  };
}
