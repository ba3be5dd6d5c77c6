import { type ActivityNetwork, createNetwork, intersect, type OpenTimes } from '../network/index.ts';
import type { PlanProblem, Resource } from './problem.ts';

/** What there is of a resource, and when. */
export type TimedCapacity = Pick<Resource, 'capacity' | 'calendar'>;

/** The network of a plan: what its steps need is there at the times of the resources' calendars. */
export function networkOf(problem: PlanProblem): ActivityNetwork {
  const { steps, dependencies } = problem;
  if (problem.resources.every(({ calendar = [] }) => calendar.length === 0)) return createNetwork(steps, dependencies);
  const openOf = openTimesOf(problem);
  return createNetwork(
    steps.map((step) => (step.running === true ? step : { ...step, open: openOf(step.demands ?? []) })),
    dependencies,
  );
}

/** When all of these demands can be met at once; undefined where no calendar ever has less. Kept by resource and amount. */
function openTimesOf({ resources }: PlanProblem) {
  const byId = new Map(resources.map((resource) => [resource.id, resource]));
  const known = new Map<string, OpenTimes | undefined>();
  const openOf = (resourceId: string, amount: number): OpenTimes | undefined => {
    const key = `${amount} ${resourceId}`;
    if (known.has(key)) return known.get(key);
    const resource = byId.get(resourceId);
    const open = resource && openTimes(resource, amount);
    known.set(key, open);
    return open;
  };
  return (demands: readonly { readonly resourceId: string; readonly amount: number }[]): OpenTimes | undefined => {
    const amounts = new Map<string, number>();
    for (const { resourceId, amount } of demands) amounts.set(resourceId, (amounts.get(resourceId) ?? 0) + amount);
    let open: OpenTimes | undefined;
    for (const [resourceId, amount] of amounts) {
      const own = openOf(resourceId, amount);
      if (own !== undefined) open = open === undefined ? own : intersect(open, own);
    }
    return open;
  };
}

/** When as much is there; undefined where it always is. Without a calendar capacity is what schedules are held against, not time. */
export function openTimes({ capacity, calendar = [] }: TimedCapacity, amount: number): OpenTimes | undefined {
  if (calendar.length === 0) return undefined;
  const from: number[] = [];
  const until: number[] = [];
  let since = capacity >= amount ? -Infinity : null;
  for (const { time, capacity: then } of calendar) {
    if (then >= amount) since ??= time;
    else if (since !== null) {
      from.push(since);
      until.push(time);
      since = null;
    }
  }
  if (since === -Infinity) return undefined;
  if (since !== null) {
    from.push(since);
    until.push(Infinity);
  }
  return { from: Float64Array.from(from), until: Float64Array.from(until) };
}

/** The most there ever is. */
export function highestCapacity({ capacity, calendar = [] }: TimedCapacity): number {
  return calendar.reduce((most, step) => Math.max(most, step.capacity), calendar[0]?.time === 0 ? 0 : capacity);
}

/** The least there is at any moment of [from, until). */
export function leastCapacity({ capacity, calendar = [] }: TimedCapacity, from: number, until: number): number {
  let next = firstAfter(calendar, from);
  let least = next === 0 ? capacity : calendar[next - 1]!.capacity;
  for (; next < calendar.length && calendar[next]!.time < until; next += 1)
    least = Math.min(least, calendar[next]!.capacity);
  return least;
}

/** Place of the first change after this moment, by bisection. */
function firstAfter(calendar: readonly { readonly time: number }[], at: number): number {
  let low = 0;
  let high = calendar.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (calendar[middle]!.time > at) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** Capacity x time of [from, until). */
export function roomOf({ capacity, calendar = [] }: TimedCapacity, from: number, until: number): number {
  let room = 0;
  let since = from;
  let current = capacity;
  for (const step of calendar) {
    const time = Math.min(until, Math.max(from, step.time));
    room += current * (time - since);
    since = time;
    current = step.capacity;
  }
  return room + current * (until - since);
}

/** When this much capacity x time has passed from `from` on at the earliest; Infinity where there is never so much. */
export function earliestRoom({ capacity, calendar = [] }: TimedCapacity, from: number, work: number): number {
  let left = work;
  let since = from;
  let current = capacity;
  for (const step of calendar) {
    if (step.time > since) {
      const room = current * (step.time - since);
      if (room >= left) return since + left / current;
      left -= room;
      since = step.time;
    }
    current = step.capacity;
  }
  return current > 0 ? since + left / current : Infinity;
}

/** What the calendar says from this moment on, which becomes time 0. */
export function calendarFrom<Given extends TimedCapacity>(resource: Given, from: number): Given {
  const { calendar = [] } = resource;
  if (from <= 0 || calendar.length === 0) return resource;
  return {
    ...resource,
    capacity: leastCapacity(resource, from, from),
    calendar: calendar.flatMap(({ time, capacity }) => (time > from ? [{ time: time - from, capacity }] : [])),
  };
}

interface Changing {
  readonly capacity: number;
  readonly calendar?: readonly { readonly capacity: number }[] | null | undefined;
}

/** The resource with so much more or less of it; one with a calendar whenever there is any of it at all. */
export function withAdded<Given extends Changing>(resource: Given, amount: number): Given {
  const { capacity, calendar } = resource;
  if (calendar == null || calendar.length === 0) return { ...resource, capacity: Math.max(0, capacity + amount) };
  const changed = (then: number) => (then === 0 ? 0 : Math.max(0, then + amount));
  return {
    ...resource,
    capacity: changed(capacity),
    calendar: calendar.map((step) => ({ ...step, capacity: changed(step.capacity) })),
  };
}
