import type { NewEvent } from '#shared/outbox.ts';
import type { SqlTransaction } from '#shared/sql.ts';
import { isWithin } from './admission.ts';
import { connectionEvent } from './events.ts';
import { notActive } from './nodes.ts';
import { createReservations, type Reservations, reservedOf } from './reservations.ts';
import {
  changesOf,
  finite,
  liveMatrix,
  type Matrix,
  matrixHashOf,
  mostMoves,
  problemOf,
  unroutedOf,
} from './routeMatrix.ts';
import { type Candidate, type Choice, chooseMoves, type Room } from './routing/chooseMoves.ts';
import { leastHopMbps, measureRoutes } from './routing/measures.ts';
import type { RoutingGoals } from './routing/optimize.ts';
import type { Route } from './routing/problem.ts';
import type {
  NetworkConnectionRow,
  NetworkLinkRow,
  NetworkOptimizationRow,
  NetworkRow,
  OptimizationResult,
} from './rows.ts';
import { openStatuses } from './states.ts';
import { findLinks, saveConnections, saveLinks } from './store.ts';
import { withReserved } from './structure.ts';
import type { NetworkSnapshot, Topologies } from './topologies.ts';
import { arcsOf, avoiding, linkIdsOf, metricsOf, nodeIdsOf, type Topology } from './topology.ts';

export interface RouteMove {
  readonly connection: NetworkConnectionRow;
  readonly arcs: readonly number[];
}

interface Wanted {
  /** Its changes are the moves that are wanted. */
  readonly run: NetworkOptimizationRow;
  readonly goals: RoutingGoals;
  readonly limits: {
    readonly maxMoves?: number | null | undefined;
    readonly disruptionTolerance?: number | null | undefined;
  };
  readonly topologies: Topologies;
}

export interface JudgedMoves {
  /** Those that are to be made: none where there is a refusal. */
  readonly moves: readonly RouteMove[];
  /** Why nothing is made. */
  readonly refusal: string | null;
  /** The run's result, measured for the moves over all connections that are open now. */
  readonly result: OptimizationResult;
  /** Open connections that hold bandwidth. */
  readonly open: number;
  readonly topology: Topology;
  readonly links: readonly NetworkLinkRow[];
}

/**
 * What of a run's moves can be made in a locked network, and what that makes of it; nothing is stored. A move can be made
 * where its connection is open on the way it had, and the new way is up, leads over no circuit that has opened, keeps the
 * connection's limits, shares no link with its reserved second way and has the bandwidth left for its class. Of those as many
 * are made as make the network better by the goals of the run, for all connections that are open now.
 * @throws {NETWORK_NOT_ACTIVE}
 */
export async function judgeMoves(
  tx: SqlTransaction,
  network: NetworkRow,
  { run, goals, limits, topologies }: Wanted,
): Promise<JudgedMoves> {
  if (!openStatuses.includes(network.status)) throw notActive(network.status);
  // Under the network's lock its structure stays what is read here.
  const snapshot = (await topologies.find(tx, network.tenantId, network.id))!;
  const [matrix, links] = [
    await liveMatrix(tx, network.tenantId, snapshot),
    await findLinks(tx, network.tenantId, [network.id]),
  ];
  const { topology } = snapshot;
  const candidates = possible(snapshot, matrix, run.result);
  const problem = problemOf(snapshot, matrix);
  const choice = chooseMoves(problem, matrix.before!, {
    ...{ candidates, goals, most: mostMoves(limits, matrix.demands.length) },
    openRoom: () => createRoom(topology, matrix, reservationsOf(snapshot, links)),
  });
  const scale = leastHopMbps(problem);
  return {
    moves: choice.made.map(({ demand, route }) => ({ connection: matrix.connections![demand]!, arcs: route })),
    refusal: choice.made.length === 0 ? refusalOf(candidates) : null,
    result: {
      ...settled({ snapshot, matrix, choice }, run.result),
      before: finite(measureRoutes(problem, matrix.before!, scale)),
      after: finite(measureRoutes(problem, choice.routes, scale)),
    },
    open: matrix.demands.length,
    ...{ topology, links },
  };
}

/** Puts connections on the ways that were chosen under the same lock. */
export async function makeMoves(
  tx: SqlTransaction,
  network: NetworkRow,
  { moves, topology, links }: JudgedMoves,
): Promise<readonly NewEvent[]> {
  const reservations = reservationsOf({ topology, config: network.config }, links);
  const now = new Date().toISOString();
  const rows = moves.map(({ connection, arcs }): NetworkConnectionRow => {
    const { trafficClass, bandwidthKbps } = connection;
    reservations.release(placesOf(topology, connection.linkIds), trafficClass, bandwidthKbps);
    reservations.take(linksOf(topology, arcs), trafficClass, bandwidthKbps);
    return {
      ...connection,
      linkIds: linkIdsOf(topology, arcs),
      nodeIds: nodeIdsOf(topology, arcs),
      ...(connection.backupReserved ? {} : { backupLinkIds: [], backupNodeIds: [] }),
      furtherBackups: [],
      predicted: metricsOf(topology, arcs),
      version: connection.version + 1,
      updatedAt: now,
    };
  });
  await saveConnections(tx, rows);
  await saveLinks(
    tx,
    links.flatMap((link, at) => (reservations.changed.has(at) ? [withReserved(link, reservations, at)] : [])),
  );
  return rows.map((row) => connectionEvent('connection.rerouted', network, row, { optimized: true }));
}

