import type { Builder } from './builder.ts';
import type { Infeasibility } from './infeasibility.ts';
import type { Instance } from './instance.ts';
import { capacityAt } from './packedCapacity.ts';
import { free, type SchedulingProblem, unbounded } from './problem.ts';
import { loadOver } from './violations.ts';

/** What capacities forbid whatever the order: an activity that never fits, or running ones that overlap too much. */
export function findCapacityConflict(problem: SchedulingProblem): Infeasibility | null {
  const { durations, demands, resources, fixedStarts } = problem;
  for (let resource = 0; resource < resources.length; resource += 1) {
    const always = Math.min(resources[resource]!.capacity, ...capacities(problem, resource));
    for (const [activity, duration] of durations.entries()) {
      const demand = demands[activity * resources.length + resource]!;
      if (demand <= always || duration === 0 || (fixedStarts?.[activity] ?? free) !== free) continue;
      const capacity = highestHeld(problem, resource, duration);
      if (demand > capacity) return { kind: 'demand_over_capacity', activity, resource, demand, capacity };
    }
  }
  return fixedStarts === undefined ? null : findFixedConflict(problem, fixedStarts);
}

function capacities(problem: SchedulingProblem, resource: number): number[] {
  return problem.resources[resource]!.calendar?.map(({ capacity }) => capacity) ?? [];
}

/** The highest capacity that a resource holds for this long without a break. */
function highestHeld(problem: SchedulingProblem, resource: number, duration: number): number {
  const calendar = problem.resources[resource]!.calendar ?? [];
  const times = [0, ...calendar.map(({ time }) => time)];
  const levels = times.map((time) => capacityAt(problem, resource, time));
  let highest = 0;
  for (let first = 0; first < times.length; first += 1) {
    let lowest = levels[first]!;
    for (let at = first; at < times.length && lowest > highest; at += 1) {
      lowest = Math.min(lowest, levels[at]!);
      if ((times[at + 1] ?? unbounded) - times[first]! >= duration) {
        highest = Math.max(highest, lowest);
        break;
      }
    }
  }
  return highest;
}

function findFixedConflict(problem: SchedulingProblem, fixedStarts: Int32Array): Infeasibility | null {
  const { durations, demands, resources } = problem;
  const running = { ...problem, durations: durations.map((length, at) => (fixedStarts[at] === free ? 0 : length)) };
  for (let resource = 0; resource < resources.length; resource += 1)
    for (const { time, used } of loadOver(running, fixedStarts, resource)) {
      const capacity = capacityAt(problem, resource, time);
      if (used <= capacity) continue;
      const activity = fixedStarts.findLastIndex(
        (start, at) =>
          start !== free &&
          start <= time &&
          start + durations[at]! > time &&
          demands[at * resources.length + resource]! > 0,
      );
      return { kind: 'fixed_over_capacity', activity, resource, time, capacity };
    }
  return null;
}

/** Why the search found nothing: the activity that the last list could not place. */
export function explainUnplaced(builder: Builder): Infeasibility {
  const activity = builder.unplaced();
  builder.profile.reset();
  const fits = builder.profile.earliest(activity, builder.instance.earliestStarts[activity]!) >= 0;
  return fits ? { kind: 'maximal_lag', activity, proven: false } : { kind: 'calendar', activity };
}

/** The activity that a schedule starts too late, or null. */
export function findLateness(
  { problem, latestStarts, durations, size }: Instance,
  starts: Int32Array,
): Infeasibility | null {
  let late: Infeasibility | null = null;
  for (let activity = 0; activity < size; activity += 1) {
    const latestStart = latestStarts[activity]!;
    const earliestStart = starts[activity]!;
    if (earliestStart <= latestStart) continue;
    const deadline = problem.deadlines?.[activity] ?? unbounded;
    const earliestFinish = earliestStart + durations[activity]!;
    if (earliestFinish > deadline) return { kind: 'deadline', activity, deadline, earliestFinish, proven: false };
    late ??= { kind: 'latest_start', activity, latestStart, earliestStart, proven: false };
  }
  return late;
}
