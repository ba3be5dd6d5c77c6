import { networkOf } from '../analysis/calendar.ts';
import { type Deviation, type EarnedValueStep, findDeviations } from '../analysis/index.ts';
import { foldDates, isStructural } from '../compositeNodes.ts';
import { isComposite } from '../composites.ts';
import { computeSchedule } from '../network/index.ts';
import { toPlanProblem } from '../planProblem.ts';
import { atMoment, calendarAge } from '../planTimes.ts';
import type { PlanExecutionRow, PlanStepExecutionRow } from '../rows.ts';
import { forecastPlan, type PlanState } from './forecast.ts';

export type RunHealth = 'HEALTHY' | 'AT_RISK' | 'UNHEALTHY';
export type AlertKind =
  | 'STEP_BLOCKED'
  | 'STEP_FAILED'
  | 'STEP_RETRYING'
  | 'STEP_OVERDUE'
  | 'DEADLINE_AT_RISK'
  | 'RUN_PAUSED';

export interface RunAlert {
  readonly kind: AlertKind;
  readonly stepId: string | null;
  readonly message: string;
}

export interface RunReport {
  readonly health: RunHealth;
  /** An instant in milliseconds of the epoch; null once it has ended. */
  readonly estimatedCompletion: number | null;
  readonly deadline: number | null;
  readonly pace: number;
  readonly alerts: readonly RunAlert[];
  readonly deviations: readonly Deviation[];
  readonly resourceUsage: readonly { readonly resourceId: string; readonly used: number; readonly capacity: number }[];
  readonly metrics: {
    readonly attempts: number;
    readonly failures: number;
    readonly rollbacks: number;
    readonly completed: number;
    readonly skipped: number;
    readonly failed: number;
    readonly blocked: number;
    readonly ready: number;
    readonly meanStepMs: number | null;
    /** Running steps of those that may run at the same time. */
    readonly utilisation: number;
  };
}

/** Share of the time left that makes a deadline one at risk. */
const margin = 0.1;
const maxListed = 100;

const severe: ReadonlySet<AlertKind> = new Set(['STEP_BLOCKED', 'STEP_FAILED']);

/** How a run stands at an instant: what keeps it, how far it is off its plan, and when it would end. */
export function reportRun(
  run: PlanExecutionRow,
  state: PlanState,
  { rows, now: current }: { readonly rows: readonly PlanStepExecutionRow[]; readonly now: number },
): RunReport {
  const isOver = run.completedAt !== null;
  const now = isOver ? Date.parse(run.completedAt) : current;
  const started = Date.parse(run.startedAt);
  const { finish, pace } = forecastPlan(state, started, now);
  const { deadlineMs } = state.plan.definition;
  const deadlines = [
    ...(run.deadlineAt === null ? [] : [Date.parse(run.deadlineAt)]),
    ...(deadlineMs === null ? [] : [started + deadlineMs]),
  ];
  const deadline = deadlines.length === 0 ? null : Math.min(...deadlines);
  const parts = rows.filter(({ composite }) => !composite);
  const alerts = isOver ? [] : [...findDelays(run, { finish, deadline, now }), ...findTroubles(parts, now)];
  const isLate = !isOver && deadline !== null && finish > deadline;
  const isSevere = run.status === 'FAILED' || isLate || alerts.some(({ kind }) => severe.has(kind));
  return {
    health: isSevere ? 'UNHEALTHY' : alerts.length > 0 ? 'AT_RISK' : 'HEALTHY',
    estimatedCompletion: isOver ? null : finish,
    ...{ deadline, pace },
    alerts: alerts.slice(0, maxListed),
    deviations: deviationsOf(state, { started, now }).slice(0, maxListed),
    resourceUsage: usageOf(run, parts),
    metrics: measureRun(run, parts, now),
  };
}

function findDelays(
  { status, pausedBy, statusReason }: PlanExecutionRow,
  { finish, deadline, now }: { readonly finish: number; readonly deadline: number | null; readonly now: number },
): RunAlert[] {
  const alerts: RunAlert[] = [];
  if (status === 'PAUSED')
    alerts.push({ kind: 'RUN_PAUSED', stepId: null, message: statusReason ?? `paused by ${pausedBy ?? 'somebody'}` });
  if (deadline !== null && finish > deadline - margin * Math.max(0, deadline - now)) {
    const by = Math.round(finish - deadline);
    const message = by > 0 ? `it would end ${by} ms after its deadline` : `it would end ${-by} ms before its deadline`;
    alerts.push({ kind: 'DEADLINE_AT_RISK', stepId: null, message });
  }
  return alerts;
}

