import { findWay, isWithin, type Way, type WayRequest } from './admission.ts';
import { besideWays, furtherWays } from './furtherWays.ts';
import type { Reservations } from './reservations.ts';
import type { ConnectionStatusValue, NetworkConnectionRow } from './rows.ts';
import { arcsOf, avoiding, linkIdsOf, metricsOf, nodeIdsOf, type Topology } from './topology.ts';
import { noWays } from './waiting.ts';

/** What became of connections when the network under them changed, by id. */
export interface RepairReport {
  /** On their reserved backup now. */
  readonly switched: readonly string[];
  readonly rerouted: readonly string[];
  readonly degraded: readonly string[];
  readonly lost: readonly string[];
  /** Nodes whose circuits are open, which were kept away from. */
  readonly avoidedNodes: readonly string[];
  /** On a way over such a node, since no other keeps as much of what was asked for. */
  readonly overOpenCircuits: readonly string[];
}

export interface Repair extends RepairReport {
  /** Rows to store. */
  readonly connections: readonly NetworkConnectionRow[];
}

export interface RepairInput {
  /** As the network is now. */
  readonly topology: Topology;
  /** What all connections hold, those affected too; what they hold afterwards when it returns. */
  readonly reservations: Reservations;
  /** Connections with a link that is gone or down, or degraded before; the more urgent first. */
  readonly affected: readonly NetworkConnectionRow[];
  /** Nodes whose circuits are open: what is put elsewhere goes around them where that costs it nothing it asked for. @default none */
  readonly blocked?: ReadonlySet<string>;
  readonly now: string;
}

interface Open {
  readonly row: NetworkConnectionRow;
  /** Null where the way no longer holds. */
  readonly arcs: readonly number[] | null;
  readonly backup: readonly number[] | null;
}

/**
 * Puts connections on ways that hold: first those with a reserved backup onto it, at no search, then all others in their
 * order over what is left, each with all limits kept if it can be, without its second way if not, without its limits at
 * the least; of ways that keep as much, one around nodes whose circuits are open. Who finds no way with its bandwidth, or
 * has lost an end, has failed, or waits for another way as long as it asked for.
 */
