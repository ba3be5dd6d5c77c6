import type { ProtocolDocument } from '#shared/codec.ts';
import { derivedId } from '#shared/derivedId.ts';
import type { EventRow } from '#shared/events.ts';
import type { BaseEventDocument } from '../../schema/protocol/index.ts';
import type { ManifestRow } from './manifest/rows.ts';
import type { CoreExecutionRow } from './rows.ts';

export const observedTypes = ['manifest.changed', 'workflow.compensating', 'workflow.compensated'] as const;

/**
 * The frozen observability events of the module's own events: manifests that come into force and modules that go on and off
 * (`pipeline_stage`), executions that are undone (`compensation_plan`). Texts stay out.
 */
export function observeCore(event: EventRow): readonly ProtocolDocument[] {
  switch (event.type) {
    case 'manifest.changed':
      return ((event.data['told'] ?? []) as readonly BaseEventDocument[]).map((told) => stageOf(event, told));
    case 'workflow.compensating':
      return [rollback(event, 'rollback_planned')];
    case 'workflow.compensated':
      return [rollback(event, 'rollback_executed')];
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
