import type { EndpointValue, NetworkConnectionRow, NetworkNodeRow } from './rows.ts';
import type { Topology } from './topology.ts';
import { isWaiting } from './waiting.ts';

/** Connections with the nodes that take the place of ends that are down. */
export interface StoodIn {
  readonly connections: readonly NetworkConnectionRow[];
  /** As they were before, by id. */
  readonly originals: ReadonlyMap<string, NetworkConnectionRow>;
}

/**
 * Ends connections at the backup nodes of ends that are down or gone, of those that are up, are not the other end and have
 * room: at the first, or where all of them are at work (ACTIVE_ACTIVE) at the one that ends the fewest connections; those whose
 * circuits are open come last. Where there is none, or the node wants none, the end stays what it was.
 */
export function standIn(
  topology: Topology,
  affected: readonly NetworkConnectionRow[],
  {
    before,
    after,
    blocked = new Set(),
  }: {
    readonly before: readonly NetworkNodeRow[];
    readonly after: readonly NetworkNodeRow[];
    readonly blocked?: ReadonlySet<string>;
  },
): StoodIn {
  const nodes = new Map([...before, ...after].map((node) => [node.id, node]));
  const taken = new Map<string, number>();
  const isUp = (id: string) => {
    const at = topology.nodeIndex.get(id);
    return at !== undefined && topology.isNodeUp[at] === 1;
  };
  const openAt = (id: string) => nodes.get(id)!.openConnections + (taken.get(id) ?? 0);
  const hasRoom = (id: string) => openAt(id) < topology.maxConnections[topology.nodeIndex.get(id)!]!;
  const replacementOf = (id: string, otherEnd: string): NetworkNodeRow | null => {
    if (isUp(id)) return null;
    const failover = nodes.get(id)?.failover;
    if (failover?.mode === 'NONE') return null;
    const able = (failover?.backupNodes ?? []).filter(
      (backup) => backup !== otherEnd && isUp(backup) && hasRoom(backup),
    );
    const ordered = failover?.mode === 'ACTIVE_ACTIVE' ? able.sort((one, other) => openAt(one) - openAt(other)) : able;
    const found = ordered.find((id) => !blocked.has(id)) ?? ordered[0];
    if (found === undefined) return null;
    taken.set(found, (taken.get(found) ?? 0) + 1);
    return nodes.get(found)!;
  };
  const at = (end: EndpointValue, node: NetworkNodeRow | null): EndpointValue =>
    node === null ? end : { ...end, agentId: node.agentId };
  const originals = new Map(affected.map((row) => [row.id, row]));
  const connections = affected.map((row): NetworkConnectionRow => {
    const source = replacementOf(row.sourceId, row.targetId);
    const target = replacementOf(row.targetId, source?.id ?? row.sourceId);
    if (source === null && target === null) return row;
    return {
      ...row,
      sourceId: source?.id ?? row.sourceId,
      targetId: target?.id ?? row.targetId,
      endpoints: { source: at(row.endpoints.source, source), destination: at(row.endpoints.destination, target) },
    };
  });
  return { connections, originals };
}

/** Connections that found no way all the same ended where they were. */
export function keepLostEnds(
  connections: readonly NetworkConnectionRow[],
  originals: ReadonlyMap<string, NetworkConnectionRow>,
): readonly NetworkConnectionRow[] {
  return connections.map((row) => {
    const original = originals.get(row.id);
    if ((row.closedAt === null && row.waitUntil === null) || original === undefined) return row;
    const { sourceId, targetId, endpoints } = original;
    return { ...row, sourceId, targetId, endpoints };
  });
}

/** How many connections more, or fewer, each node ends. */
export function countEnds(
  connections: readonly NetworkConnectionRow[],
  originals: ReadonlyMap<string, NetworkConnectionRow>,
): ReadonlyMap<string, number> {
  const changed = new Map<string, number>();
  const add = (row: NetworkConnectionRow, by: number) => {
    for (const end of [row.sourceId, row.targetId]) changed.set(end, (changed.get(end) ?? 0) + by);
  };
  for (const row of connections) {
    const original = originals.get(row.id)!;
    if (!isWaiting(original)) add(original, -1);
    if (row.closedAt === null && !isWaiting(row)) add(row, 1);
  }
  return changed;
}
