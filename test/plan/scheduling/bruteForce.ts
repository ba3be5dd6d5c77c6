import { startDistance } from '../../../subgraphs/plan/scheduling/arcs.ts';
import type { SchedulingProblem } from '../../../subgraphs/plan/scheduling/index.ts';
import { capacityAt } from '../../../subgraphs/plan/scheduling/packedCapacity.ts';

/** Whether any starts at all end by `makespan`: tries them all, so for a handful of short activities only. */
export function hasSchedule(problem: SchedulingProblem, makespan: number): boolean {
  const { durations, demands, resources, releases } = problem;
  const starts = new Int32Array(durations.length);
  const left = resources.map((_, resource) =>
    Array.from({ length: Math.max(0, makespan) }, (_, time) => capacityAt(problem, resource, time)),
  );
  const take = (activity: number, sign: number): boolean => {
    let fits = true;
    for (let resource = 0; resource < resources.length; resource += 1)
      for (let time = starts[activity]!; time < starts[activity]! + durations[activity]!; time += 1) {
        left[resource]![time]! -= sign * demands[activity * resources.length + resource]!;
        fits &&= left[resource]![time]! >= 0;
      }
    return fits;
  };
  const arcs = problem.precedences.map((precedence) => ({
    ...precedence,
    weight: startDistance(precedence, durations),
  }));
  const arcsUpTo = durations.reduce<(typeof arcs)[]>((found, _, activity) => {
    found.push(arcs.filter(({ from, to }) => Math.max(from, to) === activity));
    return found;
  }, []);
  const search = (activity: number): boolean => {
    if (activity === durations.length) return true;
    for (let start = releases?.[activity] ?? 0; start + durations[activity]! <= makespan; start += 1) {
      starts[activity] = start;
      if (!arcsUpTo[activity]!.every(({ from, to, weight }) => starts[to]! - starts[from]! >= weight)) continue;
      const found = take(activity, 1) && search(activity + 1);
      take(activity, -1);
      if (found) return true;
    }
    return false;
  };
  return search(0);
}
