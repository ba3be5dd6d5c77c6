import { LRUCache } from 'lru-cache';
import { runForAll } from '#shared/cancellation.ts';
import type { ReservedByClass } from './reservations.ts';
import type { NetworkConfigValue, NetworkConnectionRow, NetworkStatusValue, TrafficClass } from './rows.ts';
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
  /** Nodes that get no new connections now, by their circuits. */
  readonly blocked: ReadonlySet<string>;
  /** Nodes that one new connection is let through to. */
  readonly trials: ReadonlySet<string>;
}

interface HeadRow {
  readonly contextId: string;
  readonly status: NetworkStatusValue;
  readonly config: NetworkConfigValue;
  readonly structure: number;
  readonly openConnections: number;
  readonly blocked: readonly string[] | null;
  readonly trials: readonly string[] | null;
}

/** Of the links on which anything is reserved, their places and what it is. */
interface ReservedRow {
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
  /** What was reserved when it was read last, by the clock of `performance.now()`. */
  reserved: { readonly value: Readonly<Record<TrafficClass, Float64Array>>; readonly atMs: number } | null;
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

  /** Structures that are being read: whoever asks meanwhile waits for the same. */
  const reading = new Map<string, Promise<KeptTopology | null>>();
  const keyOf = (tenantId: string, networkId: string) => `${tenantId}/${networkId}`;

  /** Null where the structure is another by the time it is read. */
  async function readTopology(
    db: Db,
    tenantId: string,
    networkId: string,
    structure: number,
  ): Promise<KeptTopology | null> {
    const [nodes, links] = await Promise.all([
      findNodes(db, tenantId, [networkId]),
      findLinks(db, tenantId, [networkId]),
    ]);
    // Read on several connections: what changed meanwhile may be in one of them and not in another.
    if ((await readHead(db, tenantId, networkId))?.structure !== structure) return null;
    const entry: KeptTopology = {
      structure,
      topology: createTopology(nodes, links),
      linkAt: new Map(links.map(({ place }, at) => [place, at])),
      reserved: null,
    };
    kept.set(keyOf(tenantId, networkId), entry);
    return entry;
  }

  async function topologyOf(
    db: Db,
    tenantId: string,
    networkId: string,
    structure: number,
  ): Promise<KeptTopology | null> {
    const key = keyOf(tenantId, networkId);
    const known = kept.get(key);
    if (known?.structure === structure) return known;
    const asked = `${key}/${structure}`;
    const running = reading.get(asked);
    if (running !== undefined) return running;
    const read = runForAll(() => readTopology(db, tenantId, networkId, structure)).finally(() => reading.delete(asked));
    reading.set(asked, read);
    return read;
  }

  return {
    /**
     * Null where the tenant has no such network. A structure that changes between the reads is read again. What is reserved
     * may be as old as `reservedMaxAgeMs`: enough for whoever reserves what it chose only if that still fits. @default 0
     */
    async find(
      db: Db,
      tenantId: string,
      networkId: string,
      { reservedMaxAgeMs = 0 }: { readonly reservedMaxAgeMs?: number } = {},
    ): Promise<NetworkSnapshot | null> {
      for (;;) {
        const head = await readHead(db, tenantId, networkId);
        if (head === null) return null;
        const entry = await topologyOf(db, tenantId, networkId, head.structure);
        if (entry === null) continue;
        const known = entry.reserved;
        if (known === null || performance.now() - known.atMs >= reservedMaxAgeMs) {
          const atMs = performance.now();
          const row = await readReserved(db, tenantId, networkId);
          entry.reserved = { value: reservedBy(row, entry), atMs };
        }
        const { value: reserved } = entry.reserved!;
        const { blocked, trials, ...rest } = head;
        return {
          ...{ networkId, ...rest, topology: entry.topology, reserved },
          ...{ blocked: new Set(blocked ?? []), trials: new Set(trials ?? []) },
        };
      }
    },

    /** After a reservation: whoever asks here meets it, as often as what is kept is read anew. */
    addReserved(
      { tenantId, networkId }: Pick<NetworkConnectionRow, 'tenantId' | 'networkId'>,
      trafficClass: TrafficClass,
      linkIds: readonly string[],
      kbps: number,
    ): void {
      const entry = kept.peek(keyOf(tenantId, networkId));
      const counts = entry?.reserved?.value[trafficClass];
      if (entry === undefined || counts === undefined) return;
      for (const id of linkIds) {
        const link = entry.topology.linkIndex.get(id);
        if (link !== undefined) counts[link]! += kbps;
      }
    },

    /** After a release: what it gave back counts at once for who asks here. */
    forgetReserved(tenantId: string, networkId: string): void {
      const entry = kept.peek(keyOf(tenantId, networkId));
      if (entry !== undefined) entry.reserved = null;
    },
  };
}

function reservedBy(
  { places, realTime, interactive, bulk, management }: ReservedRow,
  { topology, linkAt }: KeptTopology,
): Readonly<Record<TrafficClass, Float64Array>> {
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

async function readHead(db: Db, tenantId: string, networkId: string): Promise<HeadRow | null> {
  const [row] = await read<HeadRow>(
    db,
    `SELECT n.context_id AS "contextId", n.status, n.config, n.structure,
       (SELECT coalesce(sum(d.open_connections), 0)::int / 2 FROM network.node d WHERE d.tenant_id = n.tenant_id AND d.network_id = n.id) AS "openConnections",
       k.blocked, k.trials
     FROM network.network n, LATERAL (
       SELECT array_agg(c.node_id) FILTER (WHERE c.retry_at > clock_timestamp() OR c.trial_until > clock_timestamp()) AS blocked,
         array_agg(c.node_id) FILTER (WHERE c.retry_at <= clock_timestamp() AND c.trial_until IS NULL) AS trials
       FROM network.circuit c WHERE c.tenant_id = n.tenant_id AND c.network_id = n.id AND c.opened_at IS NOT NULL
     ) k WHERE n.tenant_id = $1 AND n.id = $2`,
    [tenantId, networkId],
  );
  return row ?? null;
}

async function readReserved(db: Db, tenantId: string, networkId: string): Promise<ReservedRow> {
  const reserved = (column: string) => `array_agg(l.${column}::float8)`;
  const [row] = await read<ReservedRow>(
    db,
    `SELECT array_agg(l.place) AS places, ${reserved('reserved_real_time')} AS "realTime", ${reserved('reserved_interactive')} AS interactive,
       ${reserved('reserved_bulk')} AS bulk, ${reserved('reserved_management')} AS management
     FROM network.link l WHERE l.tenant_id = $1 AND l.network_id = $2
       AND l.reserved_real_time + l.reserved_interactive + l.reserved_bulk + l.reserved_management > 0`,
    [tenantId, networkId],
  );
  return row!;
}
