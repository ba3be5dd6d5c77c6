/** Longest delay of a Node timer. */
const maxDelayMs = 2 ** 31 - 1;

/** Calls `onExpired` when the token ends. Returns what stops it. */
export function createExpiryTimer(expiresAtMs: number | undefined, onExpired: () => void): () => void {
  if (expiresAtMs === undefined) return () => {};
  let timer: NodeJS.Timeout | undefined;
  const arm = (): void => {
    const leftMs = expiresAtMs - Date.now();
    if (leftMs <= 0) {
      onExpired();
      return;
    }
    timer = setTimeout(arm, Math.min(leftMs, maxDelayMs));
    timer.unref();
  };
  // Never within the call: who arms it is not ready to be ended.
  timer = setTimeout(arm, Math.min(Math.max(expiresAtMs - Date.now(), 0), maxDelayMs));
  timer.unref();
  return () => clearTimeout(timer);
}
