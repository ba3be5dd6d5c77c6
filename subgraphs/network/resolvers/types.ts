import { approversShape } from '#shared/approvers.ts';
import { shapeGovernance } from '#shared/governance.ts';
import { isId } from '#shared/ids.ts';
import { noCircuit } from '../circuits.ts';
import type { RequestContext } from '../context.ts';
import { defaultCircuit } from '../detection/circuit.ts';
import { toDocument } from '../document.ts';
import { qualityOf } from '../quality.ts';
import { toMbps } from '../reservations.ts';
import type { NetworkProtocol, NetworkTrafficClass, Resolvers } from '../resolvers.generated.ts';
import { toHops } from '../routes.ts';
import type { EndpointValue, NetworkConnectionRow, NetworkLinkRow, PathMetrics } from '../rows.ts';
import { infeasibilityShape } from './shapes.ts';

type Upper<Text extends string> = Uppercase<Text>;
const upper = <Text extends string>(text: Text) => text.toUpperCase() as Upper<Text>;

const endpoint = (nodeId: string, { agentId, port, protocol }: EndpointValue) => ({
  nodeId,
  agentId: agentId ?? null,
  port: port ?? null,
  protocol: (protocol ?? null) as NetworkProtocol | null,
});

function reservedOf(link: NetworkLinkRow) {
  const [realTime, interactive, bulk, management] = [
    link.reservedRealTime,
    link.reservedInteractive,
    link.reservedBulk,
    link.reservedManagement,
  ];
  return {
    realTime: toMbps(realTime),
    interactive: toMbps(interactive),
    bulk: toMbps(bulk),
    management: toMbps(management),
    total: toMbps(realTime + interactive + bulk + management),
  };
}

/** The way by what was measured on its links; null unless something was on one of them. */
async function measuredOf({ linkIds }: NetworkConnectionRow, { loaders }: RequestContext): Promise<PathMetrics | null> {
  const links = (await loaders.wayLink.loadMany([...linkIds])).filter(
    (link): link is NetworkLinkRow => link !== null && !(link instanceof Error),
  );
  if (links.length < linkIds.length || links.every(({ measured }) => measured === null)) return null;
  const sum = (value: (link: NetworkLinkRow) => number) => links.reduce((total, link) => total + value(link), 0);
  const product = (value: (link: NetworkLinkRow) => number) => links.reduce((total, link) => total * value(link), 1);
  return {
    latencyMs: sum(({ measured, latencyMs }) => measured?.latencyMs ?? latencyMs),
    jitterMs: sum(({ measured, jitterMs }) => measured?.jitterMs ?? jitterMs),
    lossRate: 1 - product(({ measured, lossRate }) => 1 - (measured?.lossRate ?? lossRate)),
    reliability: product(({ reliability }) => reliability),
    hops: links.length,
    costPerGb: sum(({ costPerGb }) => costPerGb),
    energyPerGb: sum(({ energyPerGb }) => energyPerGb),
  };
}

