import type { Instance } from './instance.ts';
import { capacityAt } from './packedCapacity.ts';
import type { SchedulingProblem } from './problem.ts';

/** Activities above which the bounds over all pairs of a head and a tail, quadratic in time, are left out. */
const maxPairs = 2_000;
/** Up to how many activities at a time the counting bound looks for. */
const maxParallel = 4;

/** Work that a capacity has to serve, each piece not before its head and with its tail still to come. */
interface Load {
  readonly activities: readonly number[];
  readonly work: (activity: number) => number;
  /** Earliest moment by which this much work is served when it begins at `from`. */
  readonly serve: (from: number, work: number) => number;
}

/**
 * No makespan is below this: the longest of the critical path, the work of each resource between heads and tails
 * (Carlier and Latapie 1991), and the time of activities of which at most k fit side by side (Klein and Scholl 1999).
 */
export function boundMakespan(instance: Instance): number {
  const { size, earliestStarts, tails, problem } = instance;
  let bound = 0;
  for (let activity = 0; activity < size; activity += 1)
    bound = Math.max(bound, earliestStarts[activity]! + tails[activity]!);
  for (let resource = 0; resource < problem.resources.length; resource += 1)
    for (const load of loadsOf(problem, resource)) bound = Math.max(bound, boundLoad(instance, load));
  return bound;
}

function loadsOf(problem: SchedulingProblem, resource: number): Load[] {
  const { durations, demands, resources } = problem;
  const demand = (activity: number) => demands[activity * resources.length + resource]!;
  const users = [...durations.keys()].filter((activity) => durations[activity]! > 0 && demand(activity) > 0);
  if (users.length === 0) return [];
  const { capacity, calendar = [] } = resources[resource]!;
  const most = calendar.reduce((highest, step) => Math.max(highest, step.capacity), capacity);
  const loads: Load[] = [
    {
      activities: users,
      work: (activity) => demand(activity) * durations[activity]!,
      serve: (from, work) => serveBy(problem, resource, from, work),
    },
  ];
  for (let parallel = 1; parallel <= maxParallel; parallel += 1)
    loads.push({
      activities: users.filter((activity) => demand(activity) * (parallel + 1) > most),
      work: (activity) => durations[activity]!,
      serve: (from, work) => from + Math.ceil(work / parallel),
    });
  return loads;
}

function serveBy(problem: SchedulingProblem, resource: number, from: number, work: number): number {
  let time = from;
  let rest = work;
  for (const step of problem.resources[resource]!.calendar ?? []) {
    if (step.time <= time) continue;
    const capacity = capacityAt(problem, resource, time);
    if (capacity * (step.time - time) >= rest) break;
    rest -= capacity * (step.time - time);
    time = step.time;
  }
  const capacity = capacityAt(problem, resource, time);
  return capacity > 0 ? time + Math.ceil(rest / capacity) : time;
}

/** The most that any head, the work that begins after it and before any tail, and that tail add up to. */
function boundLoad({ earliestStarts, tails, durations }: Instance, { activities, work, serve }: Load): number {
  const rest = (activity: number) => tails[activity]! - durations[activity]!;
  if (activities.length > maxPairs) {
    const total = activities.reduce((sum, activity) => sum + work(activity), 0);
    const head = activities.reduce((least, activity) => Math.min(least, earliestStarts[activity]!), 2 ** 30);
    return serve(head, total) + activities.reduce((least, activity) => Math.min(least, rest(activity)), 2 ** 30);
  }
  const byTail = activities.toSorted((left, right) => rest(right) - rest(left));
  const heads = new Set(activities.map((activity) => earliestStarts[activity]!));
  let bound = 0;
  for (const head of heads) {
    let sum = 0;
    for (const [at, activity] of byTail.entries()) {
      if (earliestStarts[activity]! >= head) sum += work(activity);
      const next = byTail[at + 1];
      if (sum > 0 && (next === undefined || rest(next) < rest(activity)))
        bound = Math.max(bound, serve(head, sum) + rest(activity));
    }
  }
  return bound;
}
