import type { NewEvent } from '#shared/outbox.ts';
import type { SqlTransaction } from '#shared/sql.ts';
import { connectionEvent } from './events.ts';
import { touch } from './networkChanges.ts';
import type { NetworkRow } from './rows.ts';
import { findLinks, findNodes, findOpenConnections, read, saveConnections, saveLinks, saveNodes } from './store.ts';

/** What is nothing without a network in service. */
export const ownTables = ['heartbeat', 'service', 'circuit', 'bandwidth'] as const;

/** Closes all connections of a locked network, releases what they hold, ends services. */
export async function retire(
  tx: SqlTransaction,
  network: NetworkRow,
  { actor, reason }: { readonly actor: string; readonly reason: string | null },
): Promise<{ readonly row: NetworkRow; readonly events: readonly NewEvent[] }> {
  const { tenantId, id } = network;
  const now = new Date().toISOString();
  const [open, links, nodes] = await Promise.all([
    findOpenConnections(tx, tenantId, id),
    findLinks(tx, tenantId, [id]),
    findNodes(tx, tenantId, [id]),
  ]);
  const closed = open.map((connection) => ({
    ...connection,
    ...{ status: 'closed' as const, statusReason: 'the network is retired', backupReserved: false, waitUntil: null },
    ...{ version: connection.version + 1, updatedAt: now, closedAt: now },
  }));
  const nothing = { reservedRealTime: 0, reservedInteractive: 0, reservedBulk: 0, reservedManagement: 0 };
  await saveConnections(tx, closed);
  await saveLinks(
    tx,
    links.map((link) => ({ ...link, ...nothing, status: 'inactive' as const })),
  );
  await saveNodes(
    tx,
    nodes.map((node) => ({ ...node, status: 'retired' as const, openConnections: 0 })),
  );
  for (const table of ownTables)
    await tx.unsafe(`DELETE FROM network.${table} WHERE tenant_id = $1 AND network_id = $2`, [tenantId, id], {
      prepare: true,
    });
  const row = touch(network, actor, {
    ...{ status: 'retired', statusReason: reason, structure: network.structure + 1, pending: null, refusal: null },
  });
  return { row, events: closed.map((connection) => connectionEvent('connection.closed', row, connection)) };
}

/** What a retirement would end, in words for whoever is asked. */
export async function whatEnds(tx: SqlTransaction, { tenantId, id, stats }: NetworkRow): Promise<string> {
  const [found] = await read<{ connections: number; services: number }>(
    tx,
    `SELECT (SELECT count(*)::int FROM network.connection c WHERE c.tenant_id = $1 AND c.network_id = $2 AND c.closed_at IS NULL) AS connections,
       (SELECT count(*)::int FROM network.service s WHERE s.tenant_id = $1 AND s.network_id = $2) AS services`,
    [tenantId, id],
  );
  return `${stats.nodeCount} nodes, ${found!.connections} open connections and ${found!.services} services end with it`;
}
