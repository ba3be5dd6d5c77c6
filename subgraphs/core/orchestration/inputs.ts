import { z } from 'zod';
import { id, idempotencyKey, jsonObject, text } from '#shared/validation.ts';
import { dimensions } from '../allocation/vector.ts';

const eventType = z
  .string()
  .regex(/^[a-z][a-z0-9]*(\.[a-z][a-z0-9]*)*(\.\*)?$/, 'expected a dotted event type, or a prefix that ends in .*');

export const rule = z.object({
  name: text({ min: 1, max: 255 }),
  trigger: eventType,
  condition: text({ min: 1, max: 2_048 }).nullish(),
  actions: z
    .array(
      z.object({
        module: text({ min: 1, max: 32 }),
        action: text({ min: 1, max: 64 }),
        input: jsonObject({ maxBytes: 16_384 }),
        requires: z
          .object(Object.fromEntries(dimensions.map((name) => [name, z.number().min(0).max(1e12).nullish()])))
          .nullish(),
      }),
    )
    .min(1)
    .max(20),
  rank: z
    .number()
    .int()
    .min(0)
    .max(1_000_000)
    .nullish()
    .transform((value) => value ?? 100),
  enabled: z
    .boolean()
    .nullish()
    .transform((value) => value ?? true),
  automatic: z
    .boolean()
    .nullish()
    .transform((value) => value ?? false),
  idempotencyKey: idempotencyKey.nullish(),
});

const decideFields = z.object({
  eventType: z
    .string()
    .regex(/^[a-z][a-z0-9]*(\.[a-z][a-z0-9]*)*$/, 'expected a dotted event type')
    .nullish(),
  executionId: id.nullish(),
  data: jsonObject({ maxBytes: 65_536 }).nullish(),
  contextId: id.nullish(),
  /** Decisions that led to this one. */
  depth: z
    .number()
    .int()
    .min(0)
    .max(100)
    .nullish()
    .transform((value) => value ?? 0),
  dispatch: z
    .boolean()
    .nullish()
    .transform((value) => value ?? false),
  idempotencyKey: idempotencyKey.nullish(),
});

export const decide = decideFields
  .refine(({ eventType, executionId }) => (eventType == null) !== (executionId == null), {
    message: 'expected the type of an event or an execution that is paused, and not both',
    path: ['eventType'],
  })
  .refine(({ executionId, contextId, data }) => executionId == null || (contextId == null && data == null), {
    message: 'expected no context and no data beside an execution, which has its own',
    path: ['executionId'],
  });

export const decisionFilter = z.object({
  contextId: id.nullish(),
  eventType: text({ min: 1, max: 255 }).nullish(),
  ruleId: id.nullish(),
});
