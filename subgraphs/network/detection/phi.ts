/** Intervals remembered of a node. */
export const windowSize = 100;

export interface ArrivalHistory {
  /** Between heartbeats, ms. */
  readonly intervalsMs: readonly number[];
  /** Expected before anything was measured, ms. */
  readonly expectedMs: number;
}

/**
 * How sure it is that a node is gone (Hayashibara et al. 2004): -log10 of the probability that a heartbeat comes later than
 * this after the last one, if intervals are normally distributed as those measured. 1 errs once in 10, 8 once in 100
 * million times. The deviation counts as a tenth of the mean at least: a machine without jitter would be given up at the
 * first late packet.
 */
export function phi(silenceMs: number, { intervalsMs, expectedMs }: ArrivalHistory): number {
  const known = intervalsMs.length === 0 ? [expectedMs] : intervalsMs;
  const mean = known.reduce((sum, value) => sum + value, 0) / known.length;
  const variance = known.reduce((sum, value) => sum + (value - mean) ** 2, 0) / known.length;
  // A first few intervals say little about how much they vary.
  const floor = mean * (intervalsMs.length < 10 ? 0.25 : 0.1);
  const deviation = Math.max(Math.sqrt(variance), floor, 1);
  return -log10OfUpperTail((silenceMs - mean) / deviation);
}

/**
 * log10 of the probability that a standard normal variable is greater: by the logistic approximation of Page 1977 up to
 * 2 deviations, beyond by the continued fraction's first terms (Mills' ratio), which stay exact where the former underflows.
 */
export function log10OfUpperTail(deviations: number): number {
  if (deviations <= 2) {
    const logistic = Math.exp(-deviations * (1.5976 + 0.070566 * deviations * deviations));
    return deviations > 0 ? Math.log10(logistic / (1 + logistic)) : Math.log10(1 - 1 / (1 + logistic));
  }
  const mills =
    1 /
    (deviations +
      1 / (deviations + 2 / (deviations + 3 / (deviations + 4 / (deviations + 5 / (deviations + 6 / deviations))))));
  return (-(deviations * deviations) / 2 - 0.5 * Math.log(2 * Math.PI) + Math.log(mills)) / Math.LN10;
}
