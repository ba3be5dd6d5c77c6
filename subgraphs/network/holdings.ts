import { PlatformError } from '#shared/errors.ts';
import type { SqlTransaction } from '#shared/sql.ts';
import { classLimitKbps, reservedColumn, usableKbps } from './reservations.ts';
import type { NetworkConnectionRow } from './rows.ts';
import { read } from './store.ts';
import type { NetworkSnapshot } from './topologies.ts';
import type { Topology } from './topology.ts';

/** Others took what a way needed between its choice and its reservation, or the network changed. */
export class Outrun extends Error {}

/** Takes the bandwidth on every link of both ways, locked in the order of their ids, or on none. @throws {Outrun} */
export async function reserve(
  tx: SqlTransaction,
  { topology, config }: NetworkSnapshot,
  row: NetworkConnectionRow,
): Promise<void> {
  const ids = heldLinks(row);
  if (row.bandwidthKbps === 0 || ids.length === 0) return;
  const column = reservedColumn[row.trafficClass];
  const limits = ids.map((id) => topology.capacityKbps[topology.linkIndex.get(id)!]!);
  const taken = await read(
    tx,
    `WITH locked AS (SELECT l.id FROM network.link l WHERE l.tenant_id = $1 AND l.id = ANY($2::uuid[]) ORDER BY l.id FOR UPDATE)
     UPDATE network.link l SET ${column} = l.${column} + $4::bigint
     FROM unnest($2::uuid[], $3::bigint[], $5::bigint[]) AS k(id, class_limit, usable)
     WHERE l.tenant_id = $1 AND l.id = k.id AND EXISTS (SELECT 1 FROM locked WHERE locked.id = l.id) AND l.${column} + $4::bigint <= k.class_limit
       AND l.reserved_real_time + l.reserved_interactive + l.reserved_bulk + l.reserved_management + $4::bigint <= k.usable
     RETURNING l.id`,
    [
      row.tenantId,
      ids,
      limits.map((kbps) => classLimitKbps(kbps, config, row.trafficClass)),
      row.bandwidthKbps,
      limits.map((kbps) => usableKbps(kbps, config)),
    ],
  );
  if (taken.length !== ids.length) throw new Outrun();
}

/** @throws {MAX_CONNECTIONS} */
export async function countAtEnds(
  tx: SqlTransaction,
  topology: Topology,
  row: NetworkConnectionRow,
  by: number,
): Promise<void> {
  const ends = [row.sourceId, row.targetId].sort();
  const limits = ends.map((id) => topology.maxConnections[topology.nodeIndex.get(id)!]!);
  const counted = await read(
    tx,
    `WITH locked AS (SELECT d.id FROM network.node d WHERE d.tenant_id = $1 AND d.network_id = $2 AND d.id = ANY($3::uuid[]) ORDER BY d.id FOR UPDATE)
     UPDATE network.node d SET open_connections = d.open_connections + $5::int
     FROM unnest($3::uuid[], $4::bigint[]) AS k(id, most) WHERE d.tenant_id = $1 AND d.network_id = $2 AND d.id = k.id AND EXISTS (SELECT 1 FROM locked WHERE locked.id = d.id)
       AND d.open_connections + $5::int <= k.most RETURNING d.id`,
    [row.tenantId, row.networkId, ends, limits.map((most) => (Number.isFinite(most) ? most : 1_000_000_000)), by],
  );
  if (counted.length !== ends.length)
    throw new PlatformError('MAX_CONNECTIONS', 'one of the two nodes holds its maximum of connections', {
      path: ['input'],
    });
}

/** Links on which a connection holds its bandwidth. */
export const heldLinks = (row: NetworkConnectionRow) => [
  ...row.linkIds,
  ...(row.backupReserved ? row.backupLinkIds : []),
];

/** Gives back what a connection holds. */
export async function release(tx: SqlTransaction, row: NetworkConnectionRow): Promise<void> {
  if (row.bandwidthKbps === 0) return;
  const column = reservedColumn[row.trafficClass];
  const ids = heldLinks(row);
  await tx.unsafe(
    'SELECT 1 FROM network.link WHERE tenant_id = $1 AND id = ANY($2::uuid[]) ORDER BY id FOR UPDATE',
    [row.tenantId, ids],
    { prepare: true },
  );
  await tx.unsafe(
    `UPDATE network.link SET ${column} = ${column} - $3::bigint WHERE tenant_id = $1 AND id = ANY($2::uuid[])`,
    [row.tenantId, ids, row.bandwidthKbps],
    { prepare: true },
  );
}
