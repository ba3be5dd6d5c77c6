import { PlatformError } from '#shared/errors.ts';
import type { NewEvent } from '#shared/outbox.ts';
import type { SqlTransaction } from '#shared/sql.ts';
import { isWithin } from './admission.ts';
import { connectionEvent } from './events.ts';
import { createReservations, reservedOf } from './reservations.ts';
import type { NetworkConnectionRow, NetworkRow } from './rows.ts';
import { findConnections, findLinks, saveConnections, saveLinks } from './store.ts';
import { withReserved } from './structure.ts';
import type { NetworkSnapshot } from './topologies.ts';
import { linkIdsOf, metricsOf, nodeIdsOf } from './topology.ts';

export interface RouteMove {
  readonly connection: NetworkConnectionRow;
  readonly arcs: readonly number[];
}

/**
 * Moves connections of a locked network onto the routes found for them, those whose new way keeps their limits, shares no link with their
 * reserved second way, and has the bandwidth left for their class. Who does not fit stays where it is.
 * @throws {CONFLICT} where the network or one of the connections has changed since.
 */
export async function applyRoutes(
  tx: SqlTransaction,
  network: NetworkRow,
  { snapshot, moved }: { readonly snapshot: NetworkSnapshot; readonly moved: readonly RouteMove[] },
): Promise<readonly NewEvent[]> {
  const { topology } = snapshot;
  const [current, links] = await Promise.all([
    findConnections(
      tx,
      network.tenantId,
      moved.map(({ connection }) => connection.id),
    ),
    findLinks(tx, network.tenantId, [network.id]),
  ]);
  const versions = new Map(current.map(({ id, version }) => [id, version]));
  if (
    network.structure !== snapshot.structure ||
    moved.some(({ connection }) => versions.get(connection.id) !== connection.version)
  )
    throw new PlatformError('CONFLICT', 'the network has changed since its routes were computed; compute them again', {
      path: ['input', 'networkId'],
    });
  const reservations = createReservations(topology.capacityKbps, reservedOf(links), network.config);
  const placesOf = (ids: readonly string[]) => ids.map((id) => topology.linkIndex.get(id)!);
  const linksOf = (arcs: readonly number[]) => arcs.map((arc) => topology.graph.link[arc]!);
  const now = new Date().toISOString();
  const rows: NetworkConnectionRow[] = [];
  const open = moved.filter(
    ({ connection, arcs }) =>
      isWithin(topology, arcs, connection.requirements) &&
      (!connection.backupReserved || linkIdsOf(topology, arcs).every((id) => !connection.backupLinkIds.includes(id))),
  );
  // One move at a time, each against what all others hold at that moment: nothing is ever past its limit. Moves that wait
  // for room others still hold are tried again as long as some succeed.
  for (let waiting = open; waiting.length > 0; ) {
    const left: RouteMove[] = [];
    for (const move of waiting) {
      const { connection, arcs } = move;
      const { trafficClass, bandwidthKbps } = connection;
      reservations.release(placesOf(connection.linkIds), trafficClass, bandwidthKbps);
      const fits = linksOf(arcs).every((link) => reservations.residual(link, trafficClass) >= bandwidthKbps);
      reservations.take(fits ? linksOf(arcs) : placesOf(connection.linkIds), trafficClass, bandwidthKbps);
      if (!fits) {
        left.push(move);
        continue;
      }
      rows.push({
        ...connection,
        linkIds: linkIdsOf(topology, arcs),
        nodeIds: nodeIdsOf(topology, arcs),
        ...(connection.backupReserved ? {} : { backupLinkIds: [], backupNodeIds: [] }),
        furtherBackups: [],
        predicted: metricsOf(topology, arcs),
        version: connection.version + 1,
        updatedAt: now,
      });
    }
    if (left.length === waiting.length) break;
    waiting = left;
  }
  await saveConnections(tx, rows);
  await saveLinks(
    tx,
    links.flatMap((link, at) => (reservations.changed.has(at) ? [withReserved(link, reservations, at)] : [])),
  );
  return rows.map((row) => connectionEvent('connection.rerouted', network, row, { optimized: true }));
}
