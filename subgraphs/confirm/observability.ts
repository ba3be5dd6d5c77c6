import type { ProtocolDocument } from '#shared/codec.ts';
import { derivedId } from '#shared/derivedId.ts';
import type { EventRow } from '#shared/events.ts';
import type { ConfirmDecisionRow, ConfirmRow } from './rows.ts';

const stageStatuses = { pending: 'running', approved: 'completed', rejected: 'failed', cancelled: 'skipped' } as const;

/**
 * The frozen observability events of a confirm's own events: the gate as a stage (family `pipeline_stage`), each
 * decision as a node of its graph (`graph_update`), and that it was reasoned about (`reasoning_graph`). Texts stay out.
 */
export function observeConfirm(event: EventRow): readonly ProtocolDocument[] {
  const confirm = event.data['confirm'] as ConfirmRow;
  switch (event.type) {
    case 'confirm.created':
      return [stage(event, confirm, 'confirm_created', 'pending'), stage(event, confirm, 'confirm_pending', 'running')];
    case 'confirm.resolved':
      return [stage(event, confirm, 'confirm_resolved', stageStatuses[confirm.status])];
    case 'confirm.decided':
    case 'confirm.condition.settled':
      return observeDecision(event, confirm, event.data['decision'] as ConfirmDecisionRow);
    default:
      return [];
  }
}

function observeDecision(event: EventRow, confirm: ConfirmRow, decision: ConfirmDecisionRow): ProtocolDocument[] {
  const payload = { decision_id: decision.id, outcome: decision.outcome, step_id: decision.stepId };
  const added = {
    ...envelope(event, confirm, { family: 'graph_update', type: 'decision_added', payload }),
    graph_id: confirm.id,
    update_kind: 'node_add',
    node_delta: 1,
    edge_delta: 1,
    source_module: 'confirm',
  };
  const has = { ...payload, has_rationale: decision.rationale !== null, conditions: decision.conditions.length };
  return [added, envelope(event, confirm, { family: 'reasoning_graph', type: 'approval_reasoning', payload: has })];
}

function stage(event: EventRow, confirm: ConfirmRow, type: string, status: string): ProtocolDocument {
  const payload = { target_type: confirm.targetType, target_id: confirm.targetId, status: confirm.status };
  return {
    ...envelope(event, confirm, { family: 'pipeline_stage', type, payload }),
    // A plan's gate is a stage of the plan; any other stands for itself.
    pipeline_id: confirm.planId ?? confirm.id,
    stage_id: confirm.id,
    stage_name: confirm.confirmationType ?? 'confirm',
    stage_status: status,
  };
}

function envelope(
  event: EventRow,
  { contextId }: ConfirmRow,
  { family, type, payload }: { readonly family: string; readonly type: string; readonly payload: object },
): ProtocolDocument {
  return {
    event_id: derivedId(`${event.eventId}/${type}`),
    event_type: type,
    event_family: family,
    timestamp: event.createdAt,
    ...(contextId === null ? {} : { project_id: contextId }),
    payload,
  };
}
