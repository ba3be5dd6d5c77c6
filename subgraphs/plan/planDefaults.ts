import { z } from 'zod';
import { limitResources, requireDatedWeeks, resourceCalendars } from './resourceLimits.ts';
import type { PlanDefinition } from './rows.ts';

const yearMs = 366 * 24 * 3_600_000;
const durationMs = z.number().int().min(0).max(yearMs);
const price = z.number().min(0).max(1e12);

export const optimizationStrategy = z.enum([
  'TIME_OPTIMAL',
  'COST_OPTIMAL',
  'RESOURCE_OPTIMAL',
  'QUALITY_OPTIMAL',
  'BALANCED',
]);
export const dispatchStrategy = z.enum(['CRITICAL_PATH', 'PRIORITY', 'WEIGHTED_SHORTEST', 'PLAN_ORDER']);
/** How many steps of a run may be at work at a time: as many as its limit says, or one. */
export const executionMode = z.enum(['PARALLEL', 'SEQUENTIAL']);
export type ExecutionMode = z.output<typeof executionMode>;

export const optimizationConstraints = z.object({
  maxDurationMs: durationMs.nullish(),
  maxCost: price.nullish(),
  minQuality: z.number().min(0).max(100).nullish(),
  availableResources: resourceCalendars.nullish(),
});

/** What a plan is optimized for where the call does not say it. */
export const optimization = z
  .object({
    strategy: optimizationStrategy.nullish(),
    targetMakespanMs: durationMs.nullish(),
    maxCrashCost: price.nullish(),
    constraints: optimizationConstraints.nullish(),
  })
  .refine(
    ({ strategy, targetMakespanMs, maxCrashCost }) =>
      strategy === 'COST_OPTIMAL' || (targetMakespanMs == null && maxCrashCost == null),
    'expected `targetMakespanMs` and `maxCrashCost` with the strategy COST_OPTIMAL alone',
  );
export type Optimization = z.output<typeof optimization>;

/** How a plan is run where the call does not say it. */
export const executionConfig = z.object({
  strategy: dispatchStrategy.nullish(),
  parallel: z.boolean().nullish(),
  leaseMs: z.number().int().min(100).max(3_600_000).nullish(),
  timeoutMs: durationMs.min(1_000).nullish(),
  stepTimeoutMs: durationMs.min(100).nullish(),
});
export type ExecutionConfig = z.output<typeof executionConfig>;

/** The plan's own; what was kept as given before it had a form says nothing. */
export const optimizationOf = ({ optimization: given }: PlanDefinition): Optimization =>
  optimization.safeParse(given ?? {}).data ?? {};

export const executionConfigOf = ({ executionConfig: given }: PlanDefinition): ExecutionConfig =>
  executionConfig.safeParse(given ?? {}).data ?? {};

/** @throws {VALIDATION_FAILED} where what it is optimized for names a resource that the plan does not have, or a week has no dates. */
export function requirePlannedResources(definition: PlanDefinition, path: readonly string[]): void {
  requireDatedWeeks(definition, [...path, 'resources']);
  const place = [...path, 'optimization', 'constraints', 'availableResources'];
  const { availableResources } = optimizationOf(definition).constraints ?? {};
  requireDatedWeeks(
    { ...definition, resources: limitResources(definition.resources, availableResources, place) },
    place,
  );
}
