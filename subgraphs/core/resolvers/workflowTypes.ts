import { PlatformError } from '#shared/errors.ts';
import { toAmounts } from '../allocation/vector.ts';
import { criticalPathOf } from '../execution/criticalPath.ts';
import { awaitsResources } from '../execution/holding.ts';
import { shownStatus } from '../execution/shown.ts';
import { usageOf } from '../execution/usage.ts';
import * as inputs from '../inputs.ts';
import { type CoreLoaders, maxVersions } from '../loaders.ts';
import type { Resolvers } from '../resolvers.generated.ts';
import { planOf, type WorkflowPlan } from '../workflow/compile.ts';
import { timingKeysOf } from '../workflow/estimate.ts';
import { findVersion } from '../workflow/workflows.ts';

const upper = <Text extends string>(text: Text) => text.toUpperCase() as Uppercase<Text>;

function requireFirst(first: number): void {
  if (first < 1 || first > maxVersions)
    throw new PlatformError('VALIDATION_FAILED', `first: expected 1 to ${maxVersions}, got ${first}`, {
      path: ['first'],
    });
}

const msBetween = (from: string | null, to: string | null): number | null =>
  from === null || to === null ? null : Math.max(0, Date.parse(to) - Date.parse(from));

/** A plan as the graph has it. */
export const shapePlan = ({ criticalPath, estimate, ...plan }: Required<WorkflowPlan>) => ({
  ...plan,
  criticalPath: [...criticalPath],
  estimate: {
    ...estimate,
    ...{ peak: toAmounts(estimate.peak), resourceSeconds: toAmounts(estimate.resourceSeconds) },
    ...{ usedPeak: toAmounts(estimate.usedPeak), usedSeconds: toAmounts(estimate.usedSeconds) },
    steps: estimate.steps.map(({ basis, medianMs, used, ...step }) => ({
      used: used && toAmounts(used),
      ...{ ...step, basis: upper(basis), durationMs: Math.round(medianMs) },
      ...{ lowMs: Math.round(step.lowMs), highMs: Math.round(step.highMs) },
    })),
  },
});

async function resourceWaitOf(allocationId: string, loaders: CoreLoaders) {
  const [reason, queuePosition, estimatedWaitMs] = await Promise.all([
    loaders.waitReason.load(allocationId),
    loaders.queuePosition.load(allocationId),
    loaders.waitMs.load(allocationId),
  ]);
  // Granted or refused meanwhile: whoever waits hears of it next.
  return reason && { reason, queuePosition, estimatedWaitMs };
}

export const workflowTypes = {
  CoreWorkflow: {
    __resolveReference: ({ id }, { loaders }) => loaders.workflow.load(id),
    workflowId: (row) => row.id,
    status: (row) => upper(row.status),
    maxConcurrentExecutions: (row) => row.maxExecutions,
    latest: async (row, _args, { loaders, service }) => {
      const [newest] = await loaders.versions.load(row.id);
      return newest ?? (await findVersion(service.sql, row.tenantId, row.id, null))!;
    },
    versions: async (row, { first }, { loaders }) => {
      requireFirst(first);
      return (await loaders.versions.load(row.id)).slice(0, first);
    },
    executions: async (row, { status, ...page }, { loaders }) => {
      const [found] = await Promise.all([
        loaders.workflowExecutions.load(row.id, status ?? null, page),
        loaders.listAccess.load('executions'),
      ]);
      return found;
    },
  },
  CoreWorkflowVersion: {
    // By what is measured now, which may be more than when it was published.
    plan: async ({ workflowId, definition }, _args, { loaders }) => {
      const keys = timingKeysOf(definition, workflowId);
      const found = await Promise.all(keys.map((key) => loaders.timing.load(key)));
      const timings = new Map(keys.map((key, at) => [key, found[at]!]));
      return shapePlan(planOf({ definition, workflowId, timings }));
    },
  },
  CoreWorkflowExecution: {
    __resolveReference: ({ id }, { loaders }) => loaders.execution.load(id),
    executionId: (row) => row.id,
    workflow: async (row, _args, { loaders }) => (await loaders.workflow.load(row.workflowId))!,
    context: (row) => (row.contextId === null ? null : { id: row.contextId }),
    parent: (row, _args, { loaders }) => (row.parentId === null ? null : loaders.execution.load(row.parentId)),
    status: (row) => upper(row.status),
    ending: (row) => row.ending && upper(row.ending),
    priority: (row) => inputs.priorities[row.priority] ?? 'MEDIUM',
    completion: (row) => (row.totalSteps === 0 ? 1 : row.endedSteps / row.totalSteps),
    retryCount: (row) => row.retries,
    ruleChain: (row) => [...row.ruleChain],
    steps: async (row, _args, { loaders }) => [...(await loaders.steps.load(row.id))],
    currentSteps: async (row, _args, { loaders }) =>
      (await loaders.steps.load(row.id))
        .filter(({ status }) => ['ready', 'running', 'retry_wait', 'waiting'].includes(status))
        .map(({ stepId }) => stepId),
    criticalPath: async (row, _args, { loaders }) => {
      const [definition, steps] = await Promise.all([
        loaders.definition.load(`${row.workflowId}/${row.workflowVersion}`),
        loaders.steps.load(row.id),
      ]);
      return definition === null ? [] : criticalPathOf(row, definition, steps);
    },
    resourceUsage: async (row, _args, { loaders }) => {
      const [definition, steps] = await Promise.all([
        loaders.definition.load(`${row.workflowId}/${row.workflowVersion}`),
        loaders.steps.load(row.id),
      ]);
      const { modules, ...used } = usageOf(row, definition!, steps);
      return { ...used, modules: [...modules] };
    },
    allocation: (row, _args, { loaders }) =>
      row.allocationId == null ? null : loaders.allocation.load(row.allocationId),
    resourceWait: (row, _args, { loaders }) =>
      row.allocationId == null || row.holdsResources ? null : resourceWaitOf(row.allocationId, loaders),
    history: (row, page, { loaders }) => loaders.history.load(row.id, null, page),
    children: async (row, page, { loaders }) => {
      const [found] = await Promise.all([
        loaders.children.load(row.id, null, page),
        loaders.listAccess.load('executions'),
      ]);
      return found;
    },
    durationMs: (row) => msBetween(row.startedAt, row.completedAt),
  },
  CoreWorkflowConnection: {
    edges: (row) => [...row.edges],
    nodes: (row) => [...row.nodes],
  },
  CoreWorkflowExecutionConnection: {
    edges: (row) => [...row.edges],
    nodes: (row) => [...row.nodes],
  },
  CoreHistoryConnection: {
    edges: (row) => [...row.edges],
    nodes: (row) => [...row.nodes],
  },
  CoreStepExecution: {
    status: (row) => shownStatus(row),
    durationMs: (row) => msBetween(row.startedAt, row.finishedAt),
    allocation: (row, _args, { loaders }) =>
      row.allocationId === null ? null : loaders.allocation.load(row.allocationId),
    resourceWait: (row, _args, { loaders }) =>
      row.allocationId === null || !awaitsResources(row) ? null : resourceWaitOf(row.allocationId, loaders),
  },
  Context: {
    workflows: async ({ id }, { status, ...page }, { loaders, scope }) => {
      scope.readTags.add(`Context:${id}:workflows`);
      const [found] = await Promise.all([
        loaders.contextWorkflows.load(id, status ?? null, page),
        loaders.listAccess.load('executions'),
      ]);
      return found;
    },
  },
} satisfies Resolvers;
