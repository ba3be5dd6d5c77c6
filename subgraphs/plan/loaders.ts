import type { RequestScope } from '#shared/context.ts';
import { createListLoader, createPageLoader, createRowLoader } from '#shared/loaders.ts';
import { listPlans } from './lists.ts';
import type { PlanDependencyRow, PlanExecutionRow, PlanRow, PlanStepRow } from './rows.ts';
import type { PlanService } from './service.ts';
import { findExecutions, findStepsById } from './store.ts';

export type PlanLoaders = ReturnType<typeof createPlanLoaders>;

export interface ContextPlansKey {
  readonly contextId: string;
  readonly status: readonly string[] | null;
  readonly first: number | null;
  readonly after: string | null;
}

export function createPlanLoaders({ sql, reads }: Pick<PlanService, 'sql' | 'reads'>, scope: RequestScope) {
  const { tenantId } = scope.principal;
  const planTag = (id: string) => `Plan:${id}`;
  return {
    plan: createRowLoader<string, PlanRow>({
      fetch: async (ids) =>
        (await Promise.all(ids.map((id) => reads.plan.add({ tenantId, id })))).filter((row) => row !== null),
      keyOf: (row) => row.id,
      tagOf: planTag,
      scope,
    }),
    steps: createListLoader<string, PlanStepRow>({
      fetch: async (ids) =>
        (await Promise.all(ids.map((id) => reads.steps.add({ tenantId, id })))).flatMap((found) => found?.rows ?? []),
      keyOf: (row) => row.planId,
      tagOf: planTag,
      scope,
    }),
    dependencies: createListLoader<string, PlanDependencyRow>({
      fetch: async (ids) =>
        (await Promise.all(ids.map((id) => reads.dependencies.add({ tenantId, id })))).flatMap(
          (found) => found?.rows ?? [],
        ),
      keyOf: (row) => row.planId,
      tagOf: planTag,
      scope,
    }),
    execution: createRowLoader<string, PlanExecutionRow>({
      fetch: (ids) => findExecutions(sql, tenantId, ids),
      keyOf: (row) => row.id,
      tagOf: (id) => `PlanExecution:${id}`,
      scope,
    }),
    step: createPageLoader<{ readonly planId: string; readonly id: string }, PlanStepRow | null>(async (keys) => {
      const rows = await findStepsById(sql, tenantId, keys);
      for (const { planId } of keys) scope.readTags.add(planTag(planId));
      return keys.map((key) => rows.find((row) => row.planId === key.planId && row.id === key.id) ?? null);
    }),
    contextPlans: createPageLoader(async (keys: readonly ContextPlansKey[]) =>
      Promise.all(
        keys.map(({ contextId, status, first, after }) => {
          scope.readTags.add(`Context:${contextId}:plans`);
          return listPlans(sql, tenantId, { contextId, status }, { first, after });
        }),
      ),
    ),
  };
}
