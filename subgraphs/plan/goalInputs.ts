import { z } from 'zod';
import { id, text } from '#shared/validation.ts';
import { taskArguments, taskName } from './taskInputs.ts';

const label = text({ min: 1, max: 255 });
const durationMs = z
  .number()
  .int()
  .min(0)
  .max(366 * 24 * 3_600_000);
const criteria = z.array(text({ max: 2_000 })).max(50);
const stepIds = z.array(id).min(1).max(1_000);
const instant = z.union([z.date().transform((at) => at.toISOString()), z.iso.datetime({ offset: true })]);

const milestone = z
  .object({
    id: label.nullish(),
    name: label,
    targetDate: instant.nullish(),
    targetMs: durationMs.nullish(),
    stepIds: stepIds.nullish(),
    successCriteria: criteria.nullish(),
  })
  .refine(
    ({ targetDate, targetMs }) => targetDate == null || targetMs == null,
    'expected targetDate or targetMs, not both',
  );

/** Whether all differ, those counted that get an id by their place. */
const differ = (prefix: string, ids: readonly (string | null | undefined)[]): boolean =>
  new Set(ids.map((given, at) => given ?? `${prefix}-${at + 1}`)).size === ids.length;

export const milestones = z
  .array(milestone)
  .max(500)
  .refine(
    (list) =>
      differ(
        'milestone',
        list.map((entry) => entry.id),
      ),
    'expected each milestone once',
  );

const objective = z
  .object({
    objectiveId: label.nullish(),
    description: text({ min: 1, max: 10_000 }).nullish(),
    task: taskName.nullish(),
    arguments: taskArguments.nullish(),
    priority: z.enum(['LOW', 'MEDIUM', 'HIGH', 'CRITICAL']).nullish(),
    stepIds: stepIds.nullish(),
    successCriteria: criteria.nullish(),
  })
  .refine(({ description, task }) => description != null || task != null, 'expected a description, a task or both')
  .refine(({ task, arguments: given }) => given == null || task != null, 'expected arguments of a task');

export const objectives = z
  .array(objective)
  .max(500)
  .refine(
    (list) =>
      differ(
        'objective',
        list.map(({ objectiveId }) => objectiveId),
      ),
    'expected each objective once',
  );
