import { z } from 'zod';
import { id, json, jsonObject, text } from '#shared/validation.ts';
import { held } from '../allocation/inputs.ts';
import type { StepDefinition, WorkflowDefinition } from './definition.ts';
import { stageModules, stepOfStage } from './stages.ts';

export const maxSteps = 500;
const maxCleanupSteps = 50;
const maxBodyDepth = 3;

const stepId = z
  .string()
  .regex(/^[A-Za-z_][A-Za-z0-9_]{0,63}$/, 'expected a letter, then up to 63 letters, digits or underscores');
const duration = (min: number, max: number) => z.number().int().min(min).max(max);
const template = json({ maxBytes: 65_536, maxDepth: 16 });
const condition = text({ min: 1, max: 2_048 });
const nullish = <Schema extends z.ZodType>(schema: Schema) => schema.nullish().transform((value) => value ?? null);

const retry = z
  .object({
    maxAttempts: z.number().int().min(1).max(10).default(3),
    delayMs: duration(100, 60_000).default(1_000),
    backoffFactor: z.number().min(1).max(5).default(2),
    maxDelayMs: duration(100, 3_600_000).default(100_000),
    nonRetryable: z
      .array(text({ min: 1, max: 64 }))
      .max(50)
      .default([]),
    retryable: nullish(z.array(text({ min: 1, max: 64 })).max(50)),
  })
  .prefault({});

const call = z.object({
  module: text({ min: 1, max: 32 }),
  action: text({ min: 1, max: 64 }),
  input: jsonObject({ maxBytes: 65_536, maxDepth: 16 }).default({}),
  select: nullish(text({ min: 1, max: 4_096 })),
});

const kinds = {
  TASK: 'task',
  PASS: 'pass',
  WAIT: 'wait',
  SIGNAL: 'signal',
  APPROVAL: 'approval',
  WORKFLOW: 'workflow',
  LOOP: 'loop',
} as const;
const joins = { ALL: 'all', ANY: 'any', QUORUM: 'quorum', SETTLED: 'settled' } as const;
const word = <Words extends Readonly<Record<string, string>>>(words: Words) =>
  z.enum(Object.keys(words) as [string, ...string[]]).transform((value) => words[value] as Words[keyof Words]);

function stepAt(depth: number): z.ZodType<StepDefinition> {
  return z
    .object({
      stepId,
      name: nullish(text({ min: 1, max: 255 })),
      kind: nullish(word(kinds)),
      module: nullish(text({ min: 1, max: 32 })),
      action: nullish(text({ min: 1, max: 64 })),
      input: nullish(template),
      select: nullish(text({ min: 1, max: 4_096 })),
      dependsOn: z
        .array(stepId)
        .max(maxSteps)
        .nullish()
        .transform((list) => [...new Set(list ?? [])]),
      join: word(joins)
        .nullish()
        .transform((value) => value ?? 'all'),
      quorum: nullish(z.number().int().min(1).max(maxSteps)),
      condition: nullish(condition),
      timeoutMs: duration(1_000, 31_536_000_000).nullish(),
      scheduleToStartMs: nullish(duration(100, 86_400_000)),
      scheduleToCloseMs: nullish(duration(1_000, 31_536_000_000)),
      retry: retry.nullish().transform((value) => value ?? retry.parse({})),
      onFailure: z
        .enum(['FAIL', 'CONTINUE'])
        .nullish()
        .transform((value) => (value === 'CONTINUE' ? 'continue' : 'fail')),
      compensation: nullish(call),
      irreversible: z
        .boolean()
        .nullish()
        .transform((value) => value ?? false),
      resources: nullish(held),
      releasesResources: z
        .boolean()
        .nullish()
        .transform((value) => value ?? false),
      waitMs: nullish(duration(0, 31_536_000_000)),
      signal: nullish(text({ min: 1, max: 128 })),
      heartbeatMs: nullish(duration(1_000, 86_400_000)),
      confirmId: nullish(template),
      workflowId: nullish(id),
      workflowVersion: nullish(z.number().int().min(1)),
      loopWhile: nullish(condition),
      maxIterations: z
        .number()
        .int()
        .min(1)
        .max(1_000)
        .nullish()
        .transform((value) => value ?? 100),
      body:
        depth >= maxBodyDepth
          ? z
              .array(z.never(`expected bodies at most ${maxBodyDepth} deep`))
              .nullish()
              .transform(() => [])
          : z
              .array(z.lazy(() => stepAt(depth + 1)))
              .max(maxSteps)
              .nullish()
              .transform((steps) => steps ?? []),
    })
    .transform((given, context): StepDefinition => {
      const { stepId: own, module, action, select, timeoutMs, ...rest } = given;
      const kind = given.kind ?? (given.workflowId ? 'workflow' : given.body.length > 0 ? 'loop' : 'task');
      const fail = (path: string, message: string) => context.addIssue({ code: 'custom', path: [path], message });
      if (kind === 'task') {
        if (module === null) fail('module', 'expected the module that a task calls');
        if (action === null) fail('action', 'expected the operation that a task calls');
        if (rest.input !== null && (typeof rest.input !== 'object' || Array.isArray(rest.input)))
          fail('input', 'expected the arguments of the operation, by name');
      } else if (rest.compensation !== null)
        fail('compensation', 'expected a task: nothing else has effects of its own');
      const waits = kind === 'signal' || kind === 'approval';
      if (kind !== 'task' && !waits && rest.resources !== null)
        fail('resources', 'expected a task, a signal or an approval: nothing else is carried out by itself');
      if (rest.releasesResources && (!waits || rest.resources !== null || depth > 0))
        fail('releasesResources', 'expected a signal or an approval of the first level, that holds nothing of its own');
      if (kind === 'wait' && rest.waitMs === null) fail('waitMs', 'expected how long to wait');
      if (kind === 'signal' && rest.signal === null) fail('signal', 'expected the name of the signal');
      if (kind !== 'signal' && rest.heartbeatMs !== null)
        fail('heartbeatMs', 'expected a signal: what is called is watched by the lease of its worker');
      if (kind === 'approval' && rest.confirmId === null) fail('confirmId', 'expected the Confirm that is waited for');
      if (kind === 'workflow' && rest.workflowId === null) fail('workflowId', 'expected a workflow');
      if (kind === 'loop' && rest.body.length === 0) fail('body', 'expected the steps that are repeated');
      if (kind === 'loop' && rest.loopWhile === null) fail('loopWhile', 'expected while what the loop goes on');
      if (rest.join === 'quorum' && (rest.quorum === null || rest.quorum > rest.dependsOn.length))
        fail('quorum', `expected 1 to ${rest.dependsOn.length}: the number of steps it depends on`);
      return {
        ...rest,
        id: own,
        kind,
        call:
          kind === 'task'
            ? {
                module: module ?? '',
                action: action ?? '',
                input: (rest.input ?? {}) as Record<string, unknown>,
                select,
              }
            : null,
        input: kind === 'task' ? null : rest.input,
        timeoutMs: timeoutMs ?? (kind === 'task' ? 30_000 : 31_536_000_000),
      };
    }) as z.ZodType<StepDefinition>;
}

