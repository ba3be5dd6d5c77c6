import { z } from 'zod';
import { ConditionError } from '#shared/conditions/evaluationError.ts';
import { PlatformError } from '#shared/errors.ts';
import { idempotencyKey, parseInput, text } from '#shared/validation.ts';
import { type Binding, compileMethod, type Effect, type Subtask, type Term } from './decomposition/index.ts';
import { stepFields } from './inputs.ts';
import { identifier, scalar, taskArguments, taskName } from './taskInputs.ts';

const effect = z
  .object({
    fact: identifier,
    value: scalar.nullish(),
    increase: z
      .union([z.number(), z.string().regex(/^\$(?!\$)/)], 'expected a number or a reference to one')
      .optional(),
  })
  .refine((given) => 'value' in given !== 'increase' in given, 'expected either `value` or `increase`')
  .transform(
    ({ fact, value, increase }): Effect =>
      increase === undefined ? { fact, value: (value ?? null) as Term } : { fact, increase },
  );

const { name, type, priority, agentRole, durationMs, estimate, demands, costPerHour, crash } = stepFields;
const { requiredCapabilities, assignedAgents, acceptanceCriteria, estimatedEffort, timeoutMs } = stepFields;

const step = z.object({
  ...{ name, priority, agentRole, durationMs, estimate, demands, costPerHour, crash },
  ...{ requiredCapabilities, assignedAgents, acceptanceCriteria, estimatedEffort, timeoutMs },
  type: type.refine((given) => given !== 'COMPOSITE', 'expected a step that is done itself, not a composite one'),
  description: text({ min: 1, max: 10_000 }),
  effects: z
    .array(effect)
    .max(50)
    .refine((given) => new Set(given.map(({ fact }) => fact)).size === given.length, 'expected each fact once')
    .nullish()
    .transform((given): readonly Effect[] => given ?? []),
});
export type MethodStep = z.output<typeof step>;

const subtask = z
  .object({ task: taskName, arguments: taskArguments.nullish() })
  .transform(({ task, arguments: given }): Subtask => ({ task, arguments: given ?? {} }));

const binding = z
  .object({
    in: z.string().regex(/^facts(\.[A-Za-z0-9_]+)+$/, 'expected facts.<name>'),
    pattern: z.union([scalar, taskArguments], 'expected a value, or an object of values'),
  })
  .transform((given): Binding => given);

const fields = z
  .object({
    task: taskName,
    name: text({ min: 1, max: 255 }),
    rank: z.number().int().min(-1_000_000).max(1_000_000).nullish(),
    parameters: z
      .array(identifier)
      .max(50)
      .refine((names) => new Set(names).size === names.length, 'expected each parameter once')
      .nullish(),
    bindings: z.array(binding).max(10).nullish(),
    precondition: text({ min: 1, max: 2_048 }).nullish(),
    subtasks: z.array(subtask).max(100).nullish(),
    subtaskOrder: z.enum(['ORDERED', 'UNORDERED']).nullish(),
    step: step.nullish(),
    idempotencyKey: idempotencyKey.nullish(),
  })
  .refine(
    ({ subtasks, step: given }) => (subtasks == null) !== (given == null),
    'expected either `subtasks` or `step`',
  );

/** A method that makes sense by itself; its subtasks' tasks may come later. @throws {VALIDATION_FAILED} */
export function parseMethod(raw: unknown) {
  const { idempotencyKey: key, ...given } = parseInput(fields, raw);
  const method = {
    task: given.task,
    name: given.name,
    rank: given.rank ?? 0,
    parameters: given.parameters ?? [],
    bindings: given.bindings ?? [],
    precondition: given.precondition ?? null,
    subtaskOrder: given.subtaskOrder ?? 'ORDERED',
    subtasks: given.subtasks ?? null,
    step: given.step ?? null,
  } as const;
  for (const part of ['bindings', 'precondition', 'subtasks', 'step'] as const)
    requireCompiled({ ...method, precondition: null, subtasks: null, step: null, [part]: method[part] }, part);
  return { method, idempotencyKey: key };
}

type Checked = Omit<Parameters<typeof compileMethod<MethodStep>>[0], 'id' | 'order'>;

function requireCompiled(method: Checked, part: string): void {
  try {
    compileMethod({ ...method, id: '', order: 'ORDERED' });
  } catch (error) {
    if (!(error instanceof ConditionError)) throw error;
    throw new PlatformError('VALIDATION_FAILED', `input.${part}: ${error.message}`, { path: ['input', part] });
  }
}
