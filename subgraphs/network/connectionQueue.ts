import { PlatformError } from '#shared/errors.ts';
import type { SqlTransaction } from '#shared/sql.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import { findWay } from './admission.ts';
import { isBounded, takeOfTotal } from './bandwidth.ts';
import { claimTrials } from './circuits.ts';
import type { Commands } from './commands.ts';
import { requireUnchanged, waysOf } from './connections.ts';
import { defaultCircuit } from './detection/circuit.ts';
import { connectionEvent } from './events.ts';
import { furtherWays } from './furtherWays.ts';
import { countAtEnds, heldLinks, Outrun, reserve } from './holdings.ts';
import { furtherCount, type Placed, place } from './repair.ts';
import { createReservations } from './reservations.ts';
import type { NetworkConnectionRow } from './rows.ts';
import { openStatuses } from './states.ts';
import { connectionColumns, findNetworks, read, saveConnections } from './store.ts';
import type { NetworkSnapshot, Topologies } from './topologies.ts';
import { avoiding, metricsOf } from './topology.ts';
import { mayMove } from './waiting.ts';

/** Connections that one look goes through at most, the more urgent first. */
const maxLook = 500;

type Waiting = NetworkConnectionRow & { readonly isOver: boolean };
/** With its way, and what it is on it. */
type Found = NetworkConnectionRow & { readonly to: Placed['status'] };

