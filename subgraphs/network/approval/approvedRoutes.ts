import { PlatformError } from '#shared/errors.ts';
import type { NewEvent } from '#shared/outbox.ts';
import type { SqlTransaction } from '#shared/sql.ts';
import { applyRoutes, type RouteMove } from '../applyRoutes.ts';
import { notActive } from '../nodes.ts';
import { capacityOf, liveMatrix, type Matrix } from '../routeMatrix.ts';
import { measureRoutes } from '../routing/measures.ts';
import { createScore, type RoutingGoals } from '../routing/optimize.ts';
import type { Route } from '../routing/problem.ts';
import type { NetworkOptimizationRow, NetworkRow } from '../rows.ts';
import { openStatuses } from '../states.ts';
import type { NetworkSnapshot, Topologies } from '../topologies.ts';
import { arcsOf, avoiding } from '../topology.ts';

interface Approved {
  readonly run: NetworkOptimizationRow;
  readonly goals: RoutingGoals;
  readonly topologies: Topologies;
}

const changed = (what: string) =>
  new PlatformError('CONFLICT', `the network has changed since its routes were computed: ${what}`, {
    path: ['networkId'],
  });

/**
 * Moves connections of a locked network as it was approved, as far as it can still be done: those that are open on the way
 * they had then, onto ways that are up and over no circuit that has opened. What is left has to be better by the goals of
 * the run for the connections that are open now, as it was for those of then.
 * @throws {NETWORK_NOT_ACTIVE} {CONFLICT}
 */
export async function applyApproved(
  tx: SqlTransaction,
  network: NetworkRow,
  { run, goals, topologies }: Approved,
): Promise<readonly NewEvent[]> {
  if (!openStatuses.includes(network.status)) throw notActive(network.status);
  // Under the network's lock its structure stays what is read here.
  const snapshot = (await topologies.find(tx, network.tenantId, network.id))!;
  const matrix = await liveMatrix(tx, network.tenantId, snapshot);
  const { routes, moved } = movesLeft(snapshot, matrix, run);
  if (moved.length === 0) throw changed('none of the moves can be made any more');
  const { graph, latencyMs, costPerGb } = snapshot.topology;
  const { demands } = matrix;
  const problem = { graph, latencyMs, costPerGb, demands, capacity: capacityOf(snapshot, matrix) };
  const before = measureRoutes(problem, matrix.before!, 0);
  const after = measureRoutes(problem, routes, 0);
  const scoreOf = createScore(goals, before);
  if (after.unroutedMbps > before.unroutedMbps || !(scoreOf(after) < scoreOf(before)))
    throw changed('the moves that are left make it no better');
  const events = await applyRoutes(tx, network, { snapshot, moved });
  if (events.length === 0) throw changed('no link has the bandwidth left');
  return events;
}

function movesLeft(snapshot: NetworkSnapshot, { before, connections }: Matrix, { result }: NetworkOptimizationRow) {
  const { topology } = snapshot;
  const around = avoiding(topology, new Set([...snapshot.blocked, ...snapshot.trials]));
  const places = new Map(connections!.map(({ id }, at) => [id, at]));
  const routes: Route[] = [...before!];
  const moved: RouteMove[] = [];
  for (const { connectionId, oldPath, newPath } of result.changes) {
    const at = connectionId === null ? undefined : places.get(connectionId);
    const connection = at === undefined ? undefined : connections![at];
    if (at === undefined || connection === undefined || newPath === null) continue;
    if (oldPath !== null && oldPath.join() !== connection.linkIds.join()) continue;
    const arcs = arcsOf(topology, newPath, [connection.sourceId]);
    const isOpen = arcs?.every((arc) => {
      const link = topology.graph.link[arc]!;
      const wasThere = connection.linkIds.includes(topology.linkIds[link]!);
      return topology.isLinkUp[link] === 1 && (wasThere || around.isLinkUp[link] === 1);
    });
    if (arcs === null || isOpen !== true || arcs.length === 0) continue;
    routes[at] = arcs;
    moved.push({ connection, arcs });
  }
  return { routes, moved };
}
