/** A step as the baseline budgets it and as it went until the status date. */
export interface EarnedValueStep {
  readonly stepId: string;
  /** Budget at completion. */
  readonly budget: number;
  readonly plannedStart: number;
  readonly plannedFinish: number;
  /** Share of the work done, 0 to 1. */
  readonly progress: number;
  /** Cost so far. */
  readonly actualCost: number;
  readonly actualStart?: number | undefined;
  readonly actualFinish?: number | undefined;
}

/** How value accrues while a step runs: by progress, half at either end, or all at its end. */
export type EarningRule = 'percent_complete' | 'fifty_fifty' | 'zero_hundred';

/** Null where a figure is undefined: an index over a denominator of zero. */
export interface EarnedValue {
  readonly budgetAtCompletion: number;
  readonly plannedValue: number;
  readonly earnedValue: number;
  readonly actualCost: number;
  readonly scheduleVariance: number;
  readonly costVariance: number;
  readonly schedulePerformanceIndex: number | null;
  readonly costPerformanceIndex: number | null;
  /** BAC / CPI: the rest costs what the work so far cost. */
  readonly estimateAtCompletion: number | null;
  /** AC + BAC - EV: the rest costs what was budgeted. */
  readonly estimateAtBudgetedRate: number;
  /** AC + (BAC - EV) / (CPI x SPI): the rest must make up for delay as well. */
  readonly estimateAtCostAndSchedule: number | null;
  readonly estimateToComplete: number | null;
  readonly varianceAtCompletion: number | null;
  /** (BAC - EV) / (BAC - AC): efficiency the rest needs to end within budget. */
  readonly toCompleteIndex: number | null;
  /** (BAC - EV) / (EAC - AC). */
  readonly toCompleteIndexOfEstimate: number | null;
  /** Time at which the value earned by now was planned (Lipke 2003): unlike SPI it does not end at 1 in a late project. */
  readonly earnedSchedule: number;
  readonly scheduleVarianceTime: number;
  readonly schedulePerformanceIndexTime: number | null;
}

export interface EarnedValueOptions {
  /** Status date, in the unit of the dates. */
  readonly now: number;
  /** Of both planned and earned value. @default 'percent_complete' */
  readonly rule?: EarningRule;
}

/** Earned value management after the PMI practice standard (2nd edition, 2011). */
export function measureEarnedValue(
  steps: readonly EarnedValueStep[],
  { now, rule = 'percent_complete' }: EarnedValueOptions,
): EarnedValue {
  const sum = (amountOf: (step: EarnedValueStep) => number): number =>
    steps.reduce((total, step) => total + amountOf(step), 0);
  const budget = sum((step) => step.budget);
  const planned = plannedAt(steps, now, rule);
  const earned = sum((step) => step.budget * creditOf(step.progress, rule, step.actualStart !== undefined));
  const cost = sum((step) => step.actualCost);
  const spi = ratio(earned, planned);
  const cpi = ratio(earned, cost);
  const left = budget - earned;
  const estimate = cpi === null ? null : ratio(budget, cpi);
  const begun = steps.reduce((first, step) => Math.min(first, step.plannedStart), Infinity);
  const earnedSchedule = timeOfPlannedValue(steps, earned, rule);
  return {
    ...{ budgetAtCompletion: budget, plannedValue: planned, earnedValue: earned, actualCost: cost },
    scheduleVariance: earned - planned,
    costVariance: earned - cost,
    schedulePerformanceIndex: spi,
    costPerformanceIndex: cpi,
    estimateAtCompletion: estimate,
    estimateAtBudgetedRate: cost + left,
    estimateAtCostAndSchedule: spi && cpi ? cost + left / (cpi * spi) : null,
    estimateToComplete: estimate === null ? null : estimate - cost,
    varianceAtCompletion: estimate === null ? null : budget - estimate,
    toCompleteIndex: ratio(left, budget - cost),
    toCompleteIndexOfEstimate: estimate === null ? null : ratio(left, estimate - cost),
    earnedSchedule,
    scheduleVarianceTime: earnedSchedule - now,
    schedulePerformanceIndexTime: steps.length === 0 ? null : ratio(earnedSchedule - begun, now - begun),
  };
}

function ratio(part: number, whole: number): number | null {
  return whole === 0 ? null : part / whole;
}

function creditOf(progress: number, rule: EarningRule, started: boolean): number {
  const share = Math.min(1, Math.max(0, progress));
  if (rule === 'percent_complete' || share === 1) return share;
  return rule === 'fifty_fifty' && (started || share > 0) ? 0.5 : 0;
}

/** Planned value of one moment: by percent complete it accrues evenly from planned start to planned finish. */
function plannedAt(steps: readonly EarnedValueStep[], time: number, rule: EarningRule): number {
  return steps.reduce((total, { budget, plannedStart, plannedFinish }) => {
    const share = time >= plannedFinish ? 1 : (time - plannedStart) / (plannedFinish - plannedStart);
    return total + budget * creditOf(share, rule, time >= plannedStart);
  }, 0);
}

/** Latest time at which no more than this value was planned. The planned value is linear (or constant) between dates. */
function timeOfPlannedValue(steps: readonly EarnedValueStep[], value: number, rule: EarningRule): number {
  const dates = [...new Set(steps.flatMap((step) => [step.plannedStart, step.plannedFinish]))].sort((a, b) => a - b);
  const reached = (time: number): boolean => plannedAt(steps, time, rule) <= value * (1 + 1e-12);
  let low = 0;
  for (let high = dates.length; low < high; ) {
    const middle = (low + high) >> 1;
    if (reached(dates[middle]!)) low = middle + 1;
    else high = middle;
  }
  const from = dates[low - 1];
  const until = dates[low];
  if (from === undefined) return until ?? 0;
  if (until === undefined) return from;
  if (rule !== 'percent_complete') return from;
  const before = plannedAt(steps, from, rule);
  // A milestone adds its budget at once: what is planned just before `until` is extrapolated from the middle.
  const slope = (2 * (plannedAt(steps, (from + until) / 2, rule) - before)) / (until - from);
  return slope > 0 ? Math.min(until, from + (value - before) / slope) : until;
}
