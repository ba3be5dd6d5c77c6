import { timelineOf } from '../constraints/index.ts';
import type { PlanExecutionRow } from '../rows.ts';
import { forecastPlan, type PlanState } from './forecast.ts';

export interface TimelineValue {
  /** As given, like `end`; instants in milliseconds of the epoch. */
  readonly start: number | null;
  readonly end: number | null;
  readonly estimatedDurationMs: number;
  readonly estimatedEnd: number | null;
  readonly actualStart: string | null;
  readonly actualEnd: string | null;
  readonly actualDurationMs: number | null;
}

/**
 * When the plan is to be carried out and when it is: an end is estimated from its start, or from now where that has passed,
 * and while it runs at the pace so far; null once it has ended.
 */
export function traceTimeline(state: PlanState, run: PlanExecutionRow | null, now: number): TimelineValue {
  const { plan } = state;
  const { start, end } = timelineOf(plan.definition);
  const { durationMs } = plan.summary;
  const open = run !== null && (run.status === 'RUNNING' || run.status === 'PAUSED');
  const over = plan.status === 'completed' || plan.status === 'cancelled';
  const ended = run?.completedAt == null ? null : Date.parse(run.completedAt);
  return {
    ...{ start, end, estimatedDurationMs: durationMs },
    estimatedEnd: open
      ? forecastPlan(state, Date.parse(run.startedAt), now).finish
      : over
        ? null
        : Math.max(now, start ?? now) + durationMs,
    actualStart: run?.startedAt ?? null,
    actualEnd: run?.completedAt ?? null,
    actualDurationMs: run === null ? null : (ended ?? now) - Date.parse(run.startedAt),
  };
}
