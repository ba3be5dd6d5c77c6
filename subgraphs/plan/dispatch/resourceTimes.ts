import { leastCapacity, type TimedCapacity } from '../analysis/calendar.ts';
import type { TokenDemand } from './tokens.ts';

/** When resources with calendars are there, while a run is played through or steps are handed out. */
export interface ResourceTimes {
  /** Whether all that is needed is there for so long, beside what is in use now. */
  allow(
    demands: readonly TokenDemand[],
    work: { readonly now: number; readonly duration: number; readonly inUse: (resourceId: string) => number },
  ): boolean;
  /** When there is more or less of something next; null when never. */
  nextChange(now: number): number | null;
}

/** Null where no resource has a calendar. What is in use is taken to be so for as long as the step works. */
export function createResourceTimes(
  resources: readonly (TimedCapacity & { readonly id: string })[],
): ResourceTimes | null {
  const timed = new Map(
    resources.filter(({ calendar = [] }) => calendar.length > 0).map((resource) => [resource.id, resource]),
  );
  if (timed.size === 0) return null;
  const changes = [
    ...new Set([...timed.values()].flatMap(({ calendar = [] }) => calendar.map(({ time }) => time))),
  ].sort((left, right) => left - right);
  return {
    allow: (demands, { now, duration, inUse }) =>
      demands.every(({ resourceId, amount }) => {
        const resource = timed.get(resourceId);
        return resource === undefined || inUse(resourceId) + amount <= leastCapacity(resource, now, now + duration);
      }),
    nextChange: (now) => changes.find((time) => time > now) ?? null,
  };
}
