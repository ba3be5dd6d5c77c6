import { PlatformError } from '#shared/errors.ts';
import { newId } from '#shared/ids.ts';
import { defaultCircuit } from './detection/circuit.ts';
import { latencyBetween, type Place } from './generation/greatCircle.ts';
import { generateLinks, type Layout } from './generation/topologies.ts';
import type { ConfigInput, LinkDefaults, LinkInput, NodeInput } from './inputs.ts';
import { capacityToKbps } from './reservations.ts';
import type { LinkStatusValue, NetworkConfigValue, NetworkLinkRow, NetworkNodeRow, NodeStatusValue } from './rows.ts';

interface Of {
  readonly tenantId: string;
  readonly networkId: string;
}

export const defaultConfig: NetworkConfigValue = {
  reserveShare: 0.2,
  burst: 1.5,
  classShares: { realTime: 0.4, interactive: 0.3, bulk: 0.2, management: 0.1 },
  maxConnections: 50_000,
  phiThreshold: 8,
  hotSpotUtilization: 0.8,
  ...{ routing: 'SHORTEST_PATH', routingWeights: null, backupPaths: 1 },
  ...{ balancing: 'nearest', discovery: 'DYNAMIC', discoveryDomain: null, discoveryRefreshMs: 20_000 },
  ...{ totalBandwidthMbps: 0, circuit: defaultCircuit },
};

/** What is given over what holds otherwise. @throws {VALIDATION_FAILED} for CUSTOM without weights, DNS without a domain. */
export function mergeConfig(base: NetworkConfigValue, given: ConfigInput | null | undefined): NetworkConfigValue {
  const merged = {
    reserveShare: given?.reserveShare ?? base.reserveShare,
    burst: given?.burst ?? base.burst,
    classShares: given?.classShares ?? base.classShares,
    maxConnections: given?.maxConnections ?? base.maxConnections,
    phiThreshold: given?.phiThreshold ?? base.phiThreshold,
    hotSpotUtilization: given?.hotSpotUtilization ?? base.hotSpotUtilization,
    routing: given?.routing ?? base.routing ?? 'SHORTEST_PATH',
    routingWeights: given?.routingWeights ?? base.routingWeights ?? null,
    balancing: given?.balancing ?? base.balancing ?? 'nearest',
    discovery: given?.discovery ?? base.discovery ?? 'DYNAMIC',
    discoveryDomain: given?.discoveryDomain ?? base.discoveryDomain ?? null,
    discoveryRefreshMs: given?.discoveryRefreshMs ?? base.discoveryRefreshMs ?? 20_000,
    backupPaths: given?.backupPaths ?? base.backupPaths ?? 1,
    totalBandwidthMbps: given?.totalBandwidthMbps ?? base.totalBandwidthMbps ?? 0,
    circuit: given?.circuit ?? base.circuit ?? defaultCircuit,
  };
  if (merged.routing === 'CUSTOM' && merged.routingWeights === null)
    throw new PlatformError('VALIDATION_FAILED', 'expected routingWeights for ways chosen by CUSTOM', {
      path: ['config', 'routingWeights'],
    });
  if (merged.discovery === 'DNS' && merged.discoveryDomain === null)
    throw new PlatformError('VALIDATION_FAILED', 'expected discoveryDomain for services found by DNS', {
      path: ['config', 'discoveryDomain'],
    });
  return merged;
}

export function toNode(input: NodeInput, of: Of, place: number): NetworkNodeRow {
  return {
    ...of,
    id: input.id ?? newId(),
    place,
    name: input.name ?? null,
    kind: input.kind.toLowerCase(),
    status: input.status.toLowerCase() as NodeStatusValue,
    roleId: input.roleId ?? null,
    function: input.function?.toLowerCase() ?? null,
    agentId: input.agentId ?? null,
    capabilities: input.capabilities ?? [],
    address: input.address ?? null,
    location: input.location ?? null,
    resources: input.resources ?? null,
    failover: input.failover ?? null,
    required: input.required,
    openConnections: 0,
    probe: null,
    protocol: null,
  };
}

/** @throws {DUPLICATE_NODE} */
export function requireUniqueNodes(nodes: readonly NetworkNodeRow[], path: readonly string[]): void {
  const seen = new Set<string>();
  for (const [at, { id }] of nodes.entries()) {
    if (seen.has(id))
      throw new PlatformError('DUPLICATE_NODE', `two nodes have the id ${id}`, { path: [...path, at, 'id'] });
    seen.add(id);
  }
}

const placeOf = (node: NetworkNodeRow | undefined): Place | null => {
  const { lat, lon } = node?.location ?? {};
  return lat == null || lon == null ? null : { lat, lon };
};

const defaultCapacityMbps = 1_000;

interface LinkShape {
  readonly source: NetworkNodeRow | undefined;
  readonly target: NetworkNodeRow | undefined;
  readonly defaults: LinkDefaults | null | undefined;
}