export function repairConnections({ topology, reservations, affected, blocked = noNodes, now }: RepairInput): Repair {
  const rows: NetworkConnectionRow[] = [];
  const report = { switched: [] as string[], rerouted: [] as string[], degraded: [] as string[], lost: [] as string[] };
  const overOpenCircuits: string[] = [];
  const around = createDetours(topology, blocked);
  const held = (ids: readonly string[]) =>
    ids.map((id) => topology.linkIndex.get(id)).filter((link) => link !== undefined);
  const release = ({ linkIds, backupLinkIds, backupReserved, trafficClass, bandwidthKbps }: NetworkConnectionRow) => {
    reservations.release(held(linkIds), trafficClass, bandwidthKbps);
    if (backupReserved) reservations.release(held(backupLinkIds), trafficClass, bandwidthKbps);
  };
  const open = affected.map(
    (row): Open => ({
      row,
      arcs: standing(topology, row.linkIds, row.nodeIds),
      backup: row.backupReserved ? standing(topology, row.backupLinkIds, row.backupNodeIds) : null,
    }),
  );
  const linksOf = (arcs: readonly number[]) => arcs.map((arc) => topology.graph.link[arc]!);
  /** Of two ways that both keep the limits the one around open circuits is used, the other reserved. */
  const inOrder = (row: NetworkConnectionRow, { arcs, backup }: Omit<Way, 'metrics'>): Omit<Way, 'metrics'> =>
    row.requirements.failoverSupport &&
    backup !== null &&
    passes(topology, arcs, blocked, row) &&
    !passes(topology, backup, blocked, row) &&
    isWithin(topology, backup, row.requirements)
      ? { arcs: backup, backup: arcs }
      : { arcs, backup };
  const keep = (row: NetworkConnectionRow, given: Omit<Way, 'metrics'>, found: Found) => {
    const { trafficClass, bandwidthKbps } = row;
    const way = inOrder(row, given);
    const second = isSecondTold(row.requirements) ? way.backup : null;
    const holdsBackup = row.requirements.failoverSupport && way.backup !== null && found.status === 'established';
    if (passes(topology, way.arcs, blocked, row)) overOpenCircuits.push(row.id);
    reservations.take(linksOf(way.arcs), trafficClass, bandwidthKbps);
    if (holdsBackup) reservations.take(linksOf(way.backup!), trafficClass, bandwidthKbps);
    rows.push({
      ...row,
      status: found.status,
      statusReason: found.reason,
      linkIds: linkIdsOf(topology, way.arcs),
      nodeIds: nodeIdsOf(topology, way.arcs),
      backupLinkIds: linkIdsOf(topology, second ?? []),
      backupNodeIds: nodeIdsOf(topology, second ?? []),
      backupReserved: holdsBackup,
      furtherBackups: furtherWays(around(row), reservations, wayRequestOf(topology, row), {
        ...{ beside: [way.arcs, ...(way.backup ? [way.backup] : [])], count: furtherCount(row.requirements) },
      }),
      predicted: metricsOf(topology, way.arcs),
      version: row.version + 1,
      updatedAt: now,
    });
  };

  const switching = open.filter(({ arcs, backup }) => arcs === null && backup !== null);
  const others = open.filter((entry) => !switching.includes(entry));
  // Whoever moves onto its backup keeps it: nobody else may take it meanwhile.
  for (const { row } of switching) reservations.release(held(row.linkIds), row.trafficClass, row.bandwidthKbps);
  for (const { row } of others) release(row);
  for (const { row, backup } of switching) {
    reservations.release(linksOf(backup!), row.trafficClass, row.bandwidthKbps);
    const detour = passes(topology, backup!, blocked, row)
      ? findWay(around(row), reservations, wayRequestOf(topology, row))
      : null;
    if (detour?.kind === 'way') {
      keep(row, detour.way, established);
      report.rerouted.push(row.id);
      continue;
    }
    const second =
      secondBeside(around(row), reservations, row, backup!) ?? secondBeside(topology, reservations, row, backup!);
    keep(row, { arcs: backup!, backup: second }, second === null ? noSecond : established);
    (second === null ? report.degraded : report.switched).push(row.id);
    if (second === null) report.switched.push(row.id);
  }
  for (const { row, arcs } of others) {
    const source = topology.nodeIndex.get(row.sourceId);
    const target = topology.nodeIndex.get(row.targetId);
    const areEndsUp = [source, target].every((node) => node !== undefined && topology.isNodeUp[node] === 1);
    const found = areEndsUp ? place({ topology, around: around(row) }, reservations, row, arcs) : null;
    const waitMs = row.requirements.rerouteMs ?? 0;
    if (found === null && waitMs > 0) {
      const reason = areEndsUp ? 'no way with its bandwidth is left' : 'an end is down';
      const waitUntil = new Date(Date.parse(now) + waitMs).toISOString();
      rows.push({
        ...{ ...row, ...noWays, status: 'rerouting', statusReason: reason, waitUntil },
        ...{ version: row.version + 1, updatedAt: now },
      });
      continue;
    }
    if (found === null) {
      rows.push({
        ...row,
        status: 'failed',
        statusReason: areEndsUp ? 'no way with its bandwidth is left' : 'an end is down',
        ...{ backupReserved: false, furtherBackups: [] },
        version: row.version + 1,
        updatedAt: now,
        closedAt: now,
      });
      report.lost.push(row.id);
      continue;
    }
    const isSame = linkIdsOf(topology, found.way.arcs).join() === row.linkIds.join();
    keep(row, found.way, found);
    if (found.status === 'degraded') report.degraded.push(row.id);
    else if (!isSame) report.rerouted.push(row.id);
  }
  return { ...report, avoidedNodes: [...blocked], overOpenCircuits, connections: rows };
}

const noNodes: ReadonlySet<string> = new Set();

/** The topology around what is blocked, but for the ends of the connection, which nothing leads around. */
function createDetours(topology: Topology, blocked: ReadonlySet<string>) {
  const known = new Map<string, Topology>();
  return ({ sourceId, targetId }: NetworkConnectionRow): Topology => {
    const ends = [sourceId, targetId].filter((id) => blocked.has(id)).sort();
    const found =
      known.get(ends.join()) ?? avoiding(topology, new Set([...blocked].filter((id) => !ends.includes(id))));
    known.set(ends.join(), found);
    return found;
  };
}

