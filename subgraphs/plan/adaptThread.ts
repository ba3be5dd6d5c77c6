import { networkOf } from './analysis/calendar.ts';
import { proposeChanges } from './analysis/candidates.ts';
import { analyzePert, applyChange, type PlanChange, type PlanProblem, threePointOf } from './analysis/index.ts';
import { probabilityWithin } from './analysis/pert.ts';
import { foldDates } from './compositeNodes.ts';
import { computeSchedule } from './network/index.ts';
import type { ScheduledStep } from './scheduleShape.ts';
import { optimizeSchedule } from './scheduling/index.ts';
import { toSchedulingProblem } from './schedulingProblem.ts';

/** A way to go on that the trigger itself opens; the plan's own possible changes are tried on the first one. */
export interface AdaptationBase {
  readonly kind: string;
  readonly target: string;
  readonly parameters: Readonly<Record<string, unknown>>;
  readonly problem: PlanProblem;
}

export interface AdaptTask {
  readonly bases: readonly AdaptationBase[];
  /** What is planned now, for the differences: time and cost of what is left. */
  readonly planned: { readonly makespanMs: number; readonly cost: number };
  /** By when what is left has to be done; a tenth more than planned where nobody says. */
  readonly limitMs: number;
  /** 1 - mean severity of the open risks. */
  readonly riskConfidence: number;
  /** Steps that a change may touch. */
  readonly open: readonly string[];
  readonly maxEvaluations: number;
  readonly seed: number;
}

export interface AdaptationOption {
  readonly kind: string;
  readonly target: string;
  readonly parameters: Readonly<Record<string, unknown>>;
  readonly makespanMs: number;
  readonly timeReductionMs: number;
  readonly cost: number;
  readonly costIncrease: number;
  /** 0 to 1: that it is done in time and no open risk stops it. */
  readonly successProbability: number;
  readonly schedule: readonly ScheduledStep[];
}

/** Reschedules every option; what leaves no schedule is none. */
export function adapt(task: AdaptTask): readonly AdaptationOption[] {
  const [first] = task.bases;
  const options = task.bases.flatMap((base) => measure(base, { task, change: null, price: 0 }));
  if (!first) return options;
  const network = networkOf(first.problem);
  const candidates = proposeChanges(first.problem, network, computeSchedule(network))
    .filter(({ change }) => change.kind !== 'remove_redundant_edge' && touchesOpen(first.problem, change, task.open))
    .sort((left, right) => right.potential - left.potential)
    .slice(0, task.maxEvaluations);
  for (const { change, cost } of candidates) {
    const changed = { ...first, problem: applyChange(first.problem, change) };
    options.push(...measure(changed, { task, change, price: cost }));
  }
  return options;
}

function touchesOpen(
  { dependencies, resources }: PlanProblem,
  { target }: PlanChange,
  open: readonly string[],
): boolean {
  if (open.includes(target) || resources.some(({ id }) => id === target)) return true;
  const dependency = dependencies.find(({ id }) => id === target);
  return dependency !== undefined && open.includes(dependency.target);
}

function measure(
  { kind, target, parameters, problem }: AdaptationBase,
  {
    task,
    change,
    price,
  }: { readonly task: AdaptTask; readonly change: PlanChange | null; readonly price: number | null },
): AdaptationOption[] {
  // A deadline that is missed lowers the probability; it does not forbid to look at the option.
  const { problem: scheduling, unitMs } = toSchedulingProblem({ ...problem, deadline: undefined });
  const found = optimizeSchedule(scheduling, { maxSchedules: 200, seed: task.seed });
  if (found.status === 'infeasible') return [];
  const makespanMs = found.measures.makespan * unitMs;
  const network = networkOf(problem);
  const critical = computeSchedule(network);
  const pert = analyzePert(
    network,
    problem.steps.map((step) => threePointOf(step)),
    { topology: critical.topology },
  );
  // Waiting for resources delays every path alike: the critical one is taken to be longer by it.
  const waiting = Math.max(0, makespanMs - critical.finish);
  const inTime = probabilityWithin(task.limitMs, pert.finish + waiting, pert.finishVariance);
  const cost = costOf(problem) + (price ?? capacityPrice(problem, change, makespanMs));
  return [
    {
      kind: change?.kind ?? kind,
      target: change?.target ?? target,
      parameters: change?.parameters ?? parameters,
      makespanMs,
      timeReductionMs: task.planned.makespanMs - makespanMs,
      cost,
      costIncrease: cost - task.planned.cost,
      successProbability: inTime * task.riskConfidence,
      schedule: foldDates(
        problem.steps.map(({ id }, at) => ({
          stepId: id,
          startMs: found.starts[at]! * unitMs,
          finishMs: (found.starts[at]! + scheduling.durations[at]!) * unitMs,
        })),
      ),
    },
  ];
}

/** Sum of duration x rate, as in the plan's summary. */
export function costOf({ steps }: PlanProblem): number {
  return steps.reduce((sum, { duration, costRate = 0 }) => sum + duration * costRate, 0);
}

/** Units added are paid for as long as the plan runs. */
function capacityPrice({ resources }: PlanProblem, change: PlanChange | null, makespanMs: number): number {
  if (change?.kind !== 'add_capacity') return 0;
  const { costRate = 0 } = resources.find(({ id }) => id === change.target)!;
  return costRate * change.parameters.amount * makespanMs;
}
