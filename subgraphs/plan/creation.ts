import { type Batcher, createBatcher } from '#shared/batch.ts';
import type { RequestScope } from '#shared/context.ts';
import {
  findIdempotentResponse,
  findIdempotentResponses,
  type IdempotentCall,
  idempotencyRecord,
  isIdempotencyRace,
} from '#shared/idempotency.ts';
import { newId } from '#shared/ids.ts';
import { appendChange } from '#shared/outbox.ts';
import { transactionRetry } from '#shared/retry.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import { parseInput } from '#shared/validation.ts';
import { toIdempotentCall } from './commands.ts';
import { rollUpSteps } from './composites.ts';
import { requireConstrained } from './constraints/index.ts';
import type { Contexts } from './contexts.ts';
import type { Decompositions } from './decompositions.ts';
import { emptyDefinition, mergeDefinition } from './definition.ts';
import { planEvent } from './events.ts';
import * as inputs from './inputs.ts';
import { requireGoalSteps } from './monitoring/goals.ts';
import { requireNetwork, summarize, toDependency, toStep } from './network.ts';
import type { Network } from './networkChange.ts';
import { requirePlannedResources } from './planDefaults.ts';
import type { PlanRow } from './rows.ts';
import { insertDependencies, insertSteps, upsertPlans } from './store.ts';

interface Creation extends Network {
  readonly scope: RequestScope;
  readonly plan: PlanRow;
  readonly idempotent: IdempotentCall | null;
  /** Methods that its steps came of. */
  readonly methodIds: readonly string[] | null;
}

/** Stores new plans, those of concurrent requests in one transaction. */
export function createPlanCreation(
  { sql, publisher, config }: ModuleRuntime,
  { contexts, decompositions }: { readonly contexts: Contexts; readonly decompositions: Decompositions },
) {
  async function insertAll(items: readonly Creation[]): Promise<readonly (string | Error)[]> {
    const stored = await findIdempotentResponses(
      sql,
      'plan',
      items.map(({ idempotent }) => idempotent),
    );
    const results: (string | Error | undefined)[] = stored.map((found) =>
      found === undefined || found instanceof Error ? found : (found.response as { planId: string }).planId,
    );
    const fresh = items.filter((_, index) => results[index] === undefined);
    if (fresh.length > 0) {
      const events = await sql.begin(async (tx) => {
        await upsertPlans(
          tx,
          fresh.map(({ plan }) => plan),
          'insert',
        );
        const [appended] = await Promise.all([
          appendChange(
            tx,
            'plan',
            fresh.map(({ plan, dependencies, scope, idempotent, methodIds }) => ({
              tenantId: plan.tenantId,
              actor: scope.principal.subject,
              traceparent: scope.traceparent,
              events: [
                planEvent('plan.created', plan, {
                  dependencyCount: dependencies.length,
                  ...(methodIds && { methodIds }),
                }),
              ],
              audit: [{ action: 'plan.create', resource: 'Plan', resourceId: plan.id }],
              idempotency: idempotencyRecord(idempotent, { planId: plan.id }),
            })),
          ),
          insertSteps(
            tx,
            fresh.flatMap(({ steps }) => steps),
          ),
          insertDependencies(
            tx,
            fresh.flatMap(({ dependencies }) => dependencies),
          ),
        ]);
        return appended;
      });
      for (const [index, { scope }] of fresh.entries()) await publisher.published([events[index]!], scope);
    }
    return items.map(({ plan }, index) => results[index] ?? plan.id);
  }

  /** Group commit; two calls with one key in a batch, or a race, are settled one by one. */
  const creator: Batcher<Creation, string> = createBatcher({
    maxItems: config.BATCH_MAX_ITEMS,
    maxDelayMs: config.BATCH_MAX_DELAY_MS,
    async run(items) {
      try {
        return await transactionRetry.execute(() => insertAll(items));
      } catch (error) {
        if (items.length === 1 && !isIdempotencyRace(error)) throw error;
        const results: (string | Error)[] = [];
        for (const item of items) {
          try {
            results.push((await transactionRetry.execute(() => insertAll([item])))[0]!);
          } catch (alone) {
            results.push(alone instanceof Error ? alone : new Error(String(alone)));
          }
        }
        return results;
      }
    },
  });

  return {
    drain: () => creator.drain(),

    /** @throws {CYCLIC_DEPENDENCY} {PLAN_CREATION_FAILED} {DECOMPOSITION_FAILED} {NOT_FOUND} {CONTEXT_NOT_ACTIVE} {VALIDATION_FAILED} */
    async create(scope: RequestScope, raw: unknown): Promise<string> {
      const { idempotencyKey, ...input } = parseInput(inputs.createPlan, raw, ['input']);
      const { tenantId, subject } = scope.principal;
      await contexts.requireOpen(scope.principal, input.contextId);
      const planId = newId();
      const now = new Date().toISOString();
      const idempotent = toIdempotentCall(scope, { operation: 'createPlan', input, idempotencyKey });
      // The methods may be others by now than those of the first call.
      const known = input.steps == null ? await findIdempotentResponse(sql, 'plan', idempotent) : undefined;
      if (known) return (known.response as { planId: string }).planId;
      const begun = performance.now();
      const planned = await decompositions.plan(scope, input);
      const given = planned.steps.map((step, place) => toStep(step, { tenantId, planId, place }));
      const implied = planned.steps.flatMap((step, place) =>
        (step.dependsOn ?? []).map((sourceId) => ({ sourceId, targetId: given[place]!.id })),
      );
      const dependencies = [...planned.dependencies, ...implied].map((given, place) =>
        toDependency(given, { tenantId, planId, place }),
      );
      requireNetwork(given, dependencies, ['input', 'dependencies']);
      const steps = rollUpSteps(given);
      const definition = mergeDefinition(input, emptyDefinition);
      requireGoalSteps(definition, steps, ['input']);
      requireConstrained(definition, steps, ['input']);
      requirePlannedResources(definition, ['input']);
      const plan: PlanRow = {
        tenantId,
        id: planId,
        contextId: input.contextId,
        title: input.title,
        objective: input.objective,
        status: 'draft',
        type: input.type ?? 'SEQUENTIAL',
        priority: input.priority ?? 'MEDIUM',
        requiresApproval: input.requiresApproval ?? false,
        confirmId: null,
        statusReason: null,
        replans: 0,
        definition,
        summary: summarize(definition, steps, dependencies, {
          algorithm: planned.methodIds === null ? 'critical_path' : 'hierarchical_task_network',
          timeMs: performance.now() - begun,
        }),
        schedule: null,
        protocol: null,
        stepCount: steps.length,
        archivedAt: null,
        version: 1,
        createdAt: now,
        createdBy: subject,
        updatedAt: now,
        updatedBy: subject,
      };
      return creator.add({ scope, plan, steps, dependencies, idempotent, methodIds: planned.methodIds });
    },
  };
}
