import { z } from 'zod';
import { PlatformError } from '#shared/errors.ts';
import { text } from '#shared/validation.ts';

/** Capacities in place of the plan's own. */
export const resourceLimits = z
  .array(z.object({ resourceId: text({ min: 1, max: 255 }), capacity: z.number().int().min(0).max(1_000_000) }))
  .max(200)
  .refine(
    (list) => new Set(list.map(({ resourceId }) => resourceId)).size === list.length,
    'expected each resource once',
  );
export type ResourceLimits = z.output<typeof resourceLimits>;

/** Resources with other capacities. @throws {VALIDATION_FAILED} for one that the plan does not have. */
export function limitResources<Resource extends { readonly id: string; readonly capacity: number }>(
  resources: readonly Resource[],
  limits: ResourceLimits | null | undefined,
  path: readonly string[],
): readonly Resource[] {
  const given = new Map((limits ?? []).map(({ resourceId, capacity }) => [resourceId, capacity]));
  for (const id of given.keys())
    if (!resources.some((resource) => resource.id === id))
      throw new PlatformError('VALIDATION_FAILED', `expected a resource of the plan, got ${id}`, { path });
  return resources.map((resource) => ({ ...resource, capacity: given.get(resource.id) ?? resource.capacity }));
}
