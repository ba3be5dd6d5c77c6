const longestMs = 5_000;

/**
 * Pause before the next try of what is done again and again, ms: doubled with each failure in a row, 5 s at most. A
 * database that is gone refuses at once: without it, whoever polls asks as fast as it is refused.
 */
export function backedOff(pauseMs: number, failures: number): number {
  return failures === 0 ? pauseMs : Math.max(pauseMs, Math.min(pauseMs * 2 ** Math.min(failures, 20), longestMs));
}
