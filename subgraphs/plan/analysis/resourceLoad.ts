import { integrate, peakOf, type StepFunction, sumSpans } from '../network/index.ts';
import { highestCapacity, roomOf } from './calendar.ts';
import type { PlanProblem, ProblemStep, Resource } from './problem.ts';

/** When each step runs, by index of the problem's steps. */
export interface StepDates {
  readonly start: ArrayLike<number>;
  readonly finish: ArrayLike<number>;
}

export interface ResourceLoad {
  readonly resourceId: string;
  /** The most there ever is. */
  readonly capacity: number;
  /** Amount in use over time. */
  readonly profile: StepFunction;
  readonly peak: number;
  /** Work over capacity x duration of the project, by the calendar where there is one. */
  readonly utilization: number;
  /** The same counting only the work of critical steps. */
  readonly criticalUtilization: number;
  readonly overAllocations: readonly OverAllocation[];
}

export interface OverAllocation {
  readonly start: number;
  readonly end: number;
  /** Highest use in the interval. */
  readonly peak: number;
  /** Amount x time above capacity. */
  readonly excess: number;
  /** Most of what is used above the capacity of the moment. */
  readonly over: number;
  /** Steps that use the resource in the interval, in the order of the plan. */
  readonly stepIds: readonly string[];
}

/** One row a resource, in their order. A demand for a resource the problem does not have counts nowhere here. */
export function measureLoad(
  { steps, resources }: Pick<PlanProblem, 'steps' | 'resources'>,
  dates: StepDates,
  critical: ArrayLike<number>,
): ResourceLoad[] {
  const users = groupUsers(steps);
  let first = Infinity;
  let last = -Infinity;
  for (let at = 0; at < steps.length; at += 1) {
    first = Math.min(first, dates.start[at]!);
    last = Math.max(last, dates.finish[at]!);
  }
  return resources.map((resource) => {
    const { id } = resource;
    const spans = (users.get(id) ?? []).map(({ step, amount }) => ({
      ...{ step, start: dates.start[step]!, end: dates.finish[step]!, weight: amount },
    }));
    const profile = sumSpans(spans);
    const room = last > first ? roomOf(resource, first, last) : 0;
    const share = (work: number): number => (work === 0 ? 0 : room > 0 ? work / room : Infinity);
    const criticalWork = spans.reduce(
      (sum, { step, start, end, weight }) => sum + (critical[step] ? (end - start) * weight : 0),
      0,
    );
    return {
      ...{ resourceId: id, capacity: highestCapacity(resource), profile, peak: peakOf(profile) },
      utilization: share(integrate(profile)),
      criticalUtilization: share(criticalWork),
      overAllocations: findOverAllocations(profile, resource).map((interval) => ({
        ...interval,
        stepIds: spans
          .filter(({ start, end }) => start < interval.end && end > interval.start)
          .map(({ step }) => steps[step]!.id),
      })),
    };
  });
}

/** The resource most used by the critical steps, among equals the one most used at all; null when none is used. */
export function findBottleneck(loads: readonly ResourceLoad[]): ResourceLoad | null {
  let bottleneck: ResourceLoad | null = null;
  for (const load of loads) {
    if (load.utilization === 0) continue;
    const ahead =
      bottleneck === null ||
      load.criticalUtilization > bottleneck.criticalUtilization ||
      (load.criticalUtilization === bottleneck.criticalUtilization && load.utilization > bottleneck.utilization);
    if (ahead) bottleneck = load;
  }
  return bottleneck;
}

/** Mean use in equal buckets of a time, by default that of the profile itself, for a chart. */
export function bucketLoad(
  profile: StepFunction,
  buckets: number,
  { from = profile.times[0], until = profile.times.at(-1) }: { readonly from?: number; readonly until?: number } = {},
): { readonly start: number; readonly end: number; readonly mean: number }[] {
  if (from === undefined || until === undefined || until <= from) return [];
  const width = (until - from) / buckets;
  return Array.from({ length: buckets }, (_, bucket) => {
    const start = from + bucket * width;
    const end = bucket === buckets - 1 ? until : start + width;
    return { start, end, mean: integrate(profile, { from: start, until: end }) / (end - start) };
  });
}

function groupUsers(steps: readonly ProblemStep[]): Map<string, { step: number; amount: number }[]> {
  const users = new Map<string, { step: number; amount: number }[]>();
  for (const [step, { demands = [] }] of steps.entries())
    for (const { resourceId, amount } of demands) {
      const known = users.get(resourceId);
      if (known === undefined) users.set(resourceId, [{ step, amount }]);
      else known.push({ step, amount });
    }
  return users;
}

/** Longest intervals throughout which use exceeds the capacity of the moment. */
function findOverAllocations({ times, values }: StepFunction, { capacity, calendar = [] }: Resource) {
  const intervals: { start: number; end: number; peak: number; excess: number; over: number }[] = [];
  let change = 0;
  let there = capacity;
  for (let place = 0; place + 1 < times.length; place += 1) {
    const until = times[place + 1]!;
    for (let start = times[place]!; start < until; ) {
      for (; change < calendar.length && calendar[change]!.time <= start; change += 1)
        there = calendar[change]!.capacity;
      const end = Math.min(until, calendar[change]?.time ?? Infinity);
      const over = values[place]! - there;
      if (over > 0) add({ start, end, peak: values[place]!, excess: over * (end - start), over });
      start = end;
    }
  }
  return intervals;

  function add(next: (typeof intervals)[number]): void {
    const open = intervals.at(-1);
    if (open?.end !== next.start) {
      intervals.push(next);
      return;
    }
    open.end = next.end;
    open.peak = Math.max(open.peak, next.peak);
    open.over = Math.max(open.over, next.over);
    open.excess += next.excess;
  }
}
