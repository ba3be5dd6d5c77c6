import { networkOf } from '../analysis/calendar.ts';
import { measureLoad } from '../analysis/index.ts';
import { isStructural } from '../compositeNodes.ts';
import type { PlanState } from '../monitoring/forecast.ts';
import { computeSchedule } from '../network/index.ts';
import { toPlanProblem } from '../planProblem.ts';
import { constraintsOf } from './constraints.ts';
import type { PlanConstraint } from './inputs.ts';

export interface AssessedConstraint extends Omit<PlanConstraint, 'parameters'> {
  readonly parameters: NonNullable<PlanConstraint['parameters']>;
  readonly status: 'SATISFIED' | 'VIOLATED' | 'UNCHECKED';
  /** What the plan comes to, in the unit of `limit`. */
  readonly actual: number | null;
  readonly limit: number | null;
}

type Measure = Pick<AssessedConstraint, 'status' | 'actual' | 'limit'>;

const unchecked: Measure = { status: 'UNCHECKED', actual: null, limit: null };
const measured = (actual: number, limit: number, kept: boolean): Measure => ({
  ...{ actual, limit },
  status: kept ? 'SATISFIED' : 'VIOLATED',
});

/** Each constraint against the plan by the schedule that was applied, else by its early dates without regard to resources. */
export function assessConstraints(state: PlanState): AssessedConstraint[] {
  const { plan, steps, dependencies } = state;
  const constraints = constraintsOf(plan.definition);
  if (constraints.length === 0) return [];
  const problem = toPlanProblem(plan.definition, steps, dependencies);
  const network = networkOf(problem);
  const early = computeSchedule(network);
  const applied = plan.schedule;
  const start = Float64Array.from(problem.steps, ({ id }, at) =>
    applied !== null && !isStructural(id) ? (applied[id] ?? early.earlyStart[at]!) : early.earlyStart[at]!,
  );
  const finish = Float64Array.from(problem.steps, ({ duration }, at) =>
    Math.max(start[at]! + duration, applied === null ? early.earlyFinish[at]! : 0),
  );
  const loads = new Map(
    measureLoad(problem, { start, finish }, early.critical).map((load) => [load.resourceId, load.peak]),
  );
  const demands = new Map<string, number>();
  for (const { details } of steps)
    for (const { resourceId, amount, availability } of details.demands ?? [])
      if (availability == null || availability === 'REQUIRED')
        demands.set(resourceId, Math.max(demands.get(resourceId) ?? 0, amount));

  function assess({ type, parameters, hard }: PlanConstraint): Measure {
    switch (type) {
      case 'RESOURCE': {
        // A run never takes more than a hard one allows: broken it is by a step that alone needs more.
        const actual = (hard ? demands : loads).get(parameters.resourceId) ?? 0;
        return measured(actual, parameters.maxAmount, actual <= parameters.maxAmount);
      }
      case 'TEMPORAL': {
        const { stepId, notBeforeMs, notAfterMs } = parameters;
        const places = [...network.ids.keys()].filter((at) => stepId == null || network.ids[at] === stepId);
        if (places.length === 0) return unchecked;
        const begins = Math.min(...places.map((at) => start[at]!));
        const ends = places.reduce((latest, at) => Math.max(latest, finish[at]!), 0);
        const kept = begins >= (notBeforeMs ?? 0) && ends <= (notAfterMs ?? Infinity);
        return notAfterMs == null ? measured(begins, notBeforeMs!, kept) : measured(ends, notAfterMs, kept);
      }
      case 'FINANCIAL':
        return measured(plan.summary.cost, parameters.maxCost, plan.summary.cost <= parameters.maxCost);
      case 'QUALITY': {
        // Quality is one of a schedule.
        const quality = plan.schedule === null ? null : (plan.summary.planning?.quality ?? null);
        return quality === null
          ? { ...unchecked, limit: parameters.minQuality }
          : measured(quality, parameters.minQuality, quality >= parameters.minQuality);
      }
      case 'OTHER':
        return unchecked;
    }
  }
  return constraints.map((entry) => ({ ...entry, parameters: entry.parameters ?? {}, ...assess(entry) }));
}
