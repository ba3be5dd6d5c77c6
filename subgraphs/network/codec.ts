import { ConcurrentInsert, type ProtocolCodec, type ProtocolDocument } from '#shared/codec.ts';
import type { Principal } from '#shared/principal.ts';
import type { NetworkDocument } from '../../schema/protocol/index.ts';
import { findVerdicts } from './access.ts';
import { defaultConfig, requireUniqueNodes } from './creation.ts';
import { toDocument } from './document.ts';
import { networkEvent } from './events.ts';
import { observeNetwork } from './observability.ts';
import type { NetworkNodeRow, NetworkRow, NetworkStatusValue, NodeStatusValue } from './rows.ts';
import { findNetworks, findNodes, insertNetworks, insertNodes, read } from './store.ts';

/** Frozen networks in and out. They come without links: those are added by whoever works with them. */
export const networkCodec: ProtocolCodec = {
  async read(sql, tenantId, ids) {
    const rows = await findNetworks(sql, tenantId, ids);
    // Imports ask about ids that are new.
    if (rows.length === 0) return new Map();
    const nodes = await findNodes(sql, tenantId, ids);
    const nodesOf = Map.groupBy(nodes, ({ networkId }) => networkId);
    return new Map(rows.map((row) => [row.id, toDocument(row, nodesOf.get(row.id) ?? [])]));
  },

  async write(tx, principal, documents) {
    const imported = documents.map((document) => toRows(document as unknown as NetworkDocument, principal));
    try {
      await insertNetworks(
        tx,
        imported.map(({ network }) => network),
      );
    } catch (error) {
      // Someone stored one of the ids since the caller looked.
      if (typeof error === 'object' && error !== null && 'code' in error && error.code === '23505')
        throw new ConcurrentInsert();
      throw error;
    }
    await insertNodes(
      tx,
      imported.flatMap(({ nodes }) => nodes),
    );
    return imported.map(({ network, nodes }) => ({
      tenantId: principal.tenantId,
      actor: principal.subject,
      events: [networkEvent('network.created', network, { imported: true, nodes: nodes.length, links: 0 })],
      audit: [{ action: 'network.import', resource: 'Network', resourceId: network.id }],
    }));
  },

  async idsOfContext(sql, tenantId, contextId) {
    const rows = await read<{ id: string }>(
      sql,
      'SELECT id FROM network.network WHERE tenant_id = $1 AND context_id = $2 ORDER BY ordinal',
      [tenantId, contextId],
    );
    return rows.map(({ id }) => id);
  },

  async visibleTo(sql, principal, ids) {
    const verdicts = await findVerdicts(sql, principal, ids);
    return new Set(ids.filter((id) => verdicts.get(id) !== true));
  },

  observe: observeNetwork,
};

/** @throws {DUPLICATE_NODE}: the frozen form does not say that ids differ. */
function toRows(document: NetworkDocument, principal: Principal): { network: NetworkRow; nodes: NetworkNodeRow[] } {
  const given = document as unknown as ProtocolDocument;
  const now = new Date().toISOString();
  const { tenantId, subject } = principal;
  const nodes = (document.nodes ?? []).map(
    (node, place): NetworkNodeRow => ({
      ...{ tenantId, networkId: document.network_id, id: node.node_id, place },
      name: node.name ?? null,
      kind: node.kind,
      status: node.status as NodeStatusValue,
      roleId: node.role_id ?? null,
      ...{ function: null, agentId: null, capabilities: [], address: null, location: null, resources: null },
      ...{ failover: null, required: false, openConnections: 0, probe: null, protocol: null },
    }),
  );
  requireUniqueNodes(nodes, ['nodes']);
  const kept = Object.fromEntries(
    ['meta', 'governance', 'trace', 'events'].flatMap((name) =>
      given[name] === undefined ? [] : [[name, given[name]]],
    ),
  );
  const network: NetworkRow = {
    ...{ tenantId, id: document.network_id, contextId: document.context_id },
    name: document.name,
    description: document.description ?? null,
    topologyType: document.topology_type,
    layout: 'NONE',
    status: document.status as NetworkStatusValue,
    statusReason: null,
    config: defaultConfig,
    stats: {
      ...{ nodeCount: nodes.length, linkCount: 0, diameter: 0, components: nodes.length },
      ...{ vertexConnectivity: 0, routingTableSize: 0 },
    },
    alerts: [],
    protocol: { ...kept, ...(document.nodes === undefined ? {} : { hasNodes: true }) },
    ...{ approval: null, pending: null, refusal: null },
    ...{ structure: 1, version: 1, createdAt: now, createdBy: subject, updatedAt: now, updatedBy: subject },
  };
  return { network, nodes };
}
