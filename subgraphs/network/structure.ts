import type { NewEvent } from '#shared/outbox.ts';
import type { SqlTransaction } from '#shared/sql.ts';
import { giveBackToTotal, isBounded } from './bandwidth.ts';
import { findOpenCircuits } from './circuits.ts';
import { connectionEvent } from './events.ts';
import { type RepairReport, repairConnections } from './repair.ts';
import { createReservations, type Reservations, reservedOf } from './reservations.ts';
import type { NetworkConnectionRow, NetworkLinkRow, NetworkNodeRow, NetworkRow } from './rows.ts';
import { countEnds, keepLostEnds, standIn } from './standIns.ts';
import { computedStatus, openStatuses } from './states.ts';
import { connectionColumns, read, saveConnections, saveLinks, saveNodes } from './store.ts';
import { createTopology, type Topology } from './topology.ts';

/** Nodes and links of a network as they are to be. */
export interface Structure {
  readonly nodes: readonly NetworkNodeRow[];
  readonly links: readonly NetworkLinkRow[];
}

export interface StructureChange {
  readonly network: NetworkRow;
  readonly before: Structure;
  readonly after: Structure;
  readonly now: string;
}

export interface Settled {
  /** Status by what is up now; the structure's number raised. */
  readonly network: Pick<NetworkRow, 'status' | 'statusReason' | 'structure'>;
  readonly report: RepairReport;
  readonly events: readonly NewEvent[];
}

/**
 * Writes a changed structure under the network's lock and puts right what it touches: connections over what is gone or down
 * are routed anew, to backup nodes where an end of theirs is, those that were degraded tried again, and the network's own status follows from what is up.
 */
export async function settleStructure(
  tx: SqlTransaction,
  { network, before, after, now }: StructureChange,
): Promise<Settled> {
  const { tenantId, id: networkId } = network;
  const topology = createTopology(after.nodes, after.links);
  const reservations = createReservations(topology.capacityKbps, reservedOf(after.links), network.config);
  const found = await findAffected(tx, network, before, topology);
  const blocked = found.length === 0 ? new Set<string>() : await findOpenCircuits(tx, network);
  const { connections: affected, originals } = standIn(topology, found, {
    ...{ before: before.nodes, after: after.nodes, blocked },
  });
  const repair = repairConnections({ topology, reservations, affected, blocked, now });
  const connections = keepLostEnds(repair.connections, originals);
  const ends = countEnds(connections, originals);
  const keptBefore = new Map(before.links.map((link) => [link.id, link]));
  const nodesBefore = new Map(before.nodes.map((node) => [node.id, node]));
  await saveLinks(
    tx,
    after.links
      .map((link, at) => (reservations.changed.has(at) ? withReserved(link, reservations, at) : link))
      .filter((link) => link !== keptBefore.get(link.id)),
  );
  await saveNodes(
    tx,
    after.nodes
      .map((node) => {
        const more = ends.get(node.id) ?? 0;
        return more === 0 ? node : { ...node, openConnections: Math.max(0, node.openConnections + more) };
      })
      .filter((node) => node !== nodesBefore.get(node.id)),
  );
  const [linkIds, nodeIds] = [new Set(topology.linkIds), new Set(topology.nodeIds)];
  await remove(
    tx,
    'link',
    network,
    before.links.filter(({ id }) => !linkIds.has(id)).map(({ id }) => id),
  );
  const goneNodes = before.nodes.filter(({ id }) => !nodeIds.has(id)).map(({ id }) => id);
  await remove(tx, 'node', network, goneNodes);
  if (goneNodes.length > 0) {
    await tx.unsafe(
      'DELETE FROM network.heartbeat WHERE tenant_id = $1 AND network_id = $2 AND node_id = ANY($3::uuid[])',
      [tenantId, networkId, goneNodes],
      { prepare: true },
    );
    await tx.unsafe(
      'DELETE FROM network.service WHERE tenant_id = $1 AND network_id = $2 AND provider_node_id = ANY($3::uuid[])',
      [tenantId, networkId, goneNodes],
      { prepare: true },
    );
    await tx.unsafe(
      'DELETE FROM network.circuit WHERE tenant_id = $1 AND network_id = $2 AND node_id = ANY($3::uuid[])',
      [tenantId, networkId, goneNodes],
      { prepare: true },
    );
  }
  await saveConnections(tx, connections);
  if (isBounded(network.config))
    await giveBackToTotal(
      tx,
      { tenantId, networkId },
      connections.filter(({ closedAt, waitUntil }) => closedAt !== null || waitUntil !== null),
    );
  const state = openStatuses.includes(network.status)
    ? computedStatus(after.nodes, topology)
    : { status: network.status, reason: network.statusReason };
  const { connections: _rows, ...report } = repair;
  return {
    network: { status: state.status, statusReason: state.reason, structure: network.structure + 1 },
    report: { ...report, avoidedNodes: report.avoidedNodes.filter((id) => topology.nodeIndex.has(id)) },
    events: connections.map((connection) =>
      connectionEvent(eventOf(connection, repair), network, connection, {
        failover: report.switched.includes(connection.id),
        ...(report.avoidedNodes.length > 0 && {
          avoidedNodes: report.avoidedNodes,
          overOpenCircuit: report.overOpenCircuits.includes(connection.id),
        }),
      }),
    ),
  };
}

/** Open connections over what is no longer up, by way or reserved second way, and those that were degraded. */
async function findAffected(
  tx: SqlTransaction,
  { tenantId, id }: NetworkRow,
  before: Structure,
  topology: Topology,
): Promise<NetworkConnectionRow[]> {
  const down = before.links
    .filter((link) => {
      const at = topology.linkIndex.get(link.id);
      return at === undefined || topology.isLinkUp[at] === 0;
    })
    .map((link) => link.id);
  return read<NetworkConnectionRow>(
    tx,
    `SELECT ${connectionColumns} FROM network.connection c WHERE c.tenant_id = $1 AND c.network_id = $2 AND c.closed_at IS NULL
       AND (c.link_ids && $3::uuid[] OR (c.backup_reserved AND c.backup_link_ids && $3::uuid[]) OR c.status = 'degraded')
     ORDER BY c.priority DESC, c.created_at, c.id`,
    [tenantId, id, down],
  );
}

export function withReserved(link: NetworkLinkRow, reservations: Reservations, at: number): NetworkLinkRow {
  const reserved = reservations.of(at);
  return {
    ...link,
    reservedRealTime: reserved.real_time,
    reservedInteractive: reserved.interactive,
    reservedBulk: reserved.bulk,
    reservedManagement: reserved.management,
  };
}

function eventOf({ id, status }: NetworkConnectionRow, report: RepairReport): string {
  if (report.lost.includes(id)) return 'connection.lost';
  if (status === 'rerouting') return 'connection.rerouting';
  if (status === 'degraded') return 'connection.degraded';
  return report.switched.includes(id) || report.rerouted.includes(id) ? 'connection.rerouted' : 'connection.restored';
}

async function remove(
  tx: SqlTransaction,
  table: 'node' | 'link',
  { tenantId, id }: NetworkRow,
  ids: readonly string[],
): Promise<void> {
  if (ids.length === 0) return;
  await tx.unsafe(
    `DELETE FROM network.${table} WHERE tenant_id = $1 AND network_id = $2 AND id = ANY($3::uuid[])`,
    [tenantId, id, ids as string[]],
    { prepare: true },
  );
}
