import { LRUCache } from 'lru-cache';
import type { ReservedByClass } from './reservations.ts';
import type { NetworkConfigValue, NetworkStatusValue } from './rows.ts';
import { type Db, findLinks, findNodes, read } from './store.ts';
import { createTopology, type Topology } from './topology.ts';

/** A network at a moment: its structure out of memory, what is reserved out of the database. */
export interface NetworkSnapshot {
  readonly networkId: string;
  readonly contextId: string;
  readonly status: NetworkStatusValue;
  readonly config: NetworkConfigValue;
  readonly structure: number;
  readonly openConnections: number;
  readonly topology: Topology;
  readonly reserved: ReservedByClass;
}

interface SnapshotRow {
  readonly contextId: string;
  readonly status: NetworkStatusValue;
  readonly config: NetworkConfigValue;
  readonly structure: number;
  readonly openConnections: number;
  /** Of the links on which anything is reserved, and what it is. */
  readonly places: number[] | null;
  readonly realTime: number[] | null;
  readonly interactive: number[] | null;
  readonly bulk: number[] | null;
  readonly management: number[] | null;
}

interface KeptTopology {
  readonly structure: number;
  readonly topology: Topology;
  /** Place of a link in the topology by the place it is stored with. */
  readonly linkAt: ReadonlyMap<number, number>;
}

/** Nodes and links of networks in memory at most; the least used leave first. */
const maxLinks = 500_000;

export type Topologies = ReturnType<typeof createTopologies>;

/** Structures of networks, kept by their number: it rises with every change, so what is kept is never stale. */
export function createTopologies() {
  const kept = new LRUCache<string, KeptTopology>({
    maxSize: maxLinks,
    sizeCalculation: ({ topology }) => 1 + topology.nodeIds.length + topology.linkIds.length,
  });

  /** Null where the tenant has no such network. A structure that changes between the two reads is read again. */
  async function find(db: Db, tenantId: string, networkId: string): Promise<NetworkSnapshot | null> {
    for (;;) {
      const row = await readSnapshot(db, tenantId, networkId);
      if (row === null) return null;
      const key = `${tenantId}/${networkId}`;
      const known = kept.get(key);
      let entry = known?.structure === row.structure ? known : null;
      if (entry === null) {
        const [nodes, links] = await Promise.all([
          findNodes(db, tenantId, [networkId]),
          findLinks(db, tenantId, [networkId]),
        ]);
        // Read on several connections: what changed meanwhile may be in one of them and not in another.
        if ((await readStructure(db, tenantId, networkId)) !== row.structure) continue;
        entry = {
          structure: row.structure,
          topology: createTopology(nodes, links),
          linkAt: new Map(links.map(({ place }, at) => [place, at])),
        };
        kept.set(key, entry);
      }
      const { contextId, status, config, structure, openConnections } = row;
      const { topology } = entry;
      return {
        ...{ networkId, contextId, status, config, structure, openConnections, topology },
        reserved: reservedBy(row, entry),
      };
    }
  }

  return { find };
}

function reservedBy(
  { places, realTime, interactive, bulk, management }: SnapshotRow,
  { topology, linkAt }: KeptTopology,
): ReservedByClass {
  const links = (places ?? []).map((place) => linkAt.get(place));
  const byLink = (values: readonly number[] | null) => {
    const reserved = new Float64Array(topology.linkIds.length);
    for (const [at, link] of links.entries()) if (link !== undefined) reserved[link] = values![at]!;
    return reserved;
  };
  return {
    real_time: byLink(realTime),
    interactive: byLink(interactive),
    bulk: byLink(bulk),
    management: byLink(management),
  };
}

async function readStructure(db: Db, tenantId: string, networkId: string): Promise<number | undefined> {
  const [row] = await read<{ structure: number }>(
    db,
    'SELECT structure FROM network.network WHERE tenant_id = $1 AND id = $2',
    [tenantId, networkId],
  );
  return row?.structure;
}

async function readSnapshot(db: Db, tenantId: string, networkId: string): Promise<SnapshotRow | null> {
  const reserved = (column: string) => `array_agg(l.${column}::float8)`;
  const [row] = await read<SnapshotRow>(
    db,
    `SELECT n.context_id AS "contextId", n.status, n.config, n.structure, r.*,
       (SELECT coalesce(sum(d.open_connections), 0)::int / 2 FROM network.node d WHERE d.tenant_id = n.tenant_id AND d.network_id = n.id) AS "openConnections"
     FROM network.network n, LATERAL (
       SELECT array_agg(l.place) AS places, ${reserved('reserved_real_time')} AS "realTime", ${reserved('reserved_interactive')} AS interactive,
         ${reserved('reserved_bulk')} AS bulk, ${reserved('reserved_management')} AS management
       FROM network.link l WHERE l.tenant_id = n.tenant_id AND l.network_id = n.id
         AND l.reserved_real_time + l.reserved_interactive + l.reserved_bulk + l.reserved_management > 0
     ) r WHERE n.tenant_id = $1 AND n.id = $2`,
    [tenantId, networkId],
  );
  return row ?? null;
}
