import type { ProtocolDocument } from '#shared/codec.ts';
import { derivedId } from '#shared/derivedId.ts';
import type { EventRow } from '#shared/events.ts';
import { ownCapabilities } from './document.ts';
import type { RoleRow } from './rows.ts';

interface GraphChange {
  readonly type: string;
  readonly kind: 'node_add' | 'node_update' | 'edge_add' | 'edge_delete';
  readonly nodes?: number;
  readonly edges?: number;
  readonly payload?: Readonly<Record<string, unknown>>;
}

/**
 * The frozen observability events of a role's own events (family `graph_update`): the role as a node, each capability tag
 * as an edge to what it permits. Texts stay out.
 */
export function observeRole(event: EventRow): readonly ProtocolDocument[] {
  const role = event.data['role'] as RoleRow | undefined;
  const listed = (event.data['capabilities'] ?? []) as readonly string[];
  if (role === undefined) return [];
  switch (event.type) {
    case 'role.created': {
      const created = graphUpdate(event, role, { type: 'role_created', kind: 'node_add', nodes: 1 });
      const capabilities = ownCapabilities(role);
      return capabilities.length === 0 ? [created] : [created, granted(event, role, capabilities)];
    }
    case 'role.updated':
    case 'role.status.changed':
      return [graphUpdate(event, role, { type: 'role_updated', kind: 'node_update' })];
    case 'capability.granted':
      return [granted(event, role, listed)];
    case 'capability.revoked':
      return [
        graphUpdate(event, role, {
          type: 'capability_revoked',
          kind: 'edge_delete',
          edges: -listed.length,
          payload: { capabilities: listed },
        }),
      ];
    default:
      return [];
  }
}

function granted(event: EventRow, role: RoleRow, capabilities: readonly string[]): ProtocolDocument {
  return graphUpdate(event, role, {
    type: 'capability_granted',
    kind: 'edge_add',
    edges: capabilities.length,
    payload: { capabilities },
  });
}

function graphUpdate(event: EventRow, role: RoleRow, change: GraphChange): ProtocolDocument {
  return {
    event_id: derivedId(`${event.eventId}/${change.type}`),
    event_type: change.type,
    event_family: 'graph_update',
    timestamp: event.createdAt,
    graph_id: role.id,
    update_kind: change.kind,
    node_delta: change.nodes ?? 0,
    edge_delta: change.edges ?? 0,
    source_module: 'role',
    payload: { status: role.status, ...change.payload },
  };
}
