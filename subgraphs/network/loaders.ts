import { createChildPageLoader } from '#shared/childPages.ts';
import type { RequestScope } from '#shared/context.ts';
import { createListLoader, createPageLoader, createRowLoader } from '#shared/loaders.ts';
import { accessTag, keepVisible, noteListAccess } from './access.ts';
import { connectionsOfNetwork, networksOfContext, nodesOfRole } from './lists.ts';
import type { NetworkConnectionRow, NetworkLinkRow, NetworkNodeRow, NetworkRow, NetworkServiceRow } from './rows.ts';
import type { NetworkService } from './service.ts';
import {
  findConnections,
  findLinks,
  findLinksById,
  findNetworks,
  findNodes,
  findNodesById,
  findServices,
  findServicesOf,
} from './store.ts';

export type NetworkLoaders = ReturnType<typeof createNetworkLoaders>;

export function createNetworkLoaders({ sql, learn }: Pick<NetworkService, 'sql' | 'learn'>, scope: RequestScope) {
  const { tenantId } = scope.principal;
  const networkTag = (id: string) => `Network:${id}`;
  const visible = async <Row>(rows: Promise<readonly Row[]>, networkIdOf: (row: Row) => string) =>
    keepVisible(sql, scope, await rows, { networkIdOf, learn });
  const ofNetwork = <Row extends { readonly networkId: string }>(rows: Promise<readonly Row[]>) =>
    visible(rows, ({ networkId }) => networkId);
  return {
    network: createRowLoader<string, NetworkRow>({
      fetch: async (ids) => {
        const rows = await visible(findNetworks(sql, tenantId, ids), ({ id }) => id);
        for (const { contextId } of rows) scope.readTags.add(accessTag(contextId));
        return rows;
      },
      keyOf: (row) => row.id,
      tagOf: networkTag,
      scope,
    }),
    nodes: createListLoader<string, NetworkNodeRow>({
      fetch: (ids) => findNodes(sql, tenantId, ids),
      keyOf: (row) => row.networkId,
      tagOf: networkTag,
      scope,
    }),
    links: createListLoader<string, NetworkLinkRow>({
      fetch: (ids) => findLinks(sql, tenantId, ids),
      keyOf: (row) => row.networkId,
      tagOf: (id) => `Network:${id}:links`,
      scope,
    }),
    services: createListLoader<string, NetworkServiceRow>({
      fetch: (ids) => findServicesOf(sql, tenantId, ids),
      keyOf: (row) => row.networkId,
      tagOf: (id) => `Network:${id}:services`,
      scope,
    }),
    node: createPageLoader<{ readonly networkId: string; readonly id: string }, NetworkNodeRow | null>(async (keys) => {
      const rows = await ofNetwork(findNodesById(sql, tenantId, keys));
      for (const { networkId } of keys) scope.readTags.add(networkTag(networkId));
      return keys.map((key) => rows.find((row) => row.networkId === key.networkId && row.id === key.id) ?? null);
    }),
    link: createRowLoader<string, NetworkLinkRow>({
      fetch: async (ids) => {
        const rows = await ofNetwork(findLinksById(sql, tenantId, ids));
        for (const { networkId } of rows)
          for (const tag of [networkTag(networkId), `${networkTag(networkId)}:links`]) scope.readTags.add(tag);
        return rows;
      },
      keyOf: (row) => row.id,
      scope,
    }),
    /** Links of ways, whoever may see them: their connection has been shown already. */
    wayLink: createRowLoader<string, NetworkLinkRow>({
      fetch: (ids) => findLinksById(sql, tenantId, ids),
      keyOf: (row) => row.id,
      scope,
    }),
    connection: createRowLoader<string, NetworkConnectionRow>({
      fetch: (ids) => ofNetwork(findConnections(sql, tenantId, ids)),
      keyOf: (row) => row.id,
      tagOf: (id) => `NetworkConnection:${id}`,
      scope,
    }),
    service: createRowLoader<string, NetworkServiceRow>({
      fetch: (ids) => ofNetwork(findServices(sql, tenantId, ids)),
      keyOf: (row) => row.id,
      tagOf: (id) => `NetworkService:${id}`,
      scope,
    }),
    connections: createChildPageLoader(sql, (status: readonly string[] | null) =>
      connectionsOfNetwork(tenantId, status),
    ),
    contextNetworks: createChildPageLoader(sql, (status: readonly string[] | null) =>
      networksOfContext(scope.principal, status),
    ),
    roleNodes: createChildPageLoader(sql, () => nodesOfRole(scope.principal)),
    /** Marks what the request reads of lists as its reader's own where the tenant has private contexts. */
    listAccess: createPageLoader<'networks', null>(async (keys) => {
      await noteListAccess(sql, scope);
      return keys.map(() => null);
    }),
  };
}
