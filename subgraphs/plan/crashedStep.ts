import type { PlanStepRow } from './rows.ts';

/** A step that takes so long instead; its three points keep their proportions. */
export function crashStep(step: PlanStepRow, durationMs: number): PlanStepRow {
  const { estimate, ...details } = step.details;
  const factor = step.durationMs === 0 ? 1 : durationMs / step.durationMs;
  const scaled = estimate && {
    optimisticMs: Math.round(estimate.optimisticMs * factor),
    mostLikelyMs: Math.round(estimate.mostLikelyMs * factor),
    pessimisticMs: Math.round(estimate.pessimisticMs * factor),
  };
  return { ...step, durationMs, details: { ...details, ...(scaled ? { estimate: scaled } : {}) } };
}
