import { z } from 'zod';
import { PlatformError } from '#shared/errors.ts';
import { text } from '#shared/validation.ts';
import { timelineOf } from './constraints/index.ts';
import type { PlanDefinition, PlanResourceValue } from './rows.ts';
import { workWeek } from './workWeekInput.ts';

const capacity = z.number().int().min(0).max(1_000_000);
const limit = z.object({ resourceId: text({ min: 1, max: 255 }), capacity });
const areOnce = (list: readonly { readonly resourceId: string }[]) =>
  new Set(list.map(({ resourceId }) => resourceId)).size === list.length;

/** When there is more or less of a resource. */
export const calendar = z
  .array(
    z.object({
      fromMs: z
        .number()
        .int()
        .min(0)
        .max(366 * 24 * 3_600_000),
      capacity,
    }),
  )
  .max(1_000)
  .refine(
    (entries) => entries.every(({ fromMs }, at) => at === 0 || entries[at - 1]!.fromMs < fromMs),
    'expected entries by ascending time',
  );

/** A resource is there by a list of changes or by weeks. */
export const isOneCalendar = (given: {
  readonly calendar?: readonly unknown[] | null | undefined;
  readonly workWeek?: unknown;
}) => given.workWeek == null || (given.calendar ?? []).length === 0;
export const oneCalendar = 'expected a calendar or a working week, not both';

/** Capacities in place of the plan's own, and the times at which they change. */
export const resourceCalendars = z
  .array(
    limit.extend({ calendar: calendar.nullish(), workWeek: workWeek.nullish() }).refine(isOneCalendar, oneCalendar),
  )
  .max(200)
  .refine(areOnce, 'expected each resource once');
export type ResourceLimits = z.output<typeof resourceCalendars>;

/** Resources with other capacities, which take the place of their calendars too. @throws {VALIDATION_FAILED} for one that the plan does not have. */
export function limitResources(
  resources: readonly PlanResourceValue[],
  limits: ResourceLimits | null | undefined,
  path: readonly string[],
): readonly PlanResourceValue[] {
  const given = new Map(
    (limits ?? []).map(({ resourceId, ...other }) => [
      resourceId,
      { calendar: undefined, workWeek: undefined, ...other },
    ]),
  );
  for (const id of given.keys())
    if (!resources.some((resource) => resource.id === id))
      throw new PlatformError('VALIDATION_FAILED', `expected a resource of the plan, got ${id}`, { path });
  return resources.map((resource) => ({ ...resource, ...given.get(resource.id) }));
}

/** Weeks count by dates. @throws {VALIDATION_FAILED} for a working week in a plan whose timeline has no start. */
export function requireDatedWeeks(
  definition: Pick<PlanDefinition, 'resources' | 'timeline'>,
  path: readonly (string | number)[],
): void {
  const found = definition.resources.find(({ workWeek: given }) => given != null);
  if (found === undefined || timelineOf(definition).start !== null) return;
  throw new PlatformError(
    'VALIDATION_FAILED',
    `expected a timeline with a start in a plan whose resource ${found.id} has a working week`,
    { path },
  );
}
