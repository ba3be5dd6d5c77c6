import type { ProtocolDocument } from '#shared/codec.ts';
import { derivedId } from '#shared/derivedId.ts';
import type { EventRow } from '#shared/events.ts';

const goalPrefix = 'goals.';

type Kind = 'node_add' | 'node_update' | 'node_delete';

const nodeDeltas: Readonly<Record<Kind, number>> = { node_add: 1, node_update: 0, node_delete: -1 };

/**
 * The frozen observability events of a context's own events, under the names of the module-event matrix: the context as
 * a node of its graph (`graph_update`), what changes in the world that it stands for (its status, its shared state), the
 * taking over of one that was made elsewhere (`import_process`), and the goals that are set for it (`intent`). Texts stay
 * out. What is refused at the door leaves no event: nothing of it is stored.
 */
export function observeContext(event: EventRow): readonly ProtocolDocument[] {
  switch (event.type) {
    case 'context.created': {
      const created = graphUpdate(event, 'context_created', 'node_add');
      const { imported } = (event.data['changes'] ?? {}) as { readonly imported?: boolean };
      if (imported !== true) return [created, ...intents(event)];
      return [importStep(event, 'import_started'), created, importStep(event, 'import_completed')];
    }
    case 'context.restored':
      return [graphUpdate(event, 'context_created', 'node_add')];
    case 'context.updated':
      return [graphUpdate(event, 'context_updated', 'node_update')];
    case 'context.deleted':
      return [graphUpdate(event, 'context_deleted', 'node_delete')];
    case 'context.state.changed':
      return [graphUpdate(event, 'world_state_changed', 'node_update')];
    case 'context.state.sync':
      return [graphUpdate(event, 'world_state_changed', 'node_update'), ...intents(event)];
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

/** Goals that somebody wants reached from now on; what becomes of one is no intent. */
function intents(event: EventRow): readonly ProtocolDocument[] {
  const changes = (event.data['changes'] ?? {}) as Readonly<Record<string, unknown>>;
  return Object.entries(changes).flatMap(([key, value]) => {
    if (!key.startsWith(goalPrefix) || typeof value !== 'object' || value === null) return [];
    const { status = 'defined', priority } = value as { readonly status?: string; readonly priority?: string };
    if (status !== 'defined' && status !== 'active') return [];
    const payload = { context_id: event.streamId, goal_id: key.slice(goalPrefix.length), status };
    const received = { ...payload, ...(priority === undefined ? {} : { priority }) };
    return [{ ...envelope(event, 'context_intent_received', 'intent', key), payload: received }];
  });
}

/** @param part what tells several of a type apart that one event makes */
function envelope(event: EventRow, type: string, family: string, part = ''): ProtocolDocument {
  return {
    event_id: derivedId(`${event.eventId}/${type}${part}`),
    event_type: type,
    event_family: family,
    timestamp: event.createdAt,
    project_id: event.streamId,
  };
}
