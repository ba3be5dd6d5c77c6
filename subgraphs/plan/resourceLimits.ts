import { z } from 'zod';
import { PlatformError } from '#shared/errors.ts';
import { text } from '#shared/validation.ts';
import type { PlanResourceValue } from './rows.ts';

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

/** Capacities in place of the plan's own, and the times at which they change. */
export const resourceCalendars = z
  .array(limit.extend({ calendar: calendar.nullish() }))
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
    (limits ?? []).map(({ resourceId, ...other }) => [resourceId, { calendar: undefined, ...other }]),
  );
  for (const id of given.keys())
    if (!resources.some((resource) => resource.id === id))
      throw new PlatformError('VALIDATION_FAILED', `expected a resource of the plan, got ${id}`, { path });
  return resources.map((resource) => ({ ...resource, ...given.get(resource.id) }));
}