/** Connections that wait: put on a way as soon as there is one, failed when their time is over. */
export function createConnectionQueue(
  { sql }: ModuleRuntime,
  { commands, topologies }: { readonly commands: Commands; readonly topologies: Topologies },
) {
  /** @throws {Outrun} where it no longer is what it was. */
  async function lock(tx: SqlTransaction, { tenantId, id, version }: NetworkConnectionRow): Promise<void> {
    const [row] = await read<{ version: number }>(
      tx,
      'SELECT version FROM network.connection WHERE tenant_id = $1 AND id = $2 AND wait_until IS NOT NULL FOR UPDATE',
      [tenantId, id],
    );
    if (row?.version !== version) throw new Outrun();
  }

  /** To another status of its waiting, or to its end; the network before the connection, as everywhere. */
  async function move(
    { isOver: _over, ...row }: Waiting,
    type: string,
    changes: Partial<NetworkConnectionRow> & Pick<NetworkConnectionRow, 'status'>,
  ): Promise<NetworkConnectionRow> {
    if (!mayMove(row.status, changes.status)) throw new Error(`${row.status} does not lead to ${changes.status}`);
    return commands.runAs(row.tenantId, 'system', async (tx) => {
      await tx.unsafe('SELECT 1 FROM network.network WHERE tenant_id = $1 AND id = $2 FOR SHARE', [
        row.tenantId,
        row.networkId,
      ]);
      await lock(tx, row);
      const after = { ...row, ...changes, version: row.version + 1, updatedAt: new Date().toISOString() };
      await saveConnections(tx, [after]);
      const [network] = await findNetworks(tx, row.tenantId, [row.networkId]);
      return { response: after, events: [connectionEvent(type, network!, after)] };
    });
  }

  function wayOf(row: Waiting, snapshot: NetworkSnapshot): Found | null {
    const topology = avoiding(snapshot.topology, snapshot.blocked);
    const [source, target] = [topology.nodeIndex.get(row.sourceId), topology.nodeIndex.get(row.targetId)];
    if (source === undefined || target === undefined) return null;
    if (topology.isNodeUp[source] === 0 || topology.isNodeUp[target] === 0) return null;
    const { requirements, bandwidthKbps, trafficClass } = row;
    const reservations = createReservations(topology.capacityKbps, snapshot.reserved, snapshot.config);
    const request = { source, target, requirements, bandwidthKbps, trafficClass };
    const found = row.status === 'rerouting' ? placeAgain() : placeWhole();
    if (found === null) return null;
    const { way } = found;
    const { isOver: _over, ...own } = row;
    return {
      ...own,
      statusReason: found.reason,
      ...waysOf(topology, way, requirements),
      furtherBackups: furtherWays(topology, reservations, request, {
        ...{ beside: [way.arcs, ...(way.backup ? [way.backup] : [])], count: furtherCount(requirements) },
      }),
      predicted: metricsOf(topology, way.arcs),
      to: found.status,
    };

    function placeWhole(): Placed | null {
      const admission = findWay(topology, reservations, request);
      return admission.kind === 'way' ? { status: 'established', reason: null, way: admission.way } : null;
    }

    /** Who had a way takes one that keeps less, as when it lost its own. */
    function placeAgain(): Placed | null {
      return place({ topology: snapshot.topology, around: topology }, reservations, row, null);
    }
  }

  /** Reserves a way that was found. @throws {Outrun} {INSUFFICIENT_BANDWIDTH} {MAX_CONNECTIONS} where it is gone meanwhile */
  async function open({ to, ...found }: Found, snapshot: NetworkSnapshot): Promise<void> {
    if (!mayMove(found.status, to)) throw new Error(`${found.status} does not lead to ${to}`);
    const { config } = snapshot;
    const now = new Date().toISOString();
    const row: NetworkConnectionRow = {
      ...found,
      ...{ status: to, waitUntil: null, version: found.version + 1, updatedAt: now },
    };
    const trials = row.nodeIds.filter((id) => snapshot.trials.has(id));
    const type = found.status === 'rerouting' ? 'connection.rerouted' : 'connection.established';
    await commands.runAs(row.tenantId, 'system', async (tx) => {
      await requireUnchanged(tx, snapshot, row.tenantId);
      await lock(tx, found);
      await reserve(tx, snapshot, row);
      await countAtEnds(tx, snapshot.topology, row, 1);
      await saveConnections(tx, [row]);
      await claimTrials(tx, row, trials, (config.circuit ?? defaultCircuit).openMs);
      if (isBounded(config)) await takeOfTotal(tx, row);
      return {
        response: null,
        events: [connectionEvent(type, { id: row.networkId, contextId: snapshot.contextId }, row)],
      };
    });
    topologies.addReserved(row, row.trafficClass, heldLinks(row), row.bandwidthKbps);
  }

  async function look(waiting: Waiting): Promise<void> {
    const { tenantId, networkId } = waiting;
    if (waiting.isOver) {
      const statusReason = waiting.statusReason ?? 'no way was found in time';
      const closedAt = new Date().toISOString();
      await move(waiting, 'connection.lost', { status: 'failed', statusReason, closedAt, waitUntil: null });
      return;
    }
    const snapshot = await topologies.find(sql, tenantId, networkId);
    if (!snapshot || !openStatuses.includes(snapshot.status)) return;
    if (snapshot.openConnections >= snapshot.config.maxConnections) return;
    const found = wayOf(waiting, snapshot);
    if (found === null) return;
    if (waiting.status !== 'requested') return open(found, snapshot);
    const { version, updatedAt, status } = await move(waiting, 'connection.establishing', { status: 'establishing' });
    await open({ ...found, version, updatedAt, status }, snapshot);
  }

  return {
    /** Goes through what waits; answers how many do. Two processes that do so at once get none of it twice. */
    async sweep(): Promise<number> {
      const rows = await read<Waiting>(
        sql,
        `SELECT ${connectionColumns}, c.wait_until <= now() AS "isOver" FROM network.connection c WHERE c.wait_until IS NOT NULL
         ORDER BY c.priority DESC, c.created_at, c.id LIMIT ${maxLook}`,
        [],
      );
      for (const row of rows)
        try {
          await look(row);
        } catch (error) {
          // Others were there first: it waits on.
          if (!(error instanceof Outrun) && !(error instanceof PlatformError)) throw error;
        }
      return rows.length;
    },
  };
}
