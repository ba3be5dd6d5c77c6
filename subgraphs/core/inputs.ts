import { z } from 'zod';
import { id, idempotencyKey, jsonObject, text } from '#shared/validation.ts';
import { definition } from './workflow/inputs.ts';
import { stageModules } from './workflow/stages.ts';

export { definition } from './workflow/inputs.ts';

const key = idempotencyKey.nullish();
const name = text({ min: 1, max: 255 });
const reason = text({ max: 1_024 }).nullish();

export const createWorkflow = z.object({
  name,
  description: text({ max: 1_000 }).nullish(),
  definition,
  maxConcurrentExecutions: z.number().int().min(1).max(1_000).nullish(),
  idempotencyKey: key,
});

export const workflowFilter = z.object({
  status: z.enum(['ACTIVE', 'RETIRED']).nullish(),
  namePattern: text({ min: 1, max: 255 }).nullish(),
  createdBy: text({ min: 1, max: 255 }).nullish(),
});

export const priorities = ['CRITICAL', 'HIGH', 'MEDIUM', 'LOW'] as const;
export const priority = z.enum(priorities);

export const executeWorkflow = z
  .object({
    workflowId: id.nullish(),
    version: z.number().int().min(1).nullish(),
    definition: definition.nullish(),
    contextId: id.nullish(),
    input: jsonObject({ maxBytes: 262_144 }).nullish(),
    priority: priority.nullish().transform((value) => value ?? 'MEDIUM'),
    timeoutMs: z.number().int().min(1_000).max(31_536_000_000).nullish(),
    wait: z.boolean().nullish(),
    waitMs: z.number().int().min(1).max(30_000).nullish(),
    idempotencyKey: key,
  })
  .refine((given) => (given.workflowId == null) !== (given.definition == null), {
    message: 'expected a workflow or a definition, and not both',
    path: ['workflowId'],
  });

export const executionStatuses = [
  'CREATED',
  'IN_PROGRESS',
  'PAUSED',
  'COMPLETED',
  'FAILED',
  'CANCELLED',
  'TIMED_OUT',
  'COMPENSATING',
  'COMPENSATED',
] as const;

export const executionFilter = z.object({
  workflowId: id.nullish(),
  contextId: id.nullish(),
  status: z.array(z.enum(executionStatuses)).min(1).max(9).nullish(),
  priority: z.array(priority).min(1).max(4).nullish(),
  createdBy: text({ min: 1, max: 255 }).nullish(),
  createdAfter: z.date().nullish(),
  createdBefore: z.date().nullish(),
  includeChildren: z.boolean().nullish(),
});

export const signal = z.object({
  name: text({ min: 1, max: 128 }),
  payload: jsonObject({ maxBytes: 65_536 }).nullish(),
});
export const statusReason = reason;
export const requiredStepId = text({ min: 1, max: 64 });
export const stepId = requiredStepId.nullish();
export const bulk = z.object({
  filter: executionFilter,
  action: z.enum(['PAUSE', 'RESUME', 'CANCEL', 'COMPENSATE']),
  dryRun: z.boolean(),
  reason,
});

const dotted = z
  .string()
  .max(128)
  .regex(/^[a-z][a-z0-9]*(\.[a-z][a-z0-9]*)*$/, 'expected a dotted event type');

export const publishSystemEvent = z.object({
  eventType: dotted,
  data: jsonObject({ maxBytes: 65_536 }).nullish(),
  idempotencyKey: key,
});

export const eventTypes = z
  .array(
    z
      .string()
      .max(128)
      .regex(/^[a-z][a-z0-9]*(\.[a-z][a-z0-9]*)*(\.\*)?$/, 'expected a type or a prefix and .*'),
  )
  .min(1)
  .max(50)
  .nullish();

export const coordinate = z.object({
  modules: z
    .array(z.enum(stageModules.map((name) => name.toUpperCase()) as [string, ...string[]]))
    .min(2)
    .max(9)
    .refine((list) => new Set(list).size === list.length, 'expected each module once'),
  operation: z.string().regex(/^[a-z][A-Za-z]{0,63}$/, 'expected the name of an operation'),
  parameters: jsonObject({ maxBytes: 65_536 })
    .nullish()
    .transform((value) => value ?? {}),
  contextId: id.nullish(),
  mode: z
    .enum(['SEQUENTIAL', 'PARALLEL', 'CONDITIONAL', 'HYBRID'])
    .nullish()
    .transform((value) => value ?? 'PARALLEL'),
  waitMs: z
    .number()
    .int()
    .min(1)
    .max(30_000)
    .nullish()
    .transform((value) => value ?? 10_000),
  idempotencyKey: key,
});
