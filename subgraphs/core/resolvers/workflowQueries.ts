import { isId } from '#shared/ids.ts';
import { listExecutions } from '../execution/lists.ts';
import type { QueryResolvers } from '../resolvers.generated.ts';

export const workflowQueries: QueryResolvers = {
  workflow: (_parent, { workflowId }, { loaders }) => (isId(workflowId) ? loaders.workflow.load(workflowId) : null),
  workflows: (_parent, { filter, ...page }, { service, scope }) => {
    scope.readTags.add('workflows');
    return service.workflows.list(scope.principal.tenantId, filter, page);
  },
  validateWorkflow: (_parent, { definition }, { service }) => {
    const { valid, problems, plan } = service.workflows.check(definition);
    return {
      valid,
      plan: plan && { ...plan, criticalPath: [...plan.criticalPath] },
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