/** Figures that were not given: the defaults', else those of a good line of the length between the places. */
function figuresOf(given: LinkDefaults, { source, target, defaults }: LinkShape) {
  return {
    latencyMs: given.latencyMs ?? defaults?.latencyMs ?? latencyBetween(placeOf(source), placeOf(target)),
    jitterMs: given.jitterMs ?? defaults?.jitterMs ?? 0,
    lossRate: given.lossRate ?? defaults?.lossRate ?? 0,
    reliability: given.reliability ?? defaults?.reliability ?? 1,
    costPerGb: given.costPerGb ?? defaults?.costPerGb ?? 0,
    energyPerGb: given.energyPerGb ?? defaults?.energyPerGb ?? 0,
    capacityKbps: capacityToKbps(given.capacityMbps ?? defaults?.capacityMbps ?? defaultCapacityMbps),
  };
}

const nothingReserved = { reservedRealTime: 0, reservedInteractive: 0, reservedBulk: 0, reservedManagement: 0 };

/** @throws {DANGLING_LINK} {SHAPE_MISMATCH} */
export function toLinks(
  inputs: readonly LinkInput[],
  nodes: readonly NetworkNodeRow[],
  options: Of & {
    readonly firstPlace: number;
    readonly path: readonly string[];
    readonly defaults?: LinkDefaults | null | undefined;
  },
): NetworkLinkRow[] {
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const { tenantId, networkId, firstPlace, path, defaults } = options;
  return inputs.map((input, at) => {
    const { sourceId, targetId } = input;
    for (const [end, nodeId] of [
      ['sourceId', sourceId],
      ['targetId', targetId],
    ] as const)
      if (!byId.has(nodeId))
        throw new PlatformError('DANGLING_LINK', `link ${at + 1} names a node ${nodeId} that is not there`, {
          path: [...path, at, end],
        });
    if (sourceId === targetId)
      throw new PlatformError('SHAPE_MISMATCH', `link ${at + 1} leads from a node to itself`, { path: [...path, at] });
    return {
      ...{ tenantId, networkId, sourceId, targetId },
      id: newId(),
      place: firstPlace + at,
      type: input.type.toLowerCase(),
      direction: input.direction.toLowerCase() as NetworkLinkRow['direction'],
      status: input.status.toLowerCase() as LinkStatusValue,
      weight: input.weight ?? 1,
      ...figuresOf(input, { source: byId.get(sourceId), target: byId.get(targetId), defaults }),
      ...nothingReserved,
      measured: null,
    };
  });
}

/** How links of a topology type are made; above 50 nodes a full mesh would have more of them than anyone needs. */
export function layoutOf(topologyType: string, nodeCount: number): Layout {
  switch (topologyType) {
    case 'SINGLE_NODE':
      return 'SINGLE';
    case 'HUB_SPOKE':
      return 'STAR';
    case 'MESH':
      return nodeCount <= 50 ? 'FULL_MESH' : 'HARARY';
    case 'HIERARCHICAL':
      return 'TREE';
    case 'HYBRID':
      return 'MESH_CORE_WITH_TREES';
    default:
      return nodeCount < 3 ? 'BUS' : 'RING';
  }
}

export function generatedLinks(
  layout: Layout,
  nodes: readonly NetworkNodeRow[],
  options: Of & {
    readonly redundancy: number;
    readonly fanOut: number;
    readonly defaults: LinkDefaults | null | undefined;
  },
): NetworkLinkRow[] {
  const { tenantId, networkId, redundancy, fanOut, defaults } = options;
  const pairs = generateLinks(layout, {
    ...{ redundancy, fanOut },
    coreSize: 10,
    capacity: nodes.map(({ resources }) => resources?.bandwidthGbps ?? 0),
  });
  return pairs.map(([one, other], place) => {
    const [source, target] = [nodes[one]!, nodes[other]!];
    return {
      ...{ tenantId, networkId, place },
      id: newId(),
      ...{ sourceId: source.id, targetId: target.id },
      ...{ type: 'data', direction: 'bidirectional' as const, status: 'active' as const, weight: 1 },
      ...figuresOf({}, { source, target, defaults }),
      ...nothingReserved,
      measured: null,
    };
  });
}

/**
 * Whether links given make the type that is named; of MESH, HYBRID and OTHER anything does.
 * @throws {SHAPE_MISMATCH}
 */
export function requireShape(
  topologyType: string,
  nodes: readonly NetworkNodeRow[],
  links: readonly NetworkLinkRow[],
): void {
  const fail = (expected: string) => {
    throw new PlatformError('SHAPE_MISMATCH', `${topologyType}: expected ${expected}`, {
      path: ['input', 'links'],
      details: { nodes: nodes.length, links: links.length },
    });
  };
  const pairs = new Set(links.map(({ sourceId, targetId }) => [sourceId, targetId].sort().join()));
  if (topologyType === 'SINGLE_NODE' && (nodes.length !== 1 || links.length > 0)) fail('one node and no link');
  if (topologyType === 'HUB_SPOKE') {
    const degree = new Map<string, number>();
    for (const end of [...pairs].flatMap((pair) => pair.split(','))) degree.set(end, (degree.get(end) ?? 0) + 1);
    const hub = Math.max(0, ...degree.values());
    if (pairs.size !== nodes.length - 1 || hub !== nodes.length - 1)
      fail('every node joined to one hub and nothing else');
  }
  if (topologyType === 'HIERARCHICAL' && pairs.size !== nodes.length - 1)
    fail(`a tree, of ${nodes.length - 1} links, got ${pairs.size}`);
}
