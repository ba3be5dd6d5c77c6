import type { RequestContext } from '../context.ts';
import type { MutationResolvers } from '../resolvers.generated.ts';

/** What stands after a mutation: an earlier one of the same request may have read what this one changed. */
async function workflowPayload({ loaders }: RequestContext, pending: Promise<string>) {
  const id = await pending;
  loaders.workflow.clearAll();
  loaders.versions.clearAll();
  return { workflow: await loaders.workflow.load(id), userErrors: [] };
}

async function executionPayload({ loaders }: RequestContext, pending: Promise<string>) {
  const id = await pending;
  loaders.execution.clearAll();
  loaders.steps.clearAll();
  return { execution: await loaders.execution.load(id), userErrors: [] };
}

export const workflowMutations: MutationResolvers = {
  createWorkflow: (_parent, { input }, context) =>
    workflowPayload(context, context.service.workflows.create(context.scope, input)),
  publishWorkflowVersion: (_parent, { workflowId, definition, expectedVersion, idempotencyKey }, context) =>
    workflowPayload(
      context,
      context.service.workflows.publish(context.scope, workflowId, definition, {
        expectedVersion: expectedVersion ?? null,
        idempotencyKey,
      }),
    ),
  retireWorkflow: (_parent, { workflowId, ...options }, context) =>
    workflowPayload(context, context.service.workflows.retire(context.scope, workflowId, options)),
  executeWorkflow: (_parent, { input }, context) =>
    executionPayload(context, context.service.executions.start(context.scope, input)),
  pauseWorkflow: (_parent, { executionId, ...options }, context) =>
    executionPayload(context, context.service.executions.pause(context.scope, executionId, options)),
  resumeWorkflow: (_parent, { executionId, ...options }, context) =>
    executionPayload(context, context.service.executions.resume(context.scope, executionId, options)),
  cancelWorkflow: (_parent, { executionId, ...options }, context) =>
    executionPayload(context, context.service.executions.cancel(context.scope, executionId, options)),
  signalWorkflow: (_parent, { executionId, signal, ...options }, context) =>
    executionPayload(context, context.service.executions.signal(context.scope, executionId, signal, options)),
  heartbeatWorkflowStep: (_parent, { executionId, ...options }, context) =>
    executionPayload(context, context.service.executions.heartbeat(context.scope, executionId, options)),
  recoverWorkflow: (_parent, { executionId, ...options }, context) =>
    executionPayload(context, context.service.executions.recover(context.scope, executionId, options)),
  bulkChangeWorkflows: async (_parent, { input, ...options }, { service, scope }) => {
    const { refused, ...result } = await service.bulk(scope, input, options);
    return { ...result, refused: [...refused], userErrors: [] };
  },
};
