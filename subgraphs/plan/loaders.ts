import { createChildPageLoader } from '#shared/childPages.ts';
import { type RequestScope, subjectBoundTag } from '#shared/context.ts';
import { createListLoader, createPageLoader, createRowLoader } from '#shared/loaders.ts';
import { findVerdicts, keepVisible, noteListAccess } from './access.ts';
import { plansOfContext, runsOfPlan, stepsOfSubject } from './childLists.ts';
import { createCollaborationLoaders } from './collaboration/loaders.ts';
import type { PlanDependencyRow, PlanExecutionRow, PlanRow, PlanStepExecutionRow, PlanStepRow } from './rows.ts';
import type { PlanService } from './service.ts';
import { findExecutions, findStepExecutions, findStepsById } from './store.ts';
import {
  type AgentInContext,
  type AgentTasks,
  countRunningExecutions,
  findAgentTasks,
  findTaskFigures,
  type TaskFigures,
} from './taskFigures.ts';

export type PlanLoaders = ReturnType<typeof createPlanLoaders>;

export function createPlanLoaders(
  { sql, keyedSql, reads, roles, learn }: Pick<PlanService, 'sql' | 'keyedSql' | 'reads' | 'roles' | 'learn'>,
  scope: RequestScope,
) {
  const { tenantId } = scope.principal;
  const planTag = (id: string) => `Plan:${id}`;
  return {
    ...createCollaborationLoaders({ sql, learn }, scope),
    plan: createRowLoader<string, PlanRow>({
      fetch: (ids) =>
        keepVisible(
          keyedSql,
          scope,
          { table: 'plan', ids, learn },
          Promise.all(ids.map((id) => reads.plan.add({ tenantId, id }))).then((rows) =>
            rows.filter((row) => row !== null),
          ),
          (row) => row.id,
        ),
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
      fetch: (ids) =>
        keepVisible(
          keyedSql,
          scope,
          { table: 'execution', ids, learn },
          findExecutions(sql, tenantId, ids),
          (row) => row.id,
        ),
      keyOf: (row) => row.id,
      tagOf: (id) => `PlanExecution:${id}`,
      scope,
    }),
    step: createPageLoader<{ readonly planId: string; readonly id: string }, PlanStepRow | null>(async (keys) => {
      const planIds = [...new Set(keys.map(({ planId }) => planId))];
      const [rows, verdicts] = await Promise.all([
        findStepsById(sql, tenantId, keys),
        findVerdicts(keyedSql, scope.principal, { table: 'plan', ids: planIds }, learn),
      ]);
      if ([...verdicts.values()].some((hidden) => hidden !== null)) scope.readTags.add(subjectBoundTag);
      for (const { planId } of keys) scope.readTags.add(planTag(planId));
      return keys.map((key) =>
        (verdicts.get(key.planId) ?? !verdicts.has(key.planId))
          ? null
          : (rows.find((row) => row.planId === key.planId && row.id === key.id) ?? null),
      );
    }),
    /** Id of the role that an `agentRole` means. */
    roleId: createPageLoader<string, string | null>((names) => {
      scope.readTags.add('roles');
      return roles.findIds(scope.principal, names);
    }),
    planExecutions: createChildPageLoader(sql, () => runsOfPlan(tenantId)),
    taskProgress: createListLoader<string, PlanStepExecutionRow>({
      fetch: (ids) => findStepExecutions(sql, tenantId, ids),
      keyOf: (row) => row.executionId,
      scope,
    }),
    assignedSteps: createChildPageLoader(sql, (status: readonly string[] | null) =>
      stepsOfSubject(scope.principal, status),
    ),
    contextPlans: createChildPageLoader(sql, (status: readonly string[] | null) =>
      plansOfContext(scope.principal, status),
    ),
    runningExecutions: createPageLoader<string, number>((ids) => countRunningExecutions(sql, tenantId, ids)),
    agentTasks: createPageLoader<AgentInContext, AgentTasks>((keys) => findAgentTasks(sql, tenantId, keys)),
    taskFigures: createRowLoader<string, TaskFigures>({
      fetch: (ids) => findTaskFigures(sql, tenantId, ids),
      keyOf: (row) => row.contextId,
      scope,
    }),
    /** Marks what the request reads of lists as its reader's own where the tenant has private contexts. */
    listAccess: createPageLoader<'plans', null>(async (keys) => {
      await noteListAccess(sql, scope);
      return keys.map(() => null);
    }),
  };
}
