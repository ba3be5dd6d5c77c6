/** 95 %, two-sided. */
const z = 1.959_964;

/**
 * Lower bound of Wilson's score interval (1927): what a share is at least, told from few cases with caution. Who was never
 * asked counts as one success in two.
 */
export function wilsonLowerBound(successes: number, total: number): number {
  const [s, n] = total === 0 ? [1, 2] : [successes, total];
  const p = s / n;
  const centre = p + (z * z) / (2 * n);
  const spread = z * Math.sqrt((p * (1 - p)) / n + (z * z) / (4 * n * n));
  return Math.max(0, (centre - spread) / (1 + (z * z) / n));
}
