import type { Precedence, SchedulingProblem } from '../../subgraphs/plan/scheduling/problem.ts';
import { createRandom } from '../../subgraphs/plan/scheduling/random.ts';

export interface ProjectShape {
  readonly seed: number;
  readonly activities: number;
  /** Mean direct successors of an activity. */
  readonly networkComplexity: number;
  /** Share of the resources an activity uses, 0 to 1. */
  readonly resourceFactor: number;
  /** 0: capacities as small as a single activity needs; 1: no resource is ever short. */
  readonly resourceStrength: number;
}

const resourceCount = 4;
const longestDuration = 10;
const highestDemand = 10;

/** Random projects by the parameters of ProGen (Kolisch, Sprecher and Drexl 1995). */
export function generateProject(shape: ProjectShape): SchedulingProblem {
  const random = createRandom(shape.seed);
  const size = shape.activities;
  const durations = Int32Array.from({ length: size }, () => 1 + random.integer(longestDuration));
  const precedences: Precedence[] = [];
  const known = new Set<number>();
  while (precedences.length < shape.networkComplexity * size) {
    const to = 1 + random.integer(size - 1);
    const from = Math.max(0, to - 1 - random.integer(Math.ceil(size / 3)));
    if (known.has(from * size + to)) continue;
    known.add(from * size + to);
    precedences.push({ from, to, type: 'finish_to_start', lag: 0 });
  }
  const demands = Int32Array.from({ length: size * resourceCount }, () =>
    random.next() < shape.resourceFactor ? 1 + random.integer(highestDemand) : 0,
  );
  const resources = Array.from({ length: resourceCount }, (_, resource) => {
    const least = Math.max(1, ...durations.keys().map((activity) => demands[activity * resourceCount + resource]!));
    const most = peakOfEarliestStarts(durations, precedences, demands, resource);
    return { capacity: Math.round(least + shape.resourceStrength * Math.max(0, most - least)) };
  });
  return { durations, precedences, demands, resources };
}

function peakOfEarliestStarts(
  durations: Int32Array,
  precedences: readonly Precedence[],
  demands: Int32Array,
  resource: number,
): number {
  const starts = new Int32Array(durations.length);
  // Activities are numbered topologically.
  for (const { from, to } of precedences.toSorted((left, right) => left.to - right.to))
    starts[to] = Math.max(starts[to]!, starts[from]! + durations[from]!);
  const load: number[] = [];
  for (const [activity, start] of starts.entries())
    for (let time = start; time < start + durations[activity]!; time += 1)
      load[time] = (load[time] ?? 0) + demands[activity * resourceCount + resource]!;
  return Math.max(0, ...load.filter((units) => units !== undefined));
}
