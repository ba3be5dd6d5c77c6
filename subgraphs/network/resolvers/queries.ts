import { PlatformError } from '#shared/errors.ts';
import { isId } from '#shared/ids.ts';
import { requireVisible } from '../access.ts';
import { listNetworks } from '../lists.ts';
import type { QueryResolvers } from '../resolvers.generated.ts';

export const queries: QueryResolvers = {
  network: (_parent, { networkId }, { loaders }) => (isId(networkId) ? loaders.network.load(networkId) : null),
  networks: (_parent, { filter, ...page }, { service, scope }) => {
    // Every event of a network names its context: a list of one context outlives what happens in the others.
    scope.readTags.add(filter?.contextId == null ? 'networks' : `Context:${filter.contextId.toLowerCase()}:networks`);
    return listNetworks(service.sql, scope, filter, page);
  },
  networkConnection: (_parent, { connectionId }, { loaders }) =>
    isId(connectionId) ? loaders.connection.load(connectionId) : null,
  networkRoute: (_parent, args, { service, scope }) => service.routes.route(scope, args),
  kShortestPaths: (_parent, args, { service, scope }) => service.routes.shortest(scope, args),
  networkAnalysis: async (_parent, { networkId, exact, seed, whatIf }, { service, scope }) => {
    const found = await service.analyses.analyze(scope, networkId, { exact, seed, whatIf });
    const { bridges, cutNodes, central, singleFailures, hotSpots, recommendations, ...rest } = found;
    return { ...rest, bridges, cutNodes, central, singleFailures, hotSpots, recommendations };
  },
  networkForecast: async (_parent, { networkId, ...options }, { service, scope }) => {
    requireNetworkId(networkId);
    return service.samples.forecast(scope, networkId, options);
  },
  discoverServices: (_parent, { query, first }, { service, scope }) => service.services.discover(scope, query, first),
  networkOptimization: async (_parent, { runId }, { service, scope }) => {
    scope.readTags.add(`NetworkOptimization:${runId}`);
    const run = isId(runId) ? await service.optimizations.find(scope.principal.tenantId, runId) : null;
    if (run === null) return null;
    try {
      await requireVisible(service.sql, scope.principal, run.networkId);
    } catch (error) {
      if (error instanceof PlatformError && error.code === 'NOT_FOUND') return null;
      throw error;
    }
    return run;
  },
  networkHealth: (_parent, { networkId }, { service, scope }) => {
    requireNetworkId(networkId);
    return service.health.health(scope, networkId);
  },
  networkStatistics: (_parent, { contextId }, { service, scope }) =>
    service.health.statistics(scope, contextId != null && isId(contextId) ? contextId : null),
};

/** @throws {NOT_FOUND} for what cannot be an id, as for one that is unknown. */
function requireNetworkId(networkId: string): void {
  if (!isId(networkId)) throw new PlatformError('NOT_FOUND', 'no such network', { path: ['networkId'] });
}