export const definition = z
  .object({
    steps: z.array(stepAt(0)).min(1).max(maxSteps).nullish(),
    stages: z
      .array(z.enum(stageModules.map((name) => name.toUpperCase()) as [string, ...string[]]))
      .min(1)
      .max(9)
      .refine((list) => new Set(list).size === list.length, 'expected each stage once')
      .nullish(),
    mode: z.enum(['SEQUENTIAL', 'PARALLEL', 'CONDITIONAL', 'HYBRID']).nullish(),
    timeoutMs: duration(1_000, 31_536_000_000)
      .nullish()
      .transform((value) => value ?? 300_000),
    maxConcurrentSteps: z
      .number()
      .int()
      .min(1)
      .max(100)
      .nullish()
      .transform((value) => value ?? 10),
    errorStrategy: z
      .enum(['FAIL_FAST', 'CONTINUE', 'ROLLBACK'])
      .nullish()
      .transform((value) => value ?? 'ROLLBACK'),
    rollback: z
      .enum(['NONE', 'COMPENSATE', 'MANUAL'])
      .nullish()
      .transform((value) => value ?? 'COMPENSATE'),
    resources: nullish(held),
    minSuccessRate: nullish(z.number().min(0).max(1)),
    cleanupSteps: z
      .array(stepAt(0))
      .max(maxCleanupSteps)
      .nullish()
      .transform((steps) => steps ?? []),
    output: nullish(template),
    inputSchema: nullish(jsonObject({ maxBytes: 65_536 })),
    outputSchema: nullish(jsonObject({ maxBytes: 65_536 })),
  })
  .refine(({ steps, resources }) => resources !== null || (steps ?? []).every((step) => !step.releasesResources), {
    message: 'expected what the steps release while they wait',
    path: ['resources'],
  })
  .refine(({ cleanupSteps }) => cleanupSteps.every((step) => !step.releasesResources), {
    message: 'what cleans up holds nothing that could be released',
    path: ['cleanupSteps'],
  })
  .refine(({ steps, stages }) => (steps == null) !== (stages == null), {
    message: 'expected steps or stages, and not both',
    path: ['steps'],
  })
  .transform(({ mode: given, steps: listed, stages, ...rest }): WorkflowDefinition => {
    const steps = listed ?? (stages ?? []).map((stage) => stepAt(0).parse(stepOfStage(stage)));
    const mode = given ?? (stages == null ? null : 'SEQUENTIAL');
    // Steps of a sequence wait for the one before, beside what they name themselves.
    const chained =
      mode === 'SEQUENTIAL'
        ? steps.map((step, at) =>
            at === 0 ? step : { ...step, dependsOn: [...new Set([steps[at - 1]!.id, ...step.dependsOn])] },
          )
        : steps;
    return {
      ...rest,
      steps: chained,
      errorStrategy: rest.errorStrategy.toLowerCase() as WorkflowDefinition['errorStrategy'],
      rollback: rest.rollback.toLowerCase() as WorkflowDefinition['rollback'],
    };
  });
