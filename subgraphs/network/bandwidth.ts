import { PlatformError } from '#shared/errors.ts';
import type { SqlTransaction } from '#shared/sql.ts';
import { capacityToKbps, classLimitKbps, reservedColumn, toMbps, usableKbps } from './reservations.ts';
import {
  type InfeasibilityValue,
  type NetworkConfigValue,
  type NetworkConnectionRow,
  type TrafficClass,
  trafficClasses,
} from './rows.ts';
import { read } from './store.ts';
import { holdsClause } from './waiting.ts';

/**
 * The total of a network is one more link that each connection passes: of it too the reserve stays free and a class takes its
 * share, with the burst while others leave theirs. A connection counts once, however many links hold its bandwidth; its
 * second way carries only in place of the first.
 */
const held = 'b.reserved_real_time + b.reserved_interactive + b.reserved_bulk + b.reserved_management';

/** Whether a network has a total at all. Whether it does is only sure under its lock. */
export const isBounded = ({ totalBandwidthMbps = 0 }: Pick<NetworkConfigValue, 'totalBandwidthMbps'>): boolean =>
  totalBandwidthMbps > 0;

interface Taken {
  readonly isTaken: boolean;
  /** What the class had left, kbps. */
  readonly left: number;
}

/** Takes the bandwidth of a connection out of the network's total, where that is bounded. @throws {INSUFFICIENT_BANDWIDTH} */
export async function takeOfTotal(tx: SqlTransaction, row: NetworkConnectionRow): Promise<void> {
  if (row.bandwidthKbps === 0) return;
  const column = reservedColumn[row.trafficClass];
  const [taken] = await read<Taken>(
    tx,
    `WITH b AS (
       SELECT b.tenant_id, b.network_id, least(b.usable_kbps - (${held}), (b.class_limits->>$3)::bigint - b.${column}) AS room
       FROM network.bandwidth b WHERE b.tenant_id = $1 AND b.network_id = $2 FOR UPDATE
     ), taken AS (
       UPDATE network.bandwidth t SET ${column} = t.${column} + $4::bigint FROM b
       WHERE t.tenant_id = b.tenant_id AND t.network_id = b.network_id AND b.room >= $4::bigint RETURNING 1
     )
     SELECT EXISTS (SELECT 1 FROM taken) AS "isTaken", greatest(b.room, 0)::float8 AS "left" FROM b`,
    [row.tenantId, row.networkId, row.trafficClass, row.bandwidthKbps],
  );
  if (taken === undefined || taken.isTaken) return;
  const [left, asked] = [toMbps(taken.left), toMbps(row.bandwidthKbps)];
  // No link stands in the way: the bound alone is the proof.
  const cut: InfeasibilityValue = {
    ...{ kind: 'TOTAL', linkIds: [], nodeIds: [], demands: [] },
    ...{ capacityMbps: left, demandedMbps: asked },
  };
  throw new PlatformError(
    'INSUFFICIENT_BANDWIDTH',
    `of what the network carries in all the class has ${left} Mbps left, expected ${asked}`,
    { path: ['input', 'requirements', 'bandwidthMbps'], details: { cut } },
  );
}

/** Gives back what connections of a network held of its total. */
export async function giveBackToTotal(
  tx: SqlTransaction,
  { tenantId, networkId }: Pick<NetworkConnectionRow, 'tenantId' | 'networkId'>,
  rows: readonly Pick<NetworkConnectionRow, 'trafficClass' | 'bandwidthKbps'>[],
): Promise<void> {
  const freed = trafficClasses.map((name) =>
    rows.reduce((sum, row) => sum + (row.trafficClass === name ? row.bandwidthKbps : 0), 0),
  );
  if (freed.every((kbps) => kbps === 0)) return;
  await tx.unsafe(
    `UPDATE network.bandwidth SET ${trafficClasses.map((name, at) => `${reservedColumn[name]} = ${reservedColumn[name]} - $${at + 3}::bigint`).join(', ')}
     WHERE tenant_id = $1 AND network_id = $2`,
    [tenantId, networkId, ...freed],
    { prepare: true },
  );
}

/**
 * Bounds the total of a network as its configuration says, under the network's lock; what its open connections hold is
 * counted anew.
 * @throws {CONFLICT} where they hold more than the new bounds allow.
 */
export async function boundTotal(
  tx: SqlTransaction,
  { tenantId, id }: { readonly tenantId: string; readonly id: string },
  config: NetworkConfigValue,
): Promise<void> {
  const totalKbps = capacityToKbps(config.totalBandwidthMbps ?? 0);
  if (totalKbps === 0) {
    await tx.unsafe('DELETE FROM network.bandwidth WHERE tenant_id = $1 AND network_id = $2', [tenantId, id], {
      prepare: true,
    });
    return;
  }
  const rows = await read<{ trafficClass: TrafficClass; kbps: number }>(
    tx,
    `SELECT c.traffic_class AS "trafficClass", sum(c.bandwidth_kbps)::float8 AS kbps FROM network.connection c
     WHERE c.tenant_id = $1 AND c.network_id = $2 AND ${holdsClause} GROUP BY 1`,
    [tenantId, id],
  );
  const heldBy = new Map(rows.map(({ trafficClass, kbps }) => [trafficClass, kbps]));
  const limits = Object.fromEntries(trafficClasses.map((name) => [name, classLimitKbps(totalKbps, config, name)]));
  const usable = usableKbps(totalKbps, config);
  const sum = [...heldBy.values()].reduce((total, kbps) => total + kbps, 0);
  if (sum > usable || trafficClasses.some((name) => (heldBy.get(name) ?? 0) > limits[name]!))
    throw new PlatformError('CONFLICT', `open connections hold ${toMbps(sum)} Mbps, more than the new total allows`, {
      path: ['patch', 'config', 'totalBandwidthMbps'],
      details: { heldMbps: toMbps(sum), usableMbps: toMbps(usable) },
    });
  await tx.unsafe(
    `INSERT INTO network.bandwidth (tenant_id, network_id, total_kbps, usable_kbps, class_limits, ${trafficClasses.map((name) => reservedColumn[name]).join(', ')})
     VALUES ($1, $2, $3::bigint, $4::bigint, $5::text::jsonb, $6::bigint, $7::bigint, $8::bigint, $9::bigint)
     ON CONFLICT (tenant_id, network_id) DO UPDATE SET total_kbps = EXCLUDED.total_kbps, usable_kbps = EXCLUDED.usable_kbps, class_limits = EXCLUDED.class_limits,
       ${trafficClasses.map((name) => `${reservedColumn[name]} = EXCLUDED.${reservedColumn[name]}`).join(', ')}`,
    [tenantId, id, totalKbps, usable, JSON.stringify(limits), ...trafficClasses.map((name) => heldBy.get(name) ?? 0)],
    { prepare: true },
  );
}

/** Kbps that a class could still take of the total; null where that is not bounded. */
export async function leftOfTotal(
  db: Parameters<typeof read>[0],
  { tenantId, networkId }: Pick<NetworkConnectionRow, 'tenantId' | 'networkId'>,
  trafficClass: TrafficClass,
): Promise<number | null> {
  const [row] = await read<{ room: number }>(
    db,
    `SELECT least(b.usable_kbps - (${held}), (b.class_limits->>$3)::bigint - b.${reservedColumn[trafficClass]})::float8 AS room
     FROM network.bandwidth b WHERE b.tenant_id = $1 AND b.network_id = $2`,
    [tenantId, networkId, trafficClass],
  );
  return row === undefined ? null : Math.max(0, row.room);
}
