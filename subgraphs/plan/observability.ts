import type { ProtocolDocument } from '#shared/codec.ts';
import { derivedId } from '#shared/derivedId.ts';
import type { EventRow } from '#shared/events.ts';
import type { ToldNetworkChange } from './networkChange.ts';
import type { PlanRow, PlanStatusValue, PlanStepExecutionRow } from './rows.ts';

const stageStatuses: Readonly<Record<PlanStatusValue, string>> = {
  draft: 'pending',
  proposed: 'pending',
  approved: 'pending',
  in_progress: 'running',
  completed: 'completed',
  failed: 'failed',
  cancelled: 'skipped',
};

/** Of the copies in the plan's stream alone: those of the run's stream say the same. */
const stepStatuses: Readonly<Record<string, string>> = {
  'task.step.started': 'running',
  'task.step.completed': 'completed',
  'task.step.failed': 'failed',
  'task.step.skipped': 'skipped',
};

/**
 * The frozen observability events of a plan's own events: its network as it grows and shrinks (`graph_update`), the plan
 * and its steps as stages (`pipeline_stage`). Texts stay out.
 */
export function observePlan(event: EventRow): readonly ProtocolDocument[] {
  const status = stepStatuses[event.type];
  if (status !== undefined) return [stepStage(event, status)];
  const plan = event.data['plan'] as PlanRow;
  const changes = (event.data['changes'] ?? {}) as PlanChanges;
  switch (event.type) {
    case 'plan.created':
      return [
        ...observeCreation(event, plan, changes.dependencyCount ?? 0),
        ...(changes.methodIds ? [observeMethods(event, plan, changes.methodIds)] : []),
      ];
    case 'plan.updated':
      return changes.network === undefined ? [] : observeEdit(event, plan, changes.network);
    case 'plan.change.proposed':
      return [observeImpact(event, plan, changes)];
    case 'plan.status.changed':
      return [planStage(event, plan, changes.status)];
    default:
      return [];
  }
}

function observeMethods(event: EventRow, plan: PlanRow, methodIds: readonly string[]): ProtocolDocument {
  return {
    ...envelope(event, { family: 'methodology', type: 'methodology_selected', contextId: plan.contextId }),
    payload: { plan_id: plan.id, methodology: 'hierarchical_task_network', method_ids: [...new Set(methodIds)] },
  };
}

/** What a change that is put to the vote would do to the plan. */
function observeImpact(event: EventRow, plan: PlanRow, { proposed }: PlanChanges): ProtocolDocument {
  return {
    ...envelope(event, { family: 'impact_analysis', type: 'impact_assessed', contextId: plan.contextId }),
    payload: {
      plan_id: plan.id,
      plan_version: plan.version,
      contribution_id: proposed?.contributionId,
      before: proposed?.before,
      after: proposed?.after,
    },
  };
}

interface PlanChanges {
  readonly dependencyCount?: number;
  /** Methods that the steps came of. */
  readonly methodIds?: readonly string[];
  readonly proposed?: { readonly contributionId: string; readonly before: object; readonly after: object };
  readonly network?: ToldNetworkChange;
  readonly status?: readonly PlanStatusValue[];
}

function observeCreation(event: EventRow, plan: PlanRow, dependencies: number): ProtocolDocument[] {
  const created = graphUpdate(event, plan, { type: 'plan_created', kind: 'node_add', nodes: plan.stepCount });
  if (dependencies === 0) return [created];
  return [created, graphUpdate(event, plan, { type: 'dag_edge_added', kind: 'edge_add', edges: dependencies })];
}

/** Nodes before the edges that need them, edges before the nodes they need. */
function observeEdit(event: EventRow, plan: PlanRow, change: ToldNetworkChange): ProtocolDocument[] {
  const { addedSteps, removedSteps, addedDependencies, removedDependencies } = change;
  const updates: GraphUpdate[] = [
    { type: 'step_added', kind: 'node_add', nodes: addedSteps.length, payload: { step_ids: addedSteps } },
    {
      type: 'dag_edge_added',
      kind: 'edge_add',
      edges: addedDependencies.length,
      payload: { dependency_ids: addedDependencies },
    },
    {
      type: 'dag_edge_removed',
      kind: 'edge_delete',
      edges: -removedDependencies.length,
      payload: { dependency_ids: removedDependencies },
    },
    { type: 'step_removed', kind: 'node_delete', nodes: -removedSteps.length, payload: { step_ids: removedSteps } },
  ];
  return updates
    .filter(({ nodes = 0, edges = 0 }) => nodes !== 0 || edges !== 0)
    .map((update) => graphUpdate(event, plan, update));
}

interface GraphUpdate {
  readonly type: string;
  readonly kind: 'node_add' | 'node_delete' | 'edge_add' | 'edge_delete';
  readonly nodes?: number;
  readonly edges?: number;
  readonly payload?: Readonly<Record<string, unknown>>;
}

function graphUpdate(
  event: EventRow,
  plan: PlanRow,
  { type, kind, nodes = 0, edges = 0, payload = {} }: GraphUpdate,
): ProtocolDocument {
  return {
    ...envelope(event, { family: 'graph_update', type, contextId: plan.contextId }),
    payload: { plan_id: plan.id, plan_version: plan.version, ...payload },
    graph_id: plan.id,
    update_kind: kind,
    node_delta: nodes,
    edge_delta: edges,
    source_module: 'plan',
  };
}

function planStage(event: EventRow, plan: PlanRow, moved: readonly PlanStatusValue[] | undefined): ProtocolDocument {
  return {
    ...envelope(event, { family: 'pipeline_stage', type: 'plan_status_changed', contextId: plan.contextId }),
    payload: { plan_id: plan.id, status: plan.status, ...(moved === undefined ? {} : { previous_status: moved[0] }) },
    pipeline_id: plan.id,
    stage_id: plan.id,
    stage_name: 'plan',
    stage_status: stageStatuses[plan.status],
  };
}

function stepStage(event: EventRow, status: string): ProtocolDocument {
  const step = event.data['step'] as PlanStepExecutionRow & { readonly contextId: string };
  const type = event.type.slice('task.'.length).replace('.', '_');
  return {
    ...envelope(event, { family: 'pipeline_stage', type, contextId: step.contextId }),
    payload: { plan_id: step.planId, step_id: step.stepId, execution_id: step.executionId, attempt: step.attempt },
    pipeline_id: step.planId,
    stage_id: step.stepId,
    stage_name: 'step',
    stage_status: status,
    stage_order: step.rank,
  };
}

function envelope(
  event: EventRow,
  { family, type, contextId }: { readonly family: string; readonly type: string; readonly contextId: string },
): ProtocolDocument {
  return {
    // One event makes several envelopes: each has an id of its own, the same whenever it is asked for.
    event_id: derivedId(`${event.eventId}/${type}`),
    event_type: type,
    event_family: family,
    timestamp: event.createdAt,
    project_id: contextId,
  };
}
