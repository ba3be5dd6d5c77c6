import type { Sql } from '#shared/sql.ts';
import { defaultConfig, toNode } from '../../subgraphs/network/creation.ts';
import { describeStructure } from '../../subgraphs/network/figures.ts';
import { generateLinks, type Layout, type Pair } from '../../subgraphs/network/generation/topologies.ts';
import { endsOf } from '../../subgraphs/network/networks.ts';
import type { NetworkLinkRow, NetworkNodeRow, NetworkRow } from '../../subgraphs/network/rows.ts';
import { insertLinks, insertNetworks, insertNodes } from '../../subgraphs/network/store.ts';
import { createRandom } from '../load/random.ts';
import { contextId, perfTenant } from './context.ts';
import { seedId } from './seedId.ts';

export interface NetworkSeed {
  /** Contexts that are there already; networks lie in them in turn. */
  readonly contexts: number;
  /** Networks of 100 nodes: mesh, star, tree and ring in turn. */
  readonly networks: number;
  /** The large network beside them, in service; it has the number after theirs. */
  readonly nodes: number;
  readonly edges: number;
}

export const nodesPerNetwork = 100;
export const layouts: readonly Layout[] = ['HARARY', 'STAR', 'TREE', 'RING'];
export const networkId = (network: number): string => seedId('network', network);
export const nodeId = (network: number, node: number): string => seedId('networkNode', network, node);
export const largeNetwork = ({ networks }: NetworkSeed): number => networks;

/** A ring, and on it links between nodes drawn at random until there are enough; each pair at most once. */
function largePairs(nodes: number, edges: number): readonly Pair[] {
  const random = createRandom(17);
  const pairs = new Map<number, Pair>();
  const join = (one: number, other: number) => {
    const pair: Pair = [Math.min(one, other), Math.max(one, other)];
    if (one !== other) pairs.set(pair[0] * nodes + pair[1], pair);
  };
  for (let node = 0; node < nodes; node += 1) join(node, (node + 1) % nodes);
  while (pairs.size < edges) join(random.integer(nodes), random.integer(nodes));
  return [...pairs.values()];
}

function seededNetwork(seed: NetworkSeed, network: number) {
  const isLarge = network === largeNetwork(seed);
  const count = isLarge ? seed.nodes : nodesPerNetwork;
  const layout = layouts[network % layouts.length]!;
  const pairs = isLarge
    ? largePairs(seed.nodes, seed.edges)
    : generateLinks(layout, { redundancy: 4, fanOut: 4, coreSize: 10, capacity: Array(count).fill(0) });
  const random = createRandom(network + 1);
  const of = { tenantId: perfTenant, networkId: networkId(network) };
  const nodes: NetworkNodeRow[] = Array.from({ length: count }, (_, place) =>
    toNode(
      { id: nodeId(network, place), name: `node ${place}`, kind: 'AGENT', status: 'ACTIVE', required: false },
      of,
      place,
    ),
  );
  const links: NetworkLinkRow[] = pairs.map(([source, target], place) => ({
    ...of,
    id: seedId('networkLink', network, place),
    place,
    sourceId: nodes[source]!.id,
    targetId: nodes[target]!.id,
    type: 'data',
    direction: 'bidirectional',
    status: 'active',
    weight: 1,
    latencyMs: 1 + random.integer(20),
    jitterMs: random.integer(3) / 10,
    lossRate: random.integer(10) / 100_000,
    reliability: 0.999,
    costPerGb: random.integer(10) / 100,
    energyPerGb: 0,
    capacityKbps: 10_000_000,
    ...{ reservedRealTime: 0, reservedInteractive: 0, reservedBulk: 0, reservedManagement: 0 },
    measured: null,
  }));
  const now = new Date().toISOString();
  const row: NetworkRow = {
    ...{ tenantId: perfTenant, id: of.networkId, contextId: contextId(network % seed.contexts) },
    ...{ name: `network ${network}`, description: null, topologyType: 'mesh' },
    ...{ layout: isLarge ? 'GIVEN' : layout, status: 'active', statusReason: null, config: defaultConfig },
    stats: describeStructure({ nodeCount: count, links: endsOf(nodes, links), mostConnectivity: 1 }),
    alerts: [],
    ...{ protocol: null, approval: null, pending: null, refusal: null, structure: 1, version: 1 },
    ...{ createdAt: now, createdBy: 'seed', updatedAt: now, updatedBy: 'seed' },
  };
  return { row, nodes, links };
}

/** Networks as they stand when their events have left the log. */
export async function seedNetworks(sql: Sql, seed: NetworkSeed, log: (text: string) => void): Promise<void> {
  for (let network = 0; network <= seed.networks; network += 1) {
    const { row, nodes, links } = seededNetwork(seed, network);
    await sql.begin(async (tx) => {
      await insertNetworks(tx, [row]);
      await insertNodes(tx, nodes);
      await insertLinks(tx, links);
    });
  }
  log(`${seed.networks} networks and one of ${seed.nodes} nodes stored`);
  await sql.unsafe(
    'INSERT INTO network.stream_head (tenant_id, stream_id, last_sequence) SELECT tenant_id, id, 1 FROM network.network',
  );
  await sql.unsafe(
    `INSERT INTO network.replica (tenant_id, type, id, status, detail, sequence) SELECT tenant_id, 'Context', id, status, '{}', 1 FROM context.context`,
  );
}