function findTroubles(parts: readonly PlanStepExecutionRow[], now: number): RunAlert[] {
  return parts.flatMap((row): RunAlert[] => {
    const { stepId, status, failures, error, durationMs, startedAt } = row;
    const because = error === null ? '' : `: ${error}`;
    if (status === 'blocked') return [{ kind: 'STEP_BLOCKED', stepId, message: `it waits for a decision${because}` }];
    if (status === 'failed') return [{ kind: 'STEP_FAILED', stepId, message: `it has failed${because}` }];
    if ((status === 'pending' || status === 'leased') && failures > 0)
      return [{ kind: 'STEP_RETRYING', stepId, message: `it has failed ${failures} times${because}` }];
    const ran = status === 'leased' && startedAt !== null ? now - Date.parse(startedAt) : 0;
    if (ran > durationMs && durationMs > 0)
      return [{ kind: 'STEP_OVERDUE', stepId, message: `expected to take ${durationMs} ms, it has taken ${ran}` }];
    return [];
  });
}

function usageOf({ policy }: PlanExecutionRow, parts: readonly PlanStepExecutionRow[]) {
  const used = new Map<string, number>();
  for (const { status, demands } of parts)
    if (status === 'leased')
      for (const { resourceId, amount } of demands) used.set(resourceId, (used.get(resourceId) ?? 0) + amount);
  return Object.entries(policy.resources).map(([resourceId, capacity]) => ({
    ...{ resourceId, capacity },
    used: used.get(resourceId) ?? 0,
  }));
}

function measureRun(
  { runningSteps, maxConcurrent }: PlanExecutionRow,
  parts: readonly PlanStepExecutionRow[],
  now: number,
): RunReport['metrics'] {
  const count = (status: PlanStepExecutionRow['status']) => parts.filter((row) => row.status === status).length;
  const sum = (of: (row: PlanStepExecutionRow) => number) => parts.reduce((total, row) => total + of(row), 0);
  const past = (at: string | null) => at === null || Date.parse(at) <= now;
  const took = parts.flatMap(({ status, startedAt, finishedAt }) =>
    status === 'completed' && startedAt !== null && finishedAt !== null
      ? [Date.parse(finishedAt) - Date.parse(startedAt)]
      : [],
  );
  return {
    attempts: sum(({ attempt }) => attempt),
    failures: sum(({ failures }) => failures),
    rollbacks: sum(({ rollbacks }) => rollbacks),
    completed: count('completed'),
    skipped: count('skipped'),
    failed: count('failed'),
    blocked: count('blocked'),
    ready: parts.filter(
      ({ status, waits, readyAt, retryAt }) => status === 'pending' && waits === 0 && past(readyAt) && past(retryAt),
    ).length,
    meanStepMs: took.length === 0 ? null : took.reduce((total, ms) => total + ms, 0) / took.length,
    utilisation: runningSteps / maxConcurrent,
  };
}

/** Against the early dates of the plan, in milliseconds from the start of the run. */
function deviationsOf(
  { plan, steps, dependencies }: PlanState,
  { started, now }: { readonly started: number; readonly now: number },
): Deviation[] {
  const calendarMs = calendarAge(plan.definition, started, started);
  const problem = atMoment(toPlanProblem(plan.definition, steps, dependencies, calendarMs), { calendarMs });
  const network = networkOf(problem);
  const { earlyStart, earlyFinish } = computeSchedule(network);
  const dates = new Map(
    foldDates(network.ids.map((stepId, at) => ({ stepId, startMs: earlyStart[at]!, finishMs: earlyFinish[at]! })))
      .filter(({ stepId }) => !isStructural(stepId))
      .map((date) => [date.stepId, date]),
  );
  const values = steps
    .filter((step) => !isComposite(step) && step.status !== 'skipped')
    .map((step): EarnedValueStep => {
      const { startMs, finishMs } = dates.get(step.id)!;
      const actualStart = step.startedAt === null ? undefined : Date.parse(step.startedAt) - started;
      const actualFinish = step.completedAt === null ? undefined : Date.parse(step.completedAt) - started;
      const rate = (step.details.costPerHour ?? 0) / 3_600_000;
      return {
        ...{ stepId: step.id, plannedStart: startMs, plannedFinish: finishMs, actualStart, actualFinish },
        budget: step.durationMs * rate,
        progress: step.status === 'completed' ? 1 : step.progress,
        actualCost: actualStart === undefined ? 0 : ((actualFinish ?? now - started) - actualStart) * rate,
      };
    });
  return findDeviations(values, { now: now - started });
}
