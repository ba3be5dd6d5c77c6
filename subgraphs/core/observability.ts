import type { ProtocolDocument } from '#shared/codec.ts';
import { derivedId } from '#shared/derivedId.ts';
import type { EventRow } from '#shared/events.ts';
import type { BaseEventDocument } from '../../schema/protocol/index.ts';
import type { BudgetEventType } from './budgetEvents.ts';
import { budgetOf } from './execution/events.ts';
import type { ManifestRow } from './manifest/rows.ts';
import type { CoreExecutionRow, JsonObject } from './rows.ts';

export const observedTypes = [
  ...['manifest.changed', 'workflow.compensating', 'workflow.compensated'],
  ...['workflow.budget.warning', 'workflow.failing', 'budget.warning', 'budget.exceeded'],
] as const;

/**
 * The frozen observability events of the module's own events: manifests that come into force and modules that go on and off
 * (`pipeline_stage`), executions that are undone (`compensation_plan`), budgets of time and of resources that are near their end or
 * passed (`cost_budget`). Texts stay out.
 */
export function observeCore(event: EventRow): readonly ProtocolDocument[] {
  switch (event.type) {
    case 'manifest.changed':
      return ((event.data['told'] ?? []) as readonly BaseEventDocument[]).map((told) => stageOf(event, told));
    case 'workflow.compensating':
      return [rollback(event, 'rollback_planned')];
    case 'workflow.compensated':
      return [rollback(event, 'rollback_executed')];
    case 'workflow.budget.warning':
    case 'workflow.failing': {
      const told = budgetOf(event.type, (event.data['detail'] ?? {}) as JsonObject);
      if (told === null) return [];
      const { id, workflowId, contextId, deadlineAt } = event.data['execution'] as CoreExecutionRow;
      const payload = { execution_id: id, workflow_id: workflowId };
      return [
        budgetTold(event, told, contextId, {
          budget: 'time',
          ...payload,
          ...(told === 'budget.warning' ? { deadline_at: deadlineAt } : {}),
        }),
      ];
    }
    case 'budget.warning':
    case 'budget.exceeded': {
      const { contextId, ...payload } = event.data as JsonObject & { contextId: string };
      return [budgetTold(event, event.type, contextId, payload)];
    }
    default:
      return [];
  }
}

/** As among the events of the manifest, by the names of this envelope: with underscores. */
function stageOf({ eventId, data }: EventRow, { event_type, timestamp, data: payload }: BaseEventDocument) {
  const { id } = data['manifest'] as ManifestRow;
  const type = event_type.replace('.', '_');
  const module = (payload as Readonly<Record<string, unknown>> | null | undefined)?.['module_id'];
  const stage = typeof module === 'string' ? module : 'protocol';
  return {
    event_id: derivedId(`${eventId}/${type}/${stage}`),
    event_type: type,
    event_family: 'pipeline_stage',
    timestamp,
    payload: { core_id: id, ...payload },
    pipeline_id: id,
    stage_id: stage,
    stage_name: stage,
    stage_status: type === 'module_disabled' ? 'skipped' : 'running',
  };
}

function budgetTold(
  event: EventRow,
  type: BudgetEventType,
  contextId: string | null,
  payload: JsonObject,
): ProtocolDocument {
  const name = type.replace('.', '_');
  return {
    ...{ event_id: derivedId(`${event.eventId}/${name}`), event_type: name, event_family: 'cost_budget' },
    timestamp: event.createdAt,
    ...(contextId === null ? {} : { project_id: contextId }),
    payload,
  };
}

function rollback(event: EventRow, type: string): ProtocolDocument {
  const { id, workflowId, workflowVersion, contextId } = event.data['execution'] as CoreExecutionRow;
  return {
    event_id: derivedId(`${event.eventId}/${type}`),
    event_type: type,
    event_family: 'compensation_plan',
    timestamp: event.createdAt,
    ...(contextId === null ? {} : { project_id: contextId }),
    payload: { execution_id: id, workflow_id: workflowId, workflow_version: workflowVersion },
  };
}
