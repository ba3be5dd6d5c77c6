import type { PlanState } from './monitoring/forecast.ts';
import { toPlanProblem } from './planProblem.ts';
import { shapeViolations, toScheduledSteps, toStarts } from './scheduleShape.ts';
import { findViolations, measureSchedule } from './scheduling/index.ts';
import { toSchedulingProblem } from './schedulingProblem.ts';

/** The schedule that a plan keeps to, measured anew; of a run that was adapted, of the steps that it names. */
export function measureKeptSchedule({ plan: row, steps, dependencies }: PlanState) {
  const startMs = row.schedule ?? {};
  const isScheduled = (id: string) => startMs[id] !== undefined;
  const plan = toPlanProblem(
    row.definition,
    steps.filter(({ id, parentId }) => isScheduled(id) && (parentId === null || isScheduled(parentId))),
    dependencies.filter(({ sourceId, targetId }) => isScheduled(sourceId) && isScheduled(targetId)),
  );
  const adapted = toSchedulingProblem(plan);
  const starts = toStarts(adapted, plan, startMs);
  const { makespan, resourceEfficiency, loadBalanceScore } = measureSchedule(adapted.problem, starts, 0);
  return {
    steps: toScheduledSteps(adapted, plan, starts, adapted.problem.durations),
    makespanMs: makespan * adapted.unitMs,
    ...{ resourceEfficiency, loadBalanceScore },
    violations: shapeViolations(adapted.unitMs, plan, findViolations(adapted.problem, starts)),
  };
}
