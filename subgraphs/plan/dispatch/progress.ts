export interface StepProgress {
  readonly duration: number;
  /** Share done, 0 to 1; 1 when completed. */
  readonly progress: number;
  readonly skipped?: boolean | undefined;
}

/** Duration-weighted completion, 0 to 1, of the steps that are not skipped; by count where none of them takes time. */
export function measureProgress(steps: readonly StepProgress[]): number {
  const counted = steps.filter(({ skipped }) => skipped !== true);
  if (counted.length === 0) return 1;
  const total = counted.reduce((sum, { duration }) => sum + duration, 0);
  const weigh = (weightOf: (step: StepProgress) => number): number =>
    counted.reduce((sum, step) => sum + weightOf(step) * Math.min(1, Math.max(0, step.progress)), 0);
  return total > 0 ? weigh(({ duration }) => duration) / total : weigh(() => 1) / counted.length;
}
