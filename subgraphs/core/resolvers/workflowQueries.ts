import { isId } from '#shared/ids.ts';
import { listExecutions } from '../execution/lists.ts';
import type { QueryResolvers } from '../resolvers.generated.ts';
import { shapePlan } from './workflowTypes.ts';

export const workflowQueries: QueryResolvers = {
  workflow: (_parent, { workflowId }, { loaders }) => (isId(workflowId) ? loaders.workflow.load(workflowId) : null),
  workflows: (_parent, { filter, ...page }, { service, scope }) => {
    scope.readTags.add('workflows');
    return service.workflows.list(scope.principal.tenantId, filter, page);
  },
  validateWorkflow: async (_parent, { definition }, { service, scope }) => {
    const { valid, problems, plan } = await service.workflows.check(scope, definition);
    return {
      valid,
      plan: plan && shapePlan(plan),
      problems: problems.map(({ code, message, path, details }) => ({
        ...{ code, message, path: path.map(String) },
        cycle: (details?.['cycle'] as string[] | undefined) ?? null,
      })),
    };
  },
  workflowExecution: (_parent, { executionId }, { loaders }) =>
    isId(executionId) ? loaders.execution.load(executionId) : null,
  workflowExecutions: (_parent, { filter, ...page }, { service, scope }) =>
    listExecutions(service.sql, scope, filter, page),
};
