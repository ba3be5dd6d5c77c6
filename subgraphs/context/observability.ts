import type { ProtocolDocument } from '#shared/codec.ts';
import { derivedId } from '#shared/derivedId.ts';
import type { EventRow } from '#shared/events.ts';

type Kind = 'node_add' | 'node_update' | 'node_delete';

const nodeDeltas: Readonly<Record<Kind, number>> = { node_add: 1, node_update: 0, node_delete: -1 };

/**
 * The frozen observability events of a context's own events, under the names of the module-event matrix: the context as
 * a node of its graph (`graph_update`), what changes in the world that it stands for (its status, its shared state), and
 * the taking over of one that was made elsewhere (`import_process`). What is refused at the door leaves no event.
 */
export function observeContext(event: EventRow): readonly ProtocolDocument[] {
  switch (event.type) {
    case 'context.created': {
      const created = graphUpdate(event, 'context_created', 'node_add');
      const { imported } = (event.data['changes'] ?? {}) as { readonly imported?: boolean };
      if (imported !== true) return [created];
      return [importStep(event, 'import_started'), created, importStep(event, 'import_completed')];
    }
    case 'context.restored':
      return [graphUpdate(event, 'context_created', 'node_add')];
    case 'context.updated':
      return [graphUpdate(event, 'context_updated', 'node_update')];
    case 'context.deleted':
      return [graphUpdate(event, 'context_deleted', 'node_delete')];
    case 'context.state.changed':
    case 'context.state.sync':
      return [graphUpdate(event, 'world_state_changed', 'node_update')];
    default:
      return [];
  }
}

function graphUpdate(event: EventRow, type: string, kind: Kind): ProtocolDocument {
  return {
    ...envelope(event, type, 'graph_update'),
    graph_id: event.streamId,
    update_kind: kind,
    node_delta: nodeDeltas[kind],
    edge_delta: 0,
    source_module: 'context',
  };
}

function importStep(event: EventRow, type: string): ProtocolDocument {
  return { ...envelope(event, type, 'import_process'), payload: { context_id: event.streamId } };
}

function envelope(event: EventRow, type: string, family: string): ProtocolDocument {
  return {
    event_id: derivedId(`${event.eventId}/${type}`),
    event_type: type,
    event_family: family,
    timestamp: event.createdAt,
    project_id: event.streamId,
  };
}
