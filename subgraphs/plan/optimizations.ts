import type { RequestScope } from '#shared/context.ts';
import { findIdempotentResponse } from '#shared/idempotency.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import { parseInput } from '#shared/validation.ts';
import type { createAnalyses } from './analyses.ts';
import { toIdempotentCall } from './commands.ts';
import * as inputs from './inputs.ts';
import type { Plans } from './plans.ts';

type Analyses = ReturnType<typeof createAnalyses>;

export interface Optimization {
  readonly planId: string;
  readonly applied: boolean;
  /** Null where an earlier call with the same key has applied what it found. */
  readonly outcome: Awaited<ReturnType<Analyses['optimize']>> | null;
}

/** Schedules that are sought, and kept with the plan where that is asked for. */
export function createOptimizations(
  { sql }: Pick<ModuleRuntime, 'sql'>,
  { analyses, plans }: { readonly analyses: Analyses; readonly plans: Plans },
) {
  return {
    /** @throws {INFEASIBLE_CONSTRAINTS} {INVALID_STATE} {VERSION_CONFLICT} {NOT_FOUND} {PLANNING_ALGORITHM_ERROR} {VALIDATION_FAILED} */
    async optimize(scope: RequestScope, raw: unknown): Promise<Optimization> {
      const { idempotencyKey, ...input } = parseInput(inputs.optimizePlan, raw, ['input']);
      const { planId, apply, expectedVersion } = input;
      const call = { operation: 'optimizePlan', input, idempotencyKey };
      const known = await findIdempotentResponse(sql, 'plan', apply ? toIdempotentCall(scope, call) : null);
      if (known) return { planId, applied: true, outcome: null };
      const outcome = await analyses.optimize(scope.principal, input, scope.signal);
      if (!apply) return { planId, applied: false, outcome };
      await plans.applySchedule(scope, planId, {
        call,
        expectedVersion,
        // The schedule fits the version it was made for, and no other.
        version: outcome.version,
        schedule: Object.fromEntries(outcome.schedule.map(({ stepId, startMs }) => [stepId, startMs])),
        crashed: new Map(outcome.crashedSteps?.map(({ stepId, durationMs }) => [stepId, durationMs])),
        found: outcome.found,
      });
      return { planId, applied: true, outcome };
    },
  };
}
