import type { Builder } from './builder.ts';
import type { Instance } from './instance.ts';
import { free } from './problem.ts';

/** Cells of load kept at most; above, several units of time share one. */
const maxCells = 1_048_576;
const maxRounds = 20;

/**
 * Evens out the use of resources: activities, last first, move within their float to the start of the least sum of
 * squared use, the latest among equals, until none moves (Burgess and Killebrew 1962). Capacities, dependencies and
 * `latestFinish` stay kept; the sum of squares never grows. Changes `starts`.
 */
export function levelStarts(builder: Builder, starts: Int32Array, latestFinish: number): void {
  const { instance, profile } = builder;
  const { size, durations, fixedStarts, problem } = instance;
  const count = problem.resources.length;
  const cellTime = Math.max(1, Math.ceil((latestFinish * count) / maxCells));
  const loads = new Int32Array((Math.ceil(latestFinish / cellTime) + 1) * count);
  const add = (activity: number, start: number, sign: number): void => {
    for (let time = start; time < start + durations[activity]!; time += cellTime)
      for (let resource = 0; resource < count; resource += 1)
        loads[Math.floor(time / cellTime) * count + resource]! += sign * problem.demands[activity * count + resource]!;
  };
  /** Use by others while the activity runs, weighed with its demands: what its part of the squares grows by. */
  const overlap = (activity: number, start: number): number => {
    let sum = 0;
    for (let time = start; time < start + durations[activity]!; time += cellTime)
      for (let resource = 0; resource < count; resource += 1)
        sum += loads[Math.floor(time / cellTime) * count + resource]! * problem.demands[activity * count + resource]!;
    return sum;
  };
  const before = starts.slice();
  const squares = levelSquares(instance, starts);
  builder.load(starts);
  for (let activity = 0; activity < size; activity += 1) add(activity, starts[activity]!, 1);
  const order = new Int32Array(size);
  for (let round = 0, moved = true; moved && round < maxRounds; round += 1) {
    moved = false;
    builder.list(starts, order);
    for (const activity of order.toReversed()) {
      if (fixedStarts[activity] !== free || durations[activity] === 0) continue;
      const current = starts[activity]!;
      const [earliest, latest] = floatOf(builder, activity, starts, latestFinish);
      if (latest <= earliest) continue;
      profile.give(activity, current);
      add(activity, current, -1);
      let best = current;
      let least = overlap(activity, current);
      for (let start = profile.earliest(activity, earliest); start >= 0 && start <= latest; ) {
        const sum = overlap(activity, start);
        if (sum < least || (sum === least && start > best)) {
          best = start;
          least = sum;
        }
        start = profile.earliest(activity, start + cellTime);
      }
      profile.take(activity, best);
      add(activity, best, 1);
      starts[activity] = best;
      moved ||= best !== current;
    }
  }
  if (cellTime > 1 && levelSquares(instance, starts) > squares) starts.set(before);
}

/** The window that the activities around it leave where they are now. */
function floatOf({ instance }: Builder, activity: number, starts: Int32Array, latestFinish: number): [number, number] {
  const { earliestStarts, latestStarts, durations, predecessors, successors } = instance;
  let earliest = earliestStarts[activity]!;
  for (let at = predecessors.offsets[activity]!; at < predecessors.offsets[activity + 1]!; at += 1)
    earliest = Math.max(earliest, starts[predecessors.ends[at]!]! + predecessors.weights[at]!);
  // An activity that is late already is not made later.
  let latest = Math.min(latestFinish - durations[activity]!, Math.max(latestStarts[activity]!, starts[activity]!));
  for (let at = successors.offsets[activity]!; at < successors.offsets[activity + 1]!; at += 1)
    latest = Math.min(latest, starts[successors.ends[at]!]! - successors.weights[at]!);
  return [earliest, latest];
}

/** Sum over resources and time of the squared use, in exact time. */
export function levelSquares({ size, durations, problem }: Instance, starts: Int32Array): number {
  const count = problem.resources.length;
  const ends = starts.map((start, activity) => start + durations[activity]!);
  const byStart = Array.from(starts.keys()).sort((left, right) => starts[left]! - starts[right]!);
  const byEnd = Array.from(starts.keys()).sort((left, right) => ends[left]! - ends[right]!);
  const used = new Float64Array(count);
  let squares = 0;
  let time = 0;
  for (let begun = 0, ended = 0; ended < size; ) {
    const opens = begun < size && starts[byStart[begun]!]! <= ends[byEnd[ended]!]!;
    const activity = opens ? byStart[begun++]! : byEnd[ended++]!;
    const moment = opens ? starts[activity]! : ends[activity]!;
    for (let resource = 0; resource < count; resource += 1) {
      squares += used[resource]! ** 2 * (moment - time);
      used[resource]! += (opens ? 1 : -1) * problem.demands[activity * count + resource]!;
    }
    time = moment;
  }
  return squares;
}
