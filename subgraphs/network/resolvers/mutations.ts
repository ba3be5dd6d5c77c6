import { PlatformError } from '#shared/errors.ts';
import { requireId } from '#shared/ids.ts';
import type { RequestContext } from '../context.ts';
import type { Edited } from '../edits.ts';
import type { RepairReport } from '../repair.ts';
import type { MutationResolvers } from '../resolvers.generated.ts';
import type { InfeasibilityValue } from '../rows.ts';
import { infeasibilityShape, infeasibleDemands, userErrorShape } from './shapes.ts';

/** What stands after a mutation: an earlier one of the same request may have read what this one changed. */
async function networkPayload({ loaders }: RequestContext, pending: Promise<{ readonly networkId: string }>) {
  const { networkId } = await pending;
  for (const loader of Object.values(loaders)) loader.clearAll();
  return { network: await loaders.network.load(networkId), userErrors: [] };
}

type KeptReport = Omit<RepairReport, 'avoidedNodes' | 'overOpenCircuits'> & Partial<RepairReport>;

async function repairPayload(context: RequestContext, pending: Promise<Edited>) {
  const edited = await pending;
  // Answers that are kept for repeated calls may be of before circuits counted here.
  const { switched, rerouted, degraded, lost, avoidedNodes = [], overOpenCircuits = [] } = edited.report as KeptReport;
  return {
    ...(await networkPayload(context, Promise.resolve(edited))),
    ...{ switched: [...switched], rerouted: [...rerouted], degraded: [...degraded], lost: [...lost] },
    ...{ avoidedNodes: [...avoidedNodes], overOpenCircuits: [...overOpenCircuits] },
  };
}

async function circuitPayload(
  { loaders }: RequestContext,
  pending: Promise<{ readonly networkId: string; readonly nodeId: string }>,
) {
  const { networkId, nodeId } = await pending;
  return { node: await loaders.node.clearAll().load({ networkId, id: nodeId }), userErrors: [] };
}

async function connectionPayload({ loaders }: RequestContext, connectionId: string) {
  for (const loader of Object.values(loaders)) loader.clearAll();
  return { connection: await loaders.connection.load(connectionId), infeasibility: null, userErrors: [] };
}

