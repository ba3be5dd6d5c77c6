import { calendarFrom, highestCapacity } from './analysis/calendar.ts';
import type { PlanProblem } from './analysis/index.ts';
import { timelineOf } from './constraints/index.ts';
import type { PlanDefinition, PlanResourceValue } from './rows.ts';

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

/** Resources of a plan as the algorithms take them. */
export const toTimed = ({ id, capacity, calendar }: PlanResourceValue) => ({
  ...{ id, capacity },
  calendar: calendar?.map(({ fromMs, capacity: then }) => ({ time: fromMs, capacity: then })),
});

/** What a run keeps of resources with calendars, by their ids, from its start on; undefined where none has one. */
export function calendarsOfRun(resources: readonly PlanResourceValue[], calendarMs: number) {
  const timed = resources
    .filter(({ calendar }) => (calendar ?? []).length > 0)
    .map((resource) => calendarFrom(toTimed(resource), calendarMs));
  return timed.length === 0 ? undefined : timed;
}

/** The most that there ever is, by resource. */
export const capacitiesOf = ({ resources }: PlanDefinition): Readonly<Record<string, number>> =>
  Object.fromEntries(resources.map((resource) => [resource.id, highestCapacity(toTimed(resource))]));
