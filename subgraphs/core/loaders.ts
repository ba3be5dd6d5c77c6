import { createChildPageLoader } from '#shared/childPages.ts';
import type { RequestScope } from '#shared/context.ts';
import { createListLoader, createPageLoader, createRowLoader } from '#shared/loaders.ts';
import { keepVisible, noteListAccess } from './access.ts';
import { agentTag } from './agents/agents.ts';
import type { AgentRow } from './agents/rows.ts';
import { findAgents } from './agents/store.ts';
import { findQueuePositions, findWaitReasons, findWaits, type WaitReason } from './allocation/lists.ts';
import type { AllocationRow } from './allocation/rows.ts';
import { findAllocations } from './allocation/store.ts';
import { findManifests } from './codec.ts';
import { executionsOfContext, executionsOfParent, executionsOfWorkflow, historyOf } from './execution/lists.ts';
import { findExecutions, findStepsOf } from './execution/reads.ts';
import type { ManifestRow } from './manifest/rows.ts';
import { findTimings } from './metrics/durations.ts';
import type { Timing } from './metrics/timing.ts';
import { type DecisionRow, findDecisions } from './orchestration/decisions.ts';
import type { CoreExecutionRow, CoreStepExecutionRow, CoreWorkflowRow, CoreWorkflowVersionRow } from './rows.ts';
import type { CoreService } from './service.ts';
import { findMedians } from './tuning/recorded.ts';
import type { WorkflowDefinition } from './workflow/definition.ts';
import { findDefinitions, findVersions, findWorkflows, workflowTag } from './workflow/workflows.ts';

export type CoreLoaders = ReturnType<typeof createCoreLoaders>;

/** Versions of a workflow that are told. */
export const maxVersions = 50;

export function createCoreLoaders({ sql, learn }: Pick<CoreService, 'sql' | 'learn'>, scope: RequestScope) {
  const { principal } = scope;
  const { tenantId } = principal;
  return {
    workflow: createRowLoader<string, CoreWorkflowRow>({
      fetch: (ids) => findWorkflows(sql, tenantId, ids),
      keyOf: (row) => row.id,
      tagOf: workflowTag,
      scope,
    }),
    versions: createListLoader<string, CoreWorkflowVersionRow>({
      fetch: (ids) => findVersions(sql, tenantId, ids, maxVersions),
      keyOf: (row) => row.workflowId,
      tagOf: workflowTag,
      scope,
    }),
    execution: createRowLoader<string, CoreExecutionRow>({
      fetch: (ids) =>
        keepVisible(sql, scope, { table: 'execution', ids, read: findExecutions(sql, tenantId, ids), learn }),
      keyOf: (row) => row.id,
      tagOf: (id) => `CoreWorkflowExecution:${id}`,
      scope,
    }),
    manifest: createRowLoader<string, ManifestRow>({
      fetch: (ids) => findManifests(sql, tenantId, ids),
      keyOf: (row) => row.id,
      tagOf: (id) => `CoreManifest:${id}`,
      scope,
    }),
    allocation: createRowLoader<string, AllocationRow>({
      fetch: (ids) =>
        keepVisible(sql, scope, { table: 'allocation', ids, read: findAllocations(sql, tenantId, ids), learn }),
      keyOf: (row) => row.id,
      tagOf: (id) => `CoreResourceAllocation:${id}`,
      scope,
    }),
    decision: createRowLoader<string, DecisionRow>({
      fetch: (ids) =>
        keepVisible(sql, scope, { table: 'decision', ids, read: findDecisions(sql, tenantId, ids), learn }),
      keyOf: (row) => row.id,
      tagOf: (id) => `CoreOrchestrationDecision:${id}`,
      scope,
    }),
    agent: createRowLoader<string, AgentRow>({
      fetch: (ids) => findAgents(sql, tenantId, ids),
      keyOf: (row) => row.agentId,
      tagOf: agentTag,
      scope,
    }),
    waitMs: createPageLoader<string, number | null>((ids) => findWaits(sql, tenantId, ids)),
    /** Place of a waiting request among those of its tenant. */
    queuePosition: createPageLoader<string, number | null>((ids) => findQueuePositions(sql, tenantId, ids)),
    /** Why a request waits; null of one that does not. */
    waitReason: createPageLoader<string, WaitReason | null>((ids) => findWaitReasons(sql, tenantId, ids)),
    /** Median of completed executions by `workflowId/version`, ms; null of fewer than five. */
    medianMs: createPageLoader<string, number | null>((keys) => findMedians(sql, tenantId, keys)),
    /** What was measured of what steps do, by its key. */
    timing: createPageLoader<string, Timing | null>((keys) => findTimings(sql, tenantId, keys)),
    /** Definition by `workflowId/version`. */
    definition: createPageLoader<string, WorkflowDefinition | null>((keys) => findDefinitions(sql, tenantId, keys)),
    steps: createListLoader<string, CoreStepExecutionRow>({
      fetch: (ids) => findStepsOf(sql, tenantId, ids),
      keyOf: (row) => row.executionId,
      scope,
    }),
    history: createChildPageLoader(sql, () => historyOf(tenantId)),
    children: createChildPageLoader(sql, () => executionsOfParent(principal, null)),
    workflowExecutions: createChildPageLoader(sql, (status: readonly string[] | null) =>
      executionsOfWorkflow(principal, status),
    ),
    contextWorkflows: createChildPageLoader(sql, (status: readonly string[] | null) =>
      executionsOfContext(principal, status),
    ),
    /** Marks what the request reads of lists as its reader's own where the tenant has private contexts. */
    listAccess: createPageLoader<'executions', null>(async (keys) => {
      await noteListAccess(sql, scope);
      return keys.map(() => null);
    }),
  };
}
