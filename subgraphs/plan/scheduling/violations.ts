import { startDistance } from './arcs.ts';
import { capacityAt } from './packedCapacity.ts';
import { free, type SchedulingProblem, unbounded } from './problem.ts';

/** A constraint that a schedule breaks, by how much. */
export type Violation =
  | { readonly kind: 'precedence'; readonly from: number; readonly to: number; readonly missing: number }
  | { readonly kind: 'capacity'; readonly resource: number; readonly time: number; readonly over: number }
  | { readonly kind: 'release'; readonly activity: number; readonly early: number }
  | { readonly kind: 'deadline'; readonly activity: number; readonly late: number }
  | { readonly kind: 'fixed_start'; readonly activity: number; readonly moved: number };

/** Checks a schedule against the problem as it was given, independently of how the schedule was built. */
export function findViolations(problem: SchedulingProblem, starts: Int32Array): Violation[] {
  const { durations, precedences } = problem;
  const found: Violation[] = [];
  for (const precedence of precedences) {
    const { from, to } = precedence;
    const missing = starts[from]! + startDistance(precedence, durations) - starts[to]!;
    if (missing > 0) found.push({ kind: 'precedence', from, to, missing });
  }
  for (const [activity, start] of starts.entries()) {
    const fixed = problem.fixedStarts?.[activity] ?? free;
    const early = (fixed === free ? (problem.releases?.[activity] ?? 0) : 0) - start;
    if (early > 0) found.push({ kind: 'release', activity, early });
    const late = start + durations[activity]! - (problem.deadlines?.[activity] ?? unbounded);
    if (late > 0) found.push({ kind: 'deadline', activity, late });
    if (fixed !== free && fixed !== start) found.push({ kind: 'fixed_start', activity, moved: start - fixed });
  }
  for (let resource = 0; resource < problem.resources.length; resource += 1)
    for (const { time, used } of loadOver(problem, starts, resource)) {
      const over = used - capacityAt(problem, resource, time);
      if (over > 0) found.push({ kind: 'capacity', resource, time, over });
    }
  return found;
}

/** Units in use from each moment at which the use or the capacity of the resource changes. */
export function loadOver(
  { durations, demands, resources }: SchedulingProblem,
  starts: Int32Array,
  resource: number,
): { time: number; used: number }[] {
  const changes = new Map<number, number>([[0, 0]]);
  for (const step of resources[resource]!.calendar ?? []) changes.set(step.time, 0);
  for (const [activity, start] of starts.entries()) {
    const demand = demands[activity * resources.length + resource]!;
    if (demand === 0 || durations[activity] === 0) continue;
    const end = start + durations[activity]!;
    changes.set(start, (changes.get(start) ?? 0) + demand);
    changes.set(end, (changes.get(end) ?? 0) - demand);
  }
  let used = 0;
  return [...changes]
    .sort(([left], [right]) => left - right)
    .map(([time, change]) => {
      used += change;
      return { time, used };
    });
}
