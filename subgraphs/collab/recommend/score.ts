export interface Criterion {
  readonly name: string;
  readonly weight: number;
  readonly direction: 'maximise' | 'minimise';
}

/**
 * Closeness to the ideal of each row, 0 to 1 (TOPSIS, Hwang & Yoon 1981): values are put in relation to the length of their
 * column and weighted; the nearer to the best of all columns and the farther from the worst the better.
 */
export function topsis(rows: readonly (readonly number[])[], criteria: readonly Criterion[]): readonly number[] {
  const lengths = criteria.map((_criterion, column) => Math.hypot(...rows.map((row) => row[column]!)) || 1);
  const scaled = rows.map((row) =>
    criteria.map(
      ({ weight, direction }, column) =>
        ((direction === 'maximise' ? 1 : -1) * weight * row[column]!) / lengths[column]!,
    ),
  );
  const column = (at: number) => scaled.map((row) => row[at]!);
  const best = criteria.map((_criterion, at) => Math.max(...column(at)));
  const worst = criteria.map((_criterion, at) => Math.min(...column(at)));
  return scaled.map((row) => {
    const toBest = Math.hypot(...row.map((value, at) => value - best[at]!));
    const toWorst = Math.hypot(...row.map((value, at) => value - worst[at]!));
    return toBest + toWorst === 0 ? 1 : toWorst / (toBest + toWorst);
  });
}

/** Advice of a kind that was taken, and how often it kept its promise. */
export interface Experience {
  readonly succeeded: number;
  readonly failed: number;
}

/** What is believed before anything was tried: advice that is simulated mostly holds. */
const prior: Experience = { succeeded: 9, failed: 1 };

/** Mean of the Beta distribution that the prior becomes by experience. */
export function posteriorMean({ succeeded, failed }: Experience): number {
  const [a, b] = [prior.succeeded + succeeded, prior.failed + failed];
  return a / (a + b);
}

/** The posterior mean, discounted by how much simulations with other figures differ: their coefficient of variation. */
export function confidenceOf(experience: Experience, gains: readonly number[]): number {
  const mean = gains.reduce((sum, gain) => sum + gain, 0) / gains.length;
  if (gains.length === 0 || mean <= 0) return 0;
  const variance = gains.reduce((sum, gain) => sum + (gain - mean) ** 2, 0) / gains.length;
  return posteriorMean(experience) / (1 + (Math.sqrt(variance) / mean) ** 2);
}