const linksOf = ({ graph }: Topology, arcs: readonly number[]) => arcs.map((arc) => graph.link[arc]!);
/** Of links that are still there. */
const placesOf = ({ linkIndex }: Topology, ids: readonly string[]) =>
  ids.map((id) => linkIndex.get(id)).filter((link) => link !== undefined);

const reservationsOf = (
  { topology, config }: Pick<NetworkSnapshot, 'topology' | 'config'>,
  links: readonly NetworkLinkRow[],
) => createReservations(topology.capacityKbps, reservedOf(links), config);

/** Moves of connections that are open on the way they had then, onto ways that they may have now. */
function possible(
  snapshot: NetworkSnapshot,
  { connections }: Matrix,
  { changes }: OptimizationResult,
): readonly Candidate[] {
  const { topology } = snapshot;
  const around = avoiding(topology, new Set([...snapshot.blocked, ...snapshot.trials]));
  const places = new Map(connections!.map(({ id }, at) => [id, at]));
  return changes.flatMap(({ connectionId, oldPath, newPath }) => {
    const demand = connectionId === null ? undefined : places.get(connectionId);
    if (demand === undefined || newPath === null) return [];
    const connection = connections![demand]!;
    if (oldPath !== null && oldPath.join() !== connection.linkIds.join()) return [];
    const arcs = arcsOf(topology, newPath, [connection.sourceId]);
    const isOpen = arcs?.every((arc) => {
      const link = topology.graph.link[arc]!;
      const wasThere = connection.linkIds.includes(topology.linkIds[link]!);
      return topology.isLinkUp[link] === 1 && (wasThere || around.isLinkUp[link] === 1);
    });
    if (arcs === null || isOpen !== true || arcs.length === 0) return [];
    if (!isWithin(topology, arcs, connection.requirements)) return [];
    if (connection.backupReserved && newPath.some((id) => connection.backupLinkIds.includes(id))) return [];
    return [{ demand, route: arcs }];
  });
}

/**
 * What links have left for the classes. Connections move one at a time, each against what all others hold at that moment:
 * nothing is ever past its limit.
 */
function createRoom(topology: Topology, { connections }: Matrix, reservations: Reservations): Room {
  const heldBy = (demand: number, route: Route) =>
    // The way it has may no longer be one as a whole; what it holds of it counts all the same.
    route === null ? placesOf(topology, connections![demand]!.linkIds) : linksOf(topology, route);
  const swap = (demand: number, from: Route, to: Route) => {
    const { trafficClass, bandwidthKbps } = connections![demand]!;
    reservations.release(heldBy(demand, from), trafficClass, bandwidthKbps);
    reservations.take(heldBy(demand, to), trafficClass, bandwidthKbps);
  };
  return {
    move(demand, from, to) {
      const { trafficClass, bandwidthKbps } = connections![demand]!;
      reservations.release(heldBy(demand, from), trafficClass, bandwidthKbps);
      const fits = heldBy(demand, to).every((link) => reservations.residual(link, trafficClass) >= bandwidthKbps);
      reservations.take(heldBy(demand, fits ? to : from), trafficClass, bandwidthKbps);
      return fits;
    },
    undo: swap,
  };
}

interface Chosen {
  readonly snapshot: NetworkSnapshot;
  readonly matrix: Matrix;
  readonly choice: Choice;
}

/** Of a run's result what the moves that are made leave true: its bound is that of the matrix it was computed for. */
function settled({ snapshot, matrix, choice }: Chosen, result: OptimizationResult): OptimizationResult {
  const { lowerBound } = result;
  const { maxUtilization, unroutedDemands } = choice.after;
  const isSame = matrixHashOf(snapshot, matrix) === result.matrixHash;
  const moved = choice.made.map(({ demand }) => demand).sort((a, b) => a - b);
  const gap = lowerBound > 0 ? Math.max(0, maxUtilization / lowerBound - 1) : 0;
  return {
    ...result,
    gap: Number.isFinite(gap) ? gap : Number.MAX_VALUE,
    optimal: isSame && unroutedDemands === 0 && maxUtilization <= lowerBound * 1.001,
    changes: changesOf(snapshot, matrix, { moved, before: matrix.before!, routes: choice.routes }),
    unrouted: unroutedOf(snapshot, matrix, choice.routes),
    movesMade: moved.length,
    movesDropped: (result.movesDropped ?? 0) + result.changes.length - moved.length,
  };
}

const refusalOf = (candidates: readonly Candidate[]) =>
  `the network has changed since its routes were computed: ${
    candidates.length === 0 ? 'none of the moves can be made any more' : 'the moves that are left make it no better'
  }`;