export const types: Omit<Resolvers, 'Query' | 'Mutation' | 'Subscription'> = {
  NetworkAlert: { kind: (row) => upper(row.kind) },
  Network: {
    __resolveReference: ({ id }, { loaders }) => loaders.network.load(id),
    networkId: (row) => row.id,
    context: (row) => ({ id: row.contextId }),
    topologyType: (row) => upper(row.topologyType) as never,
    alerts: (row) => [...row.alerts],
    governance: ({ protocol }) =>
      shapeGovernance((protocol?.['governance'] ?? null) as Readonly<Record<string, unknown>> | null),
    approval: ({ approval }) =>
      approval && { ...approversShape(approval), disruptionTolerance: approval.disruptionTolerance },
    pendingChange: ({ pending }) =>
      pending && { ...pending, kind: upper(pending.kind), runId: pending.run?.id ?? null },
    status: (row) => upper(row.status),
    nodes: async (row, _args, { loaders }) => [...(await loaders.nodes.load(row.id))],
    links: async (row, _args, { loaders }) => [...(await loaders.links.load(row.id))],
    services: async (row, _args, { loaders }) => [...(await loaders.services.load(row.id))],
    connections: (row, { status, ...page }, { loaders, scope }) => {
      scope.readTags.add(`Network:${row.id}:connections`);
      return loaders.connections.load(row.id, status?.map((one) => one.toLowerCase()) ?? null, page);
    },
    document: async (row, _args, { loaders }) => toDocument(row, await loaders.nodes.load(row.id)),
  },
  NetworkConfig: {
    routing: (row) => row.routing ?? 'SHORTEST_PATH',
    routingWeights: (row) => row.routingWeights ?? null,
    balancing: (row) => upper(row.balancing ?? 'nearest'),
    discovery: (row) => row.discovery ?? 'DYNAMIC',
    discoveryDomain: (row) => row.discoveryDomain ?? null,
    discoveryRefreshMs: (row) => row.discoveryRefreshMs ?? 20_000,
    backupPaths: (row) => row.backupPaths ?? 1,
    totalBandwidthMbps: (row) => row.totalBandwidthMbps ?? 0,
    circuit: (row) => row.circuit ?? defaultCircuit,
  },
  NetworkNode: {
    __resolveReference: ({ networkId, id }, { loaders }) =>
      isId(networkId) ? loaders.node.load({ networkId, id }) : null,
    nodeId: (row) => row.id,
    network: async (row, _args, { loaders }) => (await loaders.network.load(row.networkId))!,
    kind: (row) => upper(row.kind) as never,
    status: (row) => upper(row.status),
    role: ({ roleId }) => (roleId !== null && isId(roleId) ? { id: roleId } : null),
    function: (row) => (row.function === null ? null : (upper(row.function) as never)),
    capabilities: (row) => [...row.capabilities],
    address: ({ address }) => address as never,
    circuit: ({ circuit }) => circuit ?? noCircuit,
    failover: ({ failover }) =>
      failover && {
        ...failover,
        ...{ mode: failover.mode ?? 'ACTIVE_PASSIVE', backupNodes: [...(failover.backupNodes ?? [])] },
      },
  },
  NetworkLink: {
    __resolveReference: ({ id }, { loaders }) => loaders.link.load(id),
    linkId: (row) => row.id,
    type: (row) => upper(row.type) as never,
    direction: (row) => upper(row.direction),
    status: (row) => upper(row.status),
    capacityMbps: (row) => toMbps(row.capacityKbps),
    reserved: reservedOf,
    utilization: (row) => (row.capacityKbps === 0 ? 0 : (reservedOf(row).total * 1_000) / row.capacityKbps),
  },
  NetworkConnection: {
    __resolveReference: ({ id }, { loaders }) => loaders.connection.load(id),
    connectionId: (row) => row.id,
    network: async (row, _args, { loaders }) => (await loaders.network.load(row.networkId))!,
    type: (row) => upper(row.type) as never,
    status: (row) => upper(row.status),
    trafficClass: (row) => upper(row.trafficClass) as NetworkTrafficClass,
    source: (row) => endpoint(row.sourceId, row.endpoints.source),
    destination: (row) => endpoint(row.targetId, row.endpoints.destination),
    bandwidthMbps: (row) => toMbps(row.bandwidthKbps),
    requirements: ({ requirements }) => ({
      ...requirements,
      rerouteMs: requirements.rerouteMs ?? 0,
      routing: requirements.routing ?? 'SHORTEST_PATH',
      backupPaths: requirements.backupPaths ?? 1,
    }),
    path: (row) => toHops(row.linkIds, row.nodeIds),
    backupPaths: ({ backupLinkIds, backupNodeIds, backupReserved, furtherBackups }) => [
      ...(backupLinkIds.length === 0 ? [] : [{ hops: toHops(backupLinkIds, backupNodeIds), reserved: backupReserved }]),
      ...furtherBackups.map(({ linkIds, nodeIds }) => ({ hops: toHops(linkIds, nodeIds), reserved: false })),
    ],
    measured: (row, _args, context) => measuredOf(row, context),
    qualityScore: async (row, _args, context) => qualityOf(row, (await measuredOf(row, context)) ?? row.predicted),
  },
  NetworkService: {
    __resolveReference: ({ id }, { loaders }) => loaders.service.load(id),
    serviceId: (row) => row.id,
    status: async (row, _args, { loaders }) => {
      const node = await loaders.node.load({ networkId: row.networkId, id: row.providerNodeId });
      return node === null || node.status === 'retired' ? 'INACTIVE' : upper(node.status);
    },
    endpoints: (row) => row.endpoints as never,
    capabilities: (row) => [...row.capabilities],
  },
  NetworkMessage: {
    messageId: (row) => row.id,
    strategy: (row) => upper(row.strategy) as never,
    recipients: (row) => [...row.recipients],
    acknowledged: (row) => [...row.acknowledged],
    priority: (row) => upper(row.priority) as never,
    reliability: (row) => upper(row.reliability) as never,
    status: (row) => upper(row.status) as never,
  },
  NetworkOptimization: {
    runId: (row) => row.id,
    state: (row) => upper(row.state),
    before: ({ result }) => result.before,
    after: ({ result }) => result.after,
    lowerBound: ({ result }) => result.lowerBound,
    boundIsTight: ({ result }) => result.boundIsTight,
    boundKind: ({ result }) => result.boundKind ?? null,
    feasibility: ({ result }) => result.feasibility ?? null,
    gap: ({ result }) => result.gap,
    optimal: ({ result }) => result.optimal,
    changes: ({ result }) =>
      result.changes.map(({ oldPath, newPath, ...change }) => ({
        ...change,
        oldPath: oldPath && [...oldPath],
        newPath: newPath && [...newPath],
      })),
    unrouted: ({ result }) => [...result.unrouted],
    infeasibility: ({ result }) => result.infeasibility && infeasibilityShape(result.infeasibility),
    algorithm: ({ result }) => result.algorithm,
    iterations: ({ result }) => result.iterations,
    timeBudgetExhausted: ({ result }) => result.timeBudgetExhausted,
    avoidedNodes: ({ result }) => [...(result.avoidedNodes ?? [])],
    movesMade: ({ result }) => result.movesMade ?? null,
    movesDropped: ({ result }) => result.movesDropped ?? null,
  },
  Context: {
    networks: async ({ id }, { status, ...page }, { loaders, scope }) => {
      scope.readTags.add(`Context:${id}:networks`);
      const [found] = await Promise.all([
        loaders.contextNetworks.load(id, status?.map((one) => one.toLowerCase()) ?? null, page),
        loaders.listAccess.load('networks'),
      ]);
      return found;
    },
  },
  Role: {
    networkNodes: async ({ id }, page, { loaders, scope }) => {
      scope.readTags.add('networks');
      const [found] = await Promise.all([loaders.roleNodes.load(id, null, page), loaders.listAccess.load('networks')]);
      return found;
    },
  },
};
