import type { ProtocolDocument } from '#shared/codec.ts';
import { derivedId } from '#shared/derivedId.ts';
import type { EventRow } from '#shared/events.ts';
import type { ExtensionExecutionRow, ExtensionRow } from './rows.ts';

/**
 * The frozen observability events of an extension's own events: that it was started, and that its methods began and ended
 * (family `runtime_execution`). What was said in a call stays out.
 */
export function observeExtension(event: EventRow): readonly ProtocolDocument[] {
  if (event.type === 'capability.invoked') {
    const execution = event.data['execution'] as ExtensionExecutionRow;
    const payload = {
      extension_id: execution.extensionId,
      capability_id: execution.capabilityId,
      method: execution.method,
      duration_ms: execution.durationMs,
    };
    const shared = { execution_id: execution.id, executor_kind: 'tool', project_id: execution.contextId, payload };
    return [
      { ...envelope(event, 'tool_execution_started'), ...shared, status: 'running' },
      { ...envelope(event, 'tool_execution_completed'), ...shared, status: execution.status },
    ];
  }
  if (event.type !== 'extension.status.changed') return [];
  const extension = event.data['extension'] as ExtensionRow | undefined;
  if (extension?.runtimeState !== 'active') return [];
  return [
    {
      ...envelope(event, 'extension_activated'),
      execution_id: extension.id,
      executor_kind: 'tool',
      status: 'running',
      project_id: extension.contextId,
      payload: { extension_id: extension.id, name: extension.name, version: extension.version },
    },
  ];
}

function envelope(event: EventRow, type: string) {
  return {
    event_id: derivedId(`${event.eventId}/${type}`),
    event_type: type,
    event_family: 'runtime_execution',
    timestamp: event.createdAt,
  };
}
