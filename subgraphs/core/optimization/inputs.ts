import { z } from 'zod';
import { id, idempotencyKey } from '#shared/validation.ts';

const scopes = ['WORKERS', 'WORKFLOWS', 'ALLOCATIONS'] as const;
const whole = (min: number, max: number) => z.number().int().min(min).max(max);
const orElse = <Value>(schema: z.ZodType<Value>, otherwise: Value) =>
  schema.nullish().transform((value) => value ?? otherwise);

export const optimizeSystem = z.object({
  scope: z.array(z.enum(scopes)).min(1).max(3).nullish(),
  goals: z
    .array(z.object({ metric: z.enum(['STEP_WAIT', 'EXECUTION_WAIT']), targetMs: z.number().min(0).max(86_400_000) }))
    .max(2)
    .nullish()
    .transform((goals) => new Map((goals ?? []).map(({ metric, targetMs }) => [metric, targetMs]))),
  constraints: z
    .object({
      maxWorkerSlots: whole(1, 1_000).nullish(),
      maxConcurrentExecutions: whole(1, 1_000).nullish(),
      maxMoves: orElse(whole(0, 100), 20),
      maxChanges: orElse(whole(1, 20), 5),
      minGain: orElse(z.number().min(0).max(1), 0.05),
    })
    .nullish()
    .transform((given) => given ?? { maxMoves: 20, maxChanges: 5, minGain: 0.05 }),
  dryRun: z.boolean(),
  windowMs: orElse(whole(1_000, 172_800_000), 3_600_000),
  judgeAfterMs: orElse(whole(100, 3_600_000), 60_000),
  timeBudgetMs: orElse(whole(50, 10_000), 1_500),
  idempotencyKey: idempotencyKey.nullish(),
});

export const optimizeWorkflow = z.object({
  workflowId: id,
  version: whole(1, 1_000_000).nullish(),
  executions: orElse(whole(5, 2_000), 500),
  ordering: orElse(z.enum(['EFFECTS', 'DATA']), 'EFFECTS' as const),
  publish: orElse(z.boolean(), false),
  timeBudgetMs: orElse(whole(50, 10_000), 5_000),
  expectedVersion: whole(1, 1_000_000_000).nullish(),
  idempotencyKey: idempotencyKey.nullish(),
});

export const filter = z.object({
  kind: z.enum(['SYSTEM', 'WORKFLOW']).nullish(),
  status: z
    .array(z.enum(['PROPOSED', 'APPLIED', 'KEPT', 'RETURNED']))
    .min(1)
    .max(4)
    .nullish(),
});

export const history = z
  .object({
    series: z.string().regex(/^[a-z]+\.[a-z]+$/, 'expected the name of a series'),
    since: z.date(),
    until: z.date().nullish(),
    stepMs: orElse(whole(1, 86_400_000), 60_000),
    platform: orElse(z.boolean(), false),
  })
  .refine(({ since, until }) => until == null || since < until, {
    message: 'expected a time after since',
    path: ['until'],
  });
