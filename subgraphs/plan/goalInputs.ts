import { z } from 'zod';
import { id, text } from '#shared/validation.ts';

const label = text({ min: 1, max: 255 });
const durationMs = z
  .number()
  .int()
  .min(0)
  .max(366 * 24 * 3_600_000);

/** As given; what the plan reads of it is checked. */
const milestone = z.looseObject({
  id: label.nullish(),
  name: label,
  targetDate: z.iso.datetime({ offset: true }).nullish(),
  targetMs: durationMs.nullish(),
  stepIds: z.array(id).min(1).max(1_000).nullish(),
  successCriteria: z
    .array(text({ max: 2_000 }))
    .max(50)
    .nullish(),
});

export const milestones = z.array(milestone).max(500);

const objectiveFields = z.looseObject({
  objectiveId: label.nullish(),
  description: text({ max: 10_000 }).nullish(),
  priority: z.string().nullish(),
  stepIds: z.array(id).min(1).max(1_000).nullish(),
  successCriteria: z
    .array(text({ max: 2_000 }))
    .max(50)
    .nullish(),
});

/** Objectives are kept whatever they are; those of a list are read, so that what is read must be right. */
export function checkObjectives(value: unknown, context: z.RefinementCtx): void {
  for (const [at, entry] of (Array.isArray(value) ? value : []).entries()) {
    if (typeof entry !== 'object' || entry === null) continue;
    const found = objectiveFields.safeParse(entry);
    for (const issue of found.error?.issues ?? [])
      context.addIssue({ code: 'custom', path: [at, ...issue.path], message: issue.message });
  }
}
