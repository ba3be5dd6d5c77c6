import { leastCapacity, networkOf, type TimedCapacity } from './analysis/calendar.ts';
import type { PlanProblem } from './analysis/index.ts';
import { earliestFit, fits } from './network/index.ts';
import { free, type RenewableResource, type SchedulingProblem, unbounded } from './scheduling/index.ts';

/** Units of time at most: the scheduler's profiles grow with them, and finer dates would say nothing more. */
const maxUnits = 100_000;

export interface AdaptedProblem {
  readonly problem: SchedulingProblem;
  /** Milliseconds of one unit of its time. */
  readonly unitMs: number;
}

/**
 * A plan as the scheduler takes it: indexes for ids, whole units of time. The unit is the greatest that divides all
 * times, and coarser where they are too many: then durations and lags are rounded up, so that a schedule kept in units is
 * kept in milliseconds, and deadlines down.
 */
export function toSchedulingProblem(whole: PlanProblem, alsoDividing: readonly number[] = []): AdaptedProblem {
  const plan = cropCalendars(whole);
  const total =
    plan.steps.reduce((sum, step) => sum + step.duration + (step.earliestStart ?? 0), 0) +
    plan.dependencies.reduce((sum, { lag }) => sum + Math.abs(lag), 0) +
    plan.resources.reduce((latest, { calendar }) => Math.max(latest, calendar?.at(-1)?.time ?? 0), 0);
  const common = divisorOf([
    ...plan.steps.flatMap((step) => [step.duration, step.earliestStart ?? 0, step.crash?.minDuration ?? 0]),
    ...plan.dependencies.map(({ lag }) => Math.abs(lag)),
    ...plan.resources.flatMap(({ calendar = [] }) => calendar.map(({ time }) => time)),
    ...alsoDividing,
  ]);
  const unitMs = total / common <= maxUnits ? common : Math.ceil(total / maxUnits);
  const up = (value: number) => Math.ceil(value / unitMs);
  const indexOf = new Map(plan.steps.map((step, index) => [step.id, index]));
  const resourceAt = new Map(plan.resources.map((resource, index) => [resource.id, index]));
  const demands = new Int32Array(plan.steps.length * plan.resources.length);
  for (const [index, step] of plan.steps.entries()) {
    for (const { resourceId, amount } of step.demands ?? []) {
      const at = resourceAt.get(resourceId);
      if (at === undefined || (step.running === true && outlasts(plan.resources[at]!, step.duration, amount))) continue;
      demands[index * plan.resources.length + at]! += amount;
    }
  }
  const bounded = (deadline: number | undefined) => Math.min(deadline ?? Infinity, plan.deadline ?? Infinity);
  return {
    unitMs,
    problem: {
      durations: Int32Array.from(plan.steps, (step) => up(step.duration)),
      precedences: plan.dependencies.map(({ source, target, type, lag }) => ({
        from: indexOf.get(source)!,
        to: indexOf.get(target)!,
        type,
        lag: up(lag),
      })),
      resources: plan.resources.map(({ capacity, costRate, calendar }) => ({
        ...toCapacities(capacity, calendar ?? [], unitMs),
        costPerUnitTime: (costRate ?? 0) * unitMs,
      })),
      demands,
      releases: Int32Array.from(plan.steps, (step) => up(step.earliestStart ?? 0)),
      deadlines: Int32Array.from(plan.steps, (step) => {
        const deadline = bounded(step.deadline);
        return deadline === Infinity ? unbounded : Math.min(unbounded, Math.floor(deadline / unitMs));
      }),
      fixedStarts: new Int32Array(plan.steps.length).fill(free),
      crashOptions: plan.steps.flatMap((step, activity) =>
        step.crash === undefined || step.crash.minDuration >= step.duration
          ? []
          : [
              {
                activity,
                crashDuration: up(step.crash.minDuration),
                costPerUnitTime: step.crash.costPerUnit * unitMs,
              },
            ],
      ),
    },
  };
}

const marginMs = 14 * 24 * 3_600_000;

/**
 * Calendars as far as a schedule may need them, since the unit of time grows with them: twice as long as one step after the
 * other would take, and two weeks. After that there is the least that there ever is, so that never more is offered.
 */
function cropCalendars(plan: PlanProblem): PlanProblem {
  const { steps, dependencies, resources } = plan;
  const last = resources.reduce((latest, { calendar }) => Math.max(latest, calendar?.at(-1)?.time ?? 0), 0);
  if (last <= marginMs) return plan;
  const { open } = networkOf(plan);
  let end = steps.reduce((latest, { earliestStart = 0 }) => Math.max(latest, earliestStart), 0);
  for (const { lag } of dependencies) end += Math.abs(lag);
  for (const [node, { duration }] of steps.entries()) {
    const own = open?.[node];
    const start = own === undefined ? end : earliestFit(own, end, duration);
    // Nothing is known of what does not fit at all.
    if (own !== undefined && !fits(own, start, duration)) return plan;
    end = start + duration;
  }
  const until = 2 * end + marginMs;
  if (last <= until) return plan;
  return { ...plan, resources: resources.map((resource) => cropCalendar(resource, until)) };
}

/** Ends with a change that it has, since times have to stay whole in the unit of the others. */
function cropCalendar<Given extends TimedCapacity>(resource: Given, until: number): Given {
  const { calendar = [] } = resource;
  const after = calendar.find(({ time }) => time >= until);
  if (after === undefined) return resource;
  const capacity = calendar.reduce((least, change) => Math.min(least, change.capacity), resource.capacity);
  return {
    ...resource,
    calendar: [...calendar.filter(({ time }) => time < after.time), { time: after.time, capacity }],
  };
}

/** Whether what is at work goes on longer than what it uses is there: then it waits for nothing any more. */
const outlasts = (resource: TimedCapacity, duration: number, amount: number): boolean =>
  (resource.calendar ?? []).length > 0 && leastCapacity(resource, 0, duration) < amount;

/** What is there for the whole of each unit. */
function toCapacities(
  capacity: number,
  calendar: readonly { readonly time: number; readonly capacity: number }[],
  unitMs: number,
): Pick<RenewableResource, 'capacity' | 'calendar'> {
  if (calendar.length === 0) return { capacity };
  // Changes fall into units that begin here; all others are the same throughout.
  const units = new Set([0, ...calendar.flatMap(({ time }) => [0, 1].map((next) => Math.floor(time / unitMs) + next))]);
  const levels: { time: number; capacity: number }[] = [];
  let at = 0;
  let current = capacity;
  for (const unit of [...units].sort((left, right) => left - right)) {
    for (; at < calendar.length && calendar[at]!.time <= unit * unitMs; at += 1) current = calendar[at]!.capacity;
    let least = current;
    for (; at < calendar.length && calendar[at]!.time < (unit + 1) * unitMs; at += 1) {
      current = calendar[at]!.capacity;
      least = Math.min(least, current);
    }
    if (levels.at(-1)?.capacity !== least) levels.push({ time: unit, capacity: least });
  }
  const [first, ...rest] = levels;
  return { capacity: first!.capacity, ...(rest.length === 0 ? {} : { calendar: rest }) };
}

/** The greatest whole number that divides all of these; 1 when all are zero. */
function divisorOf(values: readonly number[]): number {
  let divisor = 0;
  for (let value of values) while (value !== 0) [divisor, value] = [value, divisor % value];
  return Math.max(1, divisor);
}
