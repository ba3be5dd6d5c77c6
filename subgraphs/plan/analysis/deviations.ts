import type { EarnedValueStep } from './earnedValue.ts';

/** How a step departs from its baseline; later and dearer are positive. */
export interface Deviation {
  readonly stepId: string;
  /** Actual less planned start; for a step not yet begun, how long it is overdue. */
  readonly startDelay: number;
  /** Actual or projected less planned finish. */
  readonly finishDelay: number;
  /** Actual cost less the budget of the work done. */
  readonly costOverrun: number;
  /** Work done less work planned until now, as a share of the step. */
  readonly progressGap: number;
}

/** Steps that depart from the baseline at this time, by finish delay and then by cost. */
export function findDeviations(
  steps: readonly EarnedValueStep[],
  { now, tolerance = 0 }: { readonly now: number; readonly tolerance?: number },
): Deviation[] {
  return steps
    .map((step) => deviationOf(step, now))
    .filter(
      ({ startDelay, finishDelay, costOverrun }) =>
        Math.abs(startDelay) > tolerance || Math.abs(finishDelay) > tolerance || costOverrun !== 0,
    )
    .sort((left, right) => right.finishDelay - left.finishDelay || right.costOverrun - left.costOverrun);
}

function deviationOf(step: EarnedValueStep, now: number): Deviation {
  const { stepId, plannedStart, plannedFinish, progress, budget, actualCost } = step;
  const planned = plannedFinish - plannedStart;
  const due = now >= plannedFinish ? 1 : planned > 0 ? Math.max(0, (now - plannedStart) / planned) : 0;
  return {
    stepId,
    startDelay: step.actualStart === undefined ? Math.max(0, now - plannedStart) : step.actualStart - plannedStart,
    finishDelay: projectFinish(step, now) - plannedFinish,
    costOverrun: actualCost - budget * progress,
    progressGap: progress - due,
  };
}

/** A running step goes on at the pace it had; one not begun keeps its planned length; neither ends before now. */
function projectFinish(
  { plannedStart, plannedFinish, progress, actualStart, actualFinish }: EarnedValueStep,
  now: number,
) {
  if (actualFinish !== undefined) return actualFinish;
  const planned = plannedFinish - plannedStart;
  if (actualStart === undefined) return Math.max(now, plannedStart) + planned;
  if (progress <= 0) return Math.max(now, actualStart) + planned;
  return Math.max(now, actualStart + (now - actualStart) / progress);
}