function passes(
  topology: Topology,
  arcs: readonly number[],
  blocked: ReadonlySet<string>,
  { sourceId, targetId }: NetworkConnectionRow,
): boolean {
  if (blocked.size === 0) return false;
  return nodeIdsOf(topology, arcs).some((id) => blocked.has(id) && id !== sourceId && id !== targetId);
}

interface Found {
  readonly status: Extract<ConnectionStatusValue, 'established' | 'degraded'>;
  readonly reason: string | null;
}

const established: Found = { status: 'established', reason: null };
const noSecond: Found = { status: 'degraded', reason: 'no second way that shares no link is left' };
const belowLimits: Found = { status: 'degraded', reason: 'no way that keeps all limits is left' };

/** The arcs of a stored way of which every link and node is up. */
function standing(
  topology: Topology,
  linkIds: readonly string[],
  nodeIds: readonly string[],
): readonly number[] | null {
  const arcs = arcsOf(topology, linkIds, nodeIds);
  return arcs?.every((arc) => topology.isLinkUp[topology.graph.link[arc]!] === 1) ? arcs : null;
}

export type Placed = Found & { readonly way: Omit<Way, 'metrics'> };

/** Where nothing is blocked both topologies are one, and each search is made once. */
export function place(
  { topology, around }: { readonly topology: Topology; readonly around: Topology },
  reservations: Reservations,
  row: NetworkConnectionRow,
  arcs: readonly number[] | null,
): Placed | null {
  const { requirements } = row;
  const request = wayRequestOf(topology, row);
  const find = (asked: NetworkConnectionRow['requirements']): Way | null => {
    for (const where of new Set([around, topology])) {
      const found = findWay(where, reservations, { ...request, requirements: asked });
      if (found.kind === 'way') return found.way;
    }
    return null;
  };
  const whole = find(requirements);
  if (whole !== null) return { ...established, way: whole };
  // A way that still stands is better kept than left for another that is no better.
  if (arcs !== null && isWithin(topology, arcs, requirements) && hasRoom(topology, reservations, row, arcs))
    return { ...(requirements.failoverSupport ? noSecond : established), way: { arcs, backup: null } };
  const alone = find({ ...requirements, failoverSupport: false });
  if (alone !== null) return { ...noSecond, way: { ...alone, backup: null } };
  const least = find({ bandwidthMbps: requirements.bandwidthMbps, failoverSupport: false });
  return least === null ? null : { ...belowLimits, way: { ...least, backup: null } };
}

function hasRoom(
  { graph }: Topology,
  reservations: Reservations,
  { trafficClass, bandwidthKbps }: NetworkConnectionRow,
  arcs: readonly number[],
): boolean {
  return arcs.every((arc) => reservations.residual(graph.link[arc]!, trafficClass) >= bandwidthKbps);
}

/** A new second way for a connection that has moved onto the one it had. */
function secondBeside(
  topology: Topology,
  reservations: Reservations,
  row: NetworkConnectionRow,
  arcs: readonly number[],
): readonly number[] | null {
  const { requirements, ...request } = wayRequestOf(topology, row);
  const found = findWay(besideWays(topology, [arcs]), reservations, {
    ...request,
    requirements: { ...requirements, failoverSupport: false },
  });
  return found.kind === 'way' ? found.way.arcs : null;
}

/** Where none is wanted the second way is only told if it holds its bandwidth. */
export const isSecondTold = ({ failoverSupport, backupPaths }: NetworkConnectionRow['requirements']): boolean =>
  failoverSupport || backupPaths !== 0;

/** Ways beside the way of a connection and its second one; those of before asked for none. */
export const furtherCount = ({ backupPaths }: NetworkConnectionRow['requirements']): number =>
  Math.max(0, (backupPaths ?? 1) - 1);

function wayRequestOf(topology: Topology, row: NetworkConnectionRow): WayRequest {
  const { requirements, bandwidthKbps, trafficClass } = row;
  return {
    source: topology.nodeIndex.get(row.sourceId)!,
    target: topology.nodeIndex.get(row.targetId)!,
    ...{ requirements, bandwidthKbps, trafficClass },
  };
}
