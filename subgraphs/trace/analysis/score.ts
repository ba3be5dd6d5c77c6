export interface ScoreInput {
  readonly durationMs: number;
  /** Median duration of the same operation before; null where nothing is known yet. */
  readonly baselineP50Ms: number | null;
  readonly failedShare: number;
  /** Share of the critical path in which no span that does the work itself was running. */
  readonly idleShare: number;
}

export type Grade = 'A' | 'B' | 'C' | 'D' | 'F';

/** Weighs speed against the baseline (half), failures (three tenths) and idling (a fifth); without a baseline speed counts in full. */
export function scoreOf({ durationMs, baselineP50Ms, failedShare, idleShare }: ScoreInput): number {
  const speed = baselineP50Ms === null || durationMs <= 0 ? 1 : Math.min(1, baselineP50Ms / durationMs);
  return 0.5 * speed + 0.3 * (1 - failedShare) + 0.2 * (1 - idleShare);
}

export function gradeOf(score: number): Grade {
  if (score >= 0.9) return 'A';
  if (score >= 0.8) return 'B';
  if (score >= 0.7) return 'C';
  return score >= 0.6 ? 'D' : 'F';
}
