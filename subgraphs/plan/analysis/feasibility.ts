import type { Schedule } from '../network/index.ts';
import type { PlanProblem } from './problem.ts';

/** Why a plan cannot be carried out as it stands. Each is proven: none of them is a guess about a schedule. */
export type InfeasibilityReason =
  | { readonly reason: 'deadline_before_longest_path'; readonly deadline: number; readonly earliestFinish: number }
  | {
      readonly reason: 'step_deadline';
      readonly stepId: string;
      readonly deadline: number;
      readonly earliestFinish: number;
    }
  | {
      readonly reason: 'demand_above_capacity';
      readonly stepId: string;
      readonly resourceId: string;
      readonly amount: number;
      readonly capacity: number;
    }
  | { readonly reason: 'unknown_resource'; readonly stepId: string; readonly resourceId: string }
  | {
      readonly reason: 'work_above_capacity';
      readonly resourceId: string;
      readonly earliestFinish: number;
      readonly deadline: number;
    }
  | { readonly reason: 'cost_above_limit'; readonly cost: number; readonly maxCost: number }
  | { readonly reason: 'duration_out_of_range'; readonly duration: number; readonly min: number; readonly max: number };

export interface DurationRange {
  readonly min: number;
  readonly max: number;
}

/** Everything found, not the first. `durationRange` bounds the whole plan, in the unit of the durations. */
export function findInfeasibilities(
  problem: PlanProblem,
  schedule: Schedule,
  durationRange?: DurationRange,
): InfeasibilityReason[] {
  const found: InfeasibilityReason[] = [];
  const { steps, resources, deadline } = problem;
  const { earlyFinish, earlyStart, finish, projectStart } = schedule;
  if (deadline !== undefined && finish > deadline)
    found.push({ reason: 'deadline_before_longest_path', deadline, earliestFinish: finish });
  for (const [node, step] of steps.entries())
    if (step.deadline !== undefined && earlyFinish[node]! > step.deadline)
      found.push({
        ...{ reason: 'step_deadline', stepId: step.id, deadline: step.deadline },
        earliestFinish: earlyFinish[node]!,
      });

  const capacities = new Map(resources.map(({ id, capacity }) => [id, capacity]));
  const work = new Map<string, { amount: number; earliest: number }>();
  for (const [node, { id: stepId, duration, demands = [] }] of steps.entries())
    for (const { resourceId, amount } of demands) {
      const capacity = capacities.get(resourceId);
      if (capacity === undefined) found.push({ reason: 'unknown_resource', stepId, resourceId });
      else if (amount > capacity) found.push({ reason: 'demand_above_capacity', stepId, resourceId, amount, capacity });
      const total = work.get(resourceId) ?? { amount: 0, earliest: Infinity };
      total.amount += amount * duration;
      if (duration > 0 && amount > 0) total.earliest = Math.min(total.earliest, earlyStart[node]!);
      work.set(resourceId, total);
    }
  if (deadline !== undefined)
    for (const { id: resourceId, capacity } of resources) {
      const total = work.get(resourceId);
      if (total === undefined || total.amount === 0 || capacity <= 0) continue;
      const earliestFinish = total.earliest + total.amount / capacity;
      if (earliestFinish > deadline)
        found.push({ reason: 'work_above_capacity', resourceId, earliestFinish, deadline });
    }

  const duration = finish - projectStart;
  if (durationRange !== undefined && (duration < durationRange.min || duration > durationRange.max))
    found.push({ reason: 'duration_out_of_range', duration, ...durationRange });
  return found;
}

/** Share of what is needed that is there, of the reason that lacks most: 1 without any, 0 where it cannot be told. */
export function scoreFeasibility(reasons: readonly InfeasibilityReason[]): number {
  return reasons.reduce((score, reason) => Math.min(score, shareOf(reason)), 1);
}

function shareOf(reason: InfeasibilityReason): number {
  const share = (there: number, needed: number) => (needed <= 0 ? 0 : Math.max(0, Math.min(1, there / needed)));
  switch (reason.reason) {
    case 'deadline_before_longest_path':
    case 'step_deadline':
    case 'work_above_capacity':
      return share(reason.deadline, reason.earliestFinish);
    case 'demand_above_capacity':
      return share(reason.capacity, reason.amount);
    case 'cost_above_limit':
      return share(reason.maxCost, reason.cost);
    case 'duration_out_of_range':
      return share(Math.min(reason.duration, reason.max), Math.max(reason.duration, reason.min));
    case 'unknown_resource':
      return 0;
  }
}
