import { remaining } from '../adaptationBases.ts';
import { networkOf } from '../analysis/calendar.ts';
import { foldDates, isStructural } from '../compositeNodes.ts';
import { isComposite } from '../composites.ts';
import { computeSchedule } from '../network/index.ts';
import type { PlanDependencyRow, PlanRow, PlanStepRow } from '../rows.ts';

export interface PlanState {
  readonly plan: PlanRow;
  readonly steps: readonly PlanStepRow[];
  readonly dependencies: readonly PlanDependencyRow[];
}

/** Instants in milliseconds of the epoch. */
export interface Forecast {
  /** By open step. */
  readonly finishOf: ReadonlyMap<string, number>;
  /** Of the last step; `now` where nothing is left. */
  readonly finish: number;
  /** Time taken over time planned, of the steps that are completed. */
  readonly pace: number;
}

const paceLimits = { slowest: 10, fastest: 0.1 };

/**
 * When what is left of a plan would end, begun or gone on with at `now`: along its longest paths, at the times that the
 * calendars of resources leave, and at the pace of the steps that are completed, ten times as fast or slow at most.
 * @param startedAt of its latest run; null without one
 */
export function forecastPlan(state: PlanState, startedAt: number | null, now: number): Forecast {
  const pace = paceOf(state.steps);
  const problem = remaining(state, state.plan.status === 'in_progress' ? startedAt : null, now);
  if (problem.steps.length === 0) return { finishOf: new Map(), finish: now, pace };
  const paced = problem.steps.map((step) => ({ ...step, planned: step.duration, duration: step.duration * pace }));
  const network = networkOf({ ...problem, steps: paced });
  const { earlyStart, earlyFinish, finish } = computeSchedule(network);
  const dates = foldDates(
    network.ids.map((stepId, at) => ({ stepId, startMs: earlyStart[at]!, finishMs: earlyFinish[at]! })),
  );
  return {
    finishOf: new Map(
      dates.filter(({ stepId }) => !isStructural(stepId)).map((date) => [date.stepId, now + date.finishMs]),
    ),
    finish: now + finish,
    pace,
  };
}

function paceOf(steps: readonly PlanStepRow[]): number {
  let planned = 0;
  let taken = 0;
  for (const step of steps) {
    if (step.status !== 'completed' || isComposite(step) || step.startedAt === null || step.completedAt === null)
      continue;
    planned += step.durationMs;
    taken += Date.parse(step.completedAt) - Date.parse(step.startedAt);
  }
  return planned === 0 ? 1 : Math.min(paceLimits.slowest, Math.max(paceLimits.fastest, taken / planned));
}