export const mutations: MutationResolvers = {
  createNetwork: async (_parent, { input }, context) => {
    const payload = await networkPayload(context, context.service.networks.create(context.scope, input));
    return { ...payload, stats: payload.network?.stats ?? null };
  },
  importNetwork: async (_parent, { input }, context) => {
    const { networkId, stats, nodeIds, demands, skippedLoops } = await context.service.imports.importFile(
      context.scope,
      input,
    );
    const network = networkId === null ? null : await context.loaders.network.clearAll().load(networkId);
    return { network, stats, nodeIds: [...nodeIds], demands: [...demands], skippedLoops, userErrors: [] };
  },
  updateNetwork: (_parent, { networkId, patch, ...options }, context) =>
    networkPayload(context, context.service.lifecycle.update(context.scope, networkId, patch, options)),
  deleteNetwork: async (_parent, { networkId, ...options }, { service, scope }) => ({
    ...(await service.lifecycle.remove(scope, networkId, options)),
    deleted: true,
    userErrors: [],
  }),
  provisionNetwork: (_parent, { networkId, ...options }, context) =>
    networkPayload(context, context.service.lifecycle.provision(context.scope, networkId, options)),
  setNetworkMaintenance: (_parent, { networkId, ...options }, context) =>
    networkPayload(context, context.service.lifecycle.maintenance(context.scope, networkId, options)),
  retireNetwork: (_parent, { networkId, ...options }, context) =>
    networkPayload(context, context.service.lifecycle.retire(context.scope, networkId, options)),
  addNetworkNode: (_parent, { networkId, node, links, ...options }, context) =>
    networkPayload(context, context.service.nodes.add(context.scope, networkId, { node, links }, options)),
  updateNetworkNode: (_parent, { networkId, nodeId, patch, ...options }, context) =>
    networkPayload(context, context.service.nodes.update(context.scope, networkId, nodeId, patch, options)),
  updateNetworkNodeStatus: (_parent, { networkId, nodeId, status, reason, ...options }, context) =>
    repairPayload(
      context,
      context.service.nodes.changeStatus(context.scope, networkId, { nodeId, status, reason }, options),
    ),
  removeNetworkNode: (_parent, { networkId, nodeId, ...options }, context) =>
    repairPayload(context, context.service.nodes.remove(context.scope, networkId, nodeId, options)),
  addNetworkLink: (_parent, { networkId, link, ...options }, context) =>
    networkPayload(context, context.service.links.add(context.scope, networkId, link, options)),
  updateNetworkLink: (_parent, { networkId, linkId, patch, ...options }, context) =>
    repairPayload(context, context.service.links.update(context.scope, networkId, linkId, patch, options)),
  removeNetworkLink: (_parent, { networkId, linkId, ...options }, context) =>
    repairPayload(context, context.service.links.remove(context.scope, networkId, linkId, options)),
  joinNetwork: async (_parent, { input }, context) => {
    const joined = await context.service.nodes.join(context.scope, input);
    return { ...(await networkPayload(context, Promise.resolve(joined))), nodeId: joined.response };
  },
  leaveNetwork: (_parent, { networkId, nodeId, ...options }, context) =>
    repairPayload(context, context.service.nodes.leave(context.scope, networkId, nodeId, options)),
  networkHeartbeat: async (_parent, { networkId, nodeId, load }, { service, scope }) => ({
    at: await service.heartbeats.beat(scope, { networkId, nodeId, load: load ?? null }),
    userErrors: [],
  }),
  probeNetworkNode: async (_parent, args, { service, scope, loaders }) => {
    const { networkId, nodeId } = await service.probes.probe(scope, args);
    const node = await loaders.node.clearAll().load({ networkId, id: nodeId });
    return { node, probe: node?.probe ?? null, userErrors: [] };
  },
  reportNetworkNodeCalls: async (_parent, args, context) =>
    circuitPayload(context, context.service.circuits.report(context.scope, args)),
  resetNetworkNodeCircuit: async (_parent, args, context) =>
    circuitPayload(context, context.service.circuits.reset(context.scope, args)),
  reportNetworkMetrics: async (_parent, { input }, { service, scope }) => ({
    accepted: await service.samples.report(scope, input),
    userErrors: [],
  }),
  establishConnection: async (_parent, { input }, context) => {
    try {
      return await connectionPayload(context, await context.service.connections.establish(context.scope, input));
    } catch (error) {
      if (!(error instanceof PlatformError) || error.code !== 'INSUFFICIENT_BANDWIDTH') throw error;
      const cut = error.details?.['cut'] as InfeasibilityValue;
      return { connection: null, infeasibility: infeasibilityShape(cut), userErrors: [userErrorShape(error)] };
    }
  },
  terminateConnection: async (_parent, { connectionId, ...options }, context) =>
    connectionPayload(context, await context.service.connections.terminate(context.scope, connectionId, options)),
  optimizeRoutes: async (_parent, { input }, { service, scope }) => {
    const { runId, isInfeasible } = await service.optimizations.optimize(scope, input);
    const run = await service.optimizations.find(scope.principal.tenantId, runId);
    const infeasibility = isInfeasible ? run?.result.infeasibility : null;
    return { optimization: run, userErrors: infeasibility ? [userErrorShape(infeasibleDemands(infeasibility))] : [] };
  },
  registerService: async (_parent, { input }, { service, scope, loaders }) => {
    const serviceId = await service.services.register(scope, input);
    return { service: await loaders.service.clearAll().load(serviceId), userErrors: [] };
  },
  seekServices: async (_parent, { input }, { service, scope }) => {
    const { seekId, matches, unknownHosts } = await service.seeking.seek(scope, input);
    return { seekId, matches: [...matches], unknownHosts: [...unknownHosts], userErrors: [] };
  },
  unregisterService: async (_parent, { serviceId, idempotencyKey }, { service, scope }) => ({
    service: await service.services.unregister(scope, serviceId, idempotencyKey),
    userErrors: [],
  }),
  sendNetworkMessage: async (_parent, { input }, { service, scope }) => ({
    message: await service.messages.send(scope, input),
    userErrors: [],
  }),
  acknowledgeNetworkMessage: async (_parent, { messageId, nodeId }, { service, scope }) => ({
    message: await service.messages.acknowledge(scope, messageId, requireId(nodeId, ['nodeId'])),
    userErrors: [],
  }),
};
