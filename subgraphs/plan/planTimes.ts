import { calendarFrom, highestCapacity, type TimedCapacity } from './analysis/calendar.ts';
import type { PlanProblem } from './analysis/index.ts';
import { timelineOf } from './constraints/index.ts';
import type { PlanDefinition, PlanResourceValue, RunCalendar } from './rows.ts';
import { listCapacities, type WorkWeek } from './workWeek.ts';

/**
 * How far the calendars of resources have come by an instant: they begin with the plan's timeline, without one with its run.
 * @param begun when the run began; null before one
 */
export function calendarAge(definition: PlanDefinition, begun: number | null, now: number): number {
  return Math.max(0, now - (timelineOf(definition).start ?? begun ?? now));
}

/** The problem as it stands some time after its start; calendars may have begun before the run. Time 0 is that moment. */
export function atMoment(
  problem: PlanProblem,
  { runMs = 0, calendarMs }: { readonly runMs?: number; readonly calendarMs: number },
): PlanProblem {
  if (runMs <= 0 && calendarMs <= 0) return problem;
  return {
    ...problem,
    resources: problem.resources.map((resource) => calendarFrom(resource, calendarMs)),
    steps:
      runMs <= 0
        ? problem.steps
        : problem.steps.map((step) =>
            step.earliestStart === undefined
              ? step
              : { ...step, earliestStart: Math.max(0, step.earliestStart - runMs) },
          ),
  };
}

/** Where a plan's time 0 lies, and how much of it has passed. */
export interface PlanClock {
  /** Epoch ms; null without a timeline. */
  readonly startMs: number | null;
  /** @default 0 */
  readonly ageMs?: number | undefined;
}

const yearMs = 366 * 24 * 3_600_000;

/** Resources of a plan as the algorithms take them; of a working week what it comes to in the year ahead, as long as a plan may be. */
export function toTimed(
  { id, capacity, calendar, workWeek, most = Infinity }: PlanResourceValue,
  { startMs, ageMs = 0 }: PlanClock,
) {
  if (workWeek != null) {
    const from = startMs ?? 0;
    return timeWeek({ id, capacity, workWeek, most }, { origin: from, from, until: from + ageMs + yearMs });
  }
  return {
    ...{ id, capacity },
    calendar: calendar?.map(({ fromMs, capacity: then }) => ({ time: fromMs, capacity: then })),
  };
}

interface Span {
  /** What times count from. */
  readonly origin: number;
  readonly from: number;
  readonly until: number;
}

/** Nothing is told of what comes after the span: then there is none. */
function timeWeek(
  {
    id,
    capacity,
    workWeek,
    most = Infinity,
  }: Pick<PlanResourceValue, 'id' | 'capacity' | 'most'> & { readonly workWeek: WorkWeek },
  { origin, from, until }: Span,
) {
  const [first, ...changes] = listCapacities(workWeek, { capacity, from, until });
  return {
    ...{ id, capacity: Math.min(most, first!.capacity) },
    calendar: [...changes, { at: until, capacity: 0 }].map((change) => ({
      time: change.at - origin,
      capacity: Math.min(most, change.capacity),
    })),
  };
}

/** What a run keeps of resources with calendars, by their ids, from its start on; undefined where none has one. */
export function calendarsOfRun(
  resources: readonly PlanResourceValue[],
  calendarMs: number,
): readonly RunCalendar[] | undefined {
  const timed = resources.flatMap((resource): readonly RunCalendar[] => {
    const { id, capacity, workWeek, most } = resource;
    if (workWeek != null) return [{ id, capacity, workWeek, ...(most === undefined ? {} : { most }) }];
    if ((resource.calendar ?? []).length === 0) return [];
    return [calendarFrom(toTimed(resource, { startMs: null }), calendarMs)];
  });
  return timed.length === 0 ? undefined : timed;
}

/** Calendars of a run with what its working weeks come to for so long from now on. */
export function calendarsAt(
  calendars: readonly RunCalendar[],
  { started, now, lengthMs }: { readonly started: number; readonly now: number; readonly lengthMs: number },
): readonly (TimedCapacity & { readonly id: string })[] {
  return calendars.map(({ workWeek, ...resource }) =>
    workWeek == null
      ? resource
      : timeWeek({ ...resource, workWeek }, { origin: started, from: now, until: now + lengthMs + 1 }),
  );
}

/** The most that there ever is, by resource. */
export const capacitiesOf = (definition: PlanDefinition): Readonly<Record<string, number>> => {
  const startMs = timelineOf(definition).start;
  return Object.fromEntries(
    definition.resources.map((resource) => [resource.id, highestCapacity(toTimed(resource, { startMs }))]),
  );
};
