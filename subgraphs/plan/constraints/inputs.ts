import { z } from 'zod';
import { id, jsonObject, text } from '#shared/validation.ts';

const label = text({ min: 1, max: 255 });
const durationMs = z
  .number()
  .int()
  .min(0)
  .max(366 * 24 * 3_600_000);

/** Fields of other types are not given, or null. */
const given = <Shape extends z.ZodType>(shape: Shape) =>
  z.preprocess(
    (value) =>
      typeof value === 'object' && value !== null
        ? Object.fromEntries(Object.entries(value).filter(([, entry]) => entry != null))
        : value,
    shape,
  );

/** What a constraint of each type says; of OTHER whatever it may. */
const parametersOf = {
  RESOURCE: given(z.strictObject({ resourceId: label, maxAmount: z.number().int().min(0).max(1_000_000) })),
  TEMPORAL: given(
    z
      .strictObject({ stepId: id.optional(), notBeforeMs: durationMs.optional(), notAfterMs: durationMs.optional() })
      .refine(
        ({ notBeforeMs, notAfterMs }) => notBeforeMs !== undefined || notAfterMs !== undefined,
        'expected notBeforeMs, notAfterMs or both',
      )
      .refine(
        ({ notBeforeMs, notAfterMs }) => (notBeforeMs ?? 0) <= (notAfterMs ?? Infinity),
        'expected notBeforeMs <= notAfterMs',
      ),
  ),
  FINANCIAL: given(z.strictObject({ maxCost: z.number().min(0).max(1e15) })),
  QUALITY: given(z.strictObject({ minQuality: z.number().min(0).max(100) })),
  OTHER: given(z.strictObject({ other: jsonObject({ maxBytes: 65_536 }).optional() }).nullish()),
} as const;

export type ConstraintType = keyof typeof parametersOf;

const fields = {
  id: label.nullish(),
  description: text({ min: 1, max: 10_000 }),
  hard: z.boolean().nullish(),
};

const constraint = z.discriminatedUnion('type', [
  z.object({ ...fields, type: z.literal('RESOURCE'), parameters: parametersOf.RESOURCE }),
  z.object({ ...fields, type: z.literal('TEMPORAL'), parameters: parametersOf.TEMPORAL }),
  z.object({ ...fields, type: z.literal('FINANCIAL'), parameters: parametersOf.FINANCIAL }),
  z.object({ ...fields, type: z.literal('QUALITY'), parameters: parametersOf.QUALITY }),
  z.object({ ...fields, type: z.literal('OTHER'), parameters: parametersOf.OTHER }),
]);

/** A constraint as it is stored. */
export type PlanConstraint = z.output<typeof constraint> & { readonly id: string; readonly hard: boolean };

export const constraints = z
  .array(constraint)
  .max(200)
  .transform((list) =>
    list.map(
      (given, at): PlanConstraint => ({ ...given, id: given.id ?? `constraint-${at + 1}`, hard: given.hard ?? true }),
    ),
  )
  .refine((list) => new Set(list.map((entry) => entry.id)).size === list.length, 'expected each constraint once');

const instant = z.union([z.date().transform((at) => at.toISOString()), z.iso.datetime({ offset: true })]);

/** When a plan is to be carried out. */
export const timeline = z
  .object({ start: instant.nullish(), end: instant.nullish() })
  .refine(({ start, end }) => start != null || end != null, 'expected start, end or both')
  .refine(
    ({ start, end }) => start == null || end == null || Date.parse(start) < Date.parse(end),
    'expected a start before the end',
  );

export type PlanTimeline = z.output<typeof timeline>;
