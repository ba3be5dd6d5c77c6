import type { ProtocolDocument } from '#shared/codec.ts';
import { derivedId } from '#shared/derivedId.ts';
import type { EventRow } from '#shared/events.ts';
import type { NetworkConnectionRow, NetworkRow } from './rows.ts';

/**
 * The frozen observability events of a network's own events: nodes and links as they come and go (`graph_update`), what
 * becomes of nodes and connections (`runtime_execution`). Texts stay out.
 */
export function observeNetwork(event: EventRow): readonly ProtocolDocument[] {
  const { data } = event;
  const number = (name: string) => (typeof data[name] === 'number' ? data[name] : 0);
  switch (event.type) {
    case 'network.created':
      return [graphUpdate(event, 'network_created', { nodes: number('nodes'), links: number('links') })];
    case 'node.added':
    case 'node.removed':
      return [
        graphUpdate(event, event.type.replace('.', '_'), { nodes: number('nodeDelta'), links: number('linkDelta') }),
      ];
    case 'link.added':
    case 'link.removed':
      return [graphUpdate(event, 'topology_changed', { nodes: 0, links: number('linkDelta') })];
    case 'node.status.changed':
      return [nodeStatus(event)];
    case 'connection.established':
      return [connection(event, 'connection_established', 'running')];
    case 'connection.lost':
      return [connection(event, 'connection_lost', 'failed')];
    default:
      return [];
  }
}

function envelope(event: EventRow, type: string, family: string) {
  return {
    event_id: derivedId(`${event.eventId} ${type}`),
    event_type: type,
    event_family: family,
    timestamp: event.createdAt,
    project_id: contextOf(event),
  };
}

function contextOf({ data }: EventRow): string | undefined {
  const row = (data['network'] ?? data['connection']) as { readonly contextId?: string } | undefined;
  return row?.contextId;
}

function graphUpdate(
  event: EventRow,
  type: string,
  { nodes, links }: { readonly nodes: number; readonly links: number },
): ProtocolDocument {
  const subject = nodes === 0 ? 'edge' : 'node';
  return {
    ...envelope(event, type, 'graph_update'),
    graph_id: (event.data['network'] as NetworkRow).id,
    update_kind: type === 'network_created' ? 'bulk' : `${subject}_${nodes + links < 0 ? 'delete' : 'add'}`,
    node_delta: nodes,
    edge_delta: links,
    source_module: 'network',
  };
}

const executorStates: Readonly<Record<string, string>> = {
  active: 'running',
  degraded: 'running',
  inactive: 'pending',
  unreachable: 'failed',
  retired: 'completed',
};

function nodeStatus(event: EventRow): ProtocolDocument {
  const nodeId = String(event.data['nodeId']);
  const states = event.data['nodeStatus'] as readonly string[] | undefined;
  return {
    ...envelope(event, 'node_status_changed', 'runtime_execution'),
    execution_id: nodeId,
    executor_kind: 'agent',
    status: executorStates[states?.at(-1) ?? ''] ?? 'running',
  };
}

function connection(event: EventRow, type: string, status: string): ProtocolDocument {
  return {
    ...envelope(event, type, 'runtime_execution'),
    execution_id: (event.data['connection'] as NetworkConnectionRow).id,
    executor_kind: 'external',
    status,
  };
}
