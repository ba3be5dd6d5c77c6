import { fits, type Schedule } from '../network/index.ts';
import { earliestRoom, highestCapacity, networkOf } from './calendar.ts';
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
  /** What it needs is never there, all together, for as long as it takes. */
  | { readonly reason: 'calendar_too_short'; readonly stepId: string }
  | { readonly reason: 'unknown_resource'; readonly stepId: string; readonly resourceId: string }
  | {
      readonly reason: 'work_above_capacity';
      readonly resourceId: string;
      /** Null where the calendar never leaves enough. */
      readonly earliestFinish: number | null;
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

  const capacities = new Map(resources.map((resource) => [resource.id, highestCapacity(resource)]));
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
    for (const resource of resources) {
      const { id: resourceId } = resource;
      const total = work.get(resourceId);
      if (total === undefined || total.amount === 0 || highestCapacity(resource) <= 0) continue;
      const earliestFinish = earliestRoom(resource, total.earliest, total.amount);
      if (earliestFinish > deadline)
        found.push({
          ...{ reason: 'work_above_capacity', resourceId, deadline },
          earliestFinish: earliestFinish === Infinity ? null : earliestFinish,
        });
    }

  // Early dates are those where a step fits, if there is any.
  const lacking = new Set(found.flatMap((one) => (one.reason === 'demand_above_capacity' ? [one.stepId] : [])));
  for (const [node, open] of (networkOf(problem).open ?? []).entries()) {
    const { id: stepId, duration } = steps[node]!;
    if (open !== undefined && !lacking.has(stepId) && !fits(open, earlyStart[node]!, duration))
      found.push({ reason: 'calendar_too_short', stepId });
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
      return reason.earliestFinish === null ? 0 : share(reason.deadline, reason.earliestFinish);
    case 'demand_above_capacity':
      return share(reason.capacity, reason.amount);
    case 'cost_above_limit':
      return share(reason.maxCost, reason.cost);
    case 'duration_out_of_range':
      return share(Math.min(reason.duration, reason.max), Math.max(reason.duration, reason.min));
    case 'unknown_resource':
    case 'calendar_too_short':
      return 0;
  }
}
