import semver from 'semver';
import type { z } from 'zod';
import type { RequestScope } from '#shared/context.ts';
import { PlatformError } from '#shared/errors.ts';
import { isId, newId } from '#shared/ids.ts';
import { holdsIn } from '#shared/rights.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import { parseInput } from '#shared/validation.ts';
import { requireVisible, unknownNetwork } from './access.ts';
import { createBalancer } from './balancing.ts';
import type { Commands } from './commands.ts';
import { serviceEvent, unknownNode } from './events.ts';
import { byArc } from './graph/digraph.ts';
import { shortestTree } from './graph/shortestPaths.ts';
import * as inputs from './inputs.ts';
import { notActive, requireOperator } from './nodes.ts';
import type { NetworkConfigValue, NetworkServiceRow } from './rows.ts';
import { openStatuses } from './states.ts';
import {
  type Db,
  findNetworks,
  findNodesById,
  findServices,
  findServicesOf,
  read,
  saveService,
  serviceColumns,
} from './store.ts';
import type { Topologies } from './topologies.ts';

export interface ServiceMatch {
  readonly service: NetworkServiceRow;
  readonly latencyMs: number | null;
}

export type Services = ReturnType<typeof createServices>;

/** What nodes offer: registered for a time, found by what it can do. */
export function createServices({ sql }: ModuleRuntime, commands: Commands, topologies: Topologies) {
  const balance = createBalancer();
  return {
    /** Registers a service or renews it. @throws {NOT_FOUND} {NETWORK_NOT_ACTIVE} {PERMISSION_DENIED} where services are the operator's */
    async register(scope: RequestScope, raw: unknown): Promise<string> {
      const input = parseInput(inputs.registerService, raw, ['input']);
      const { tenantId, subject } = scope.principal;
      await requireVisible(sql, scope.principal, input.networkId);
      const call = { operation: 'registerService', input, idempotencyKey: input.idempotencyKey };
      const { serviceId } = await commands.run(scope, call, async (tx) => {
        const [[network], [node]] = await Promise.all([
          findNetworks(tx, tenantId, [input.networkId]),
          findNodesById(tx, tenantId, [{ networkId: input.networkId, id: input.providerNodeId }]),
        ]);
        if (!network) throw unknownNetwork();
        if (network.status === 'retired') throw notActive(network.status);
        if (!node || node.status === 'retired') throw unknownNode(['input', 'providerNodeId']);
        const isOperator = holdsIn(scope.principal, 'network:operate', network.contextId);
        const life = lifeOf(network.config, input.ttlMs ?? null, isOperator);
        if (network.config.discovery === 'STATIC') requireOperator(scope, network.contextId);
        const now = Date.now();
        const saved = await saveService(tx, {
          ...{ tenantId, id: newId(), networkId: network.id, name: input.name, serviceVersion: input.version },
          ...{ providerNodeId: node.id, endpoints: input.endpoints, capabilities: input.capabilities ?? [] },
          ...{ weight: input.weight, ttlMs: life.ttlMs, registeredBy: subject },
          expiresAt: life.stays ? null : new Date(now + life.ttlMs).toISOString(),
          createdAt: new Date(now).toISOString(),
        });
        return {
          response: { serviceId: saved.id },
          events: [serviceEvent('service.registered', network, saved)],
          audit: [{ action: 'network.service.register', resource: 'NetworkService', resourceId: saved.id }],
        };
      });
      return serviceId;
    },

    /** @throws {NOT_FOUND} {PERMISSION_DENIED} */
    async unregister(scope: RequestScope, serviceId: string, key?: string | null): Promise<NetworkServiceRow> {
      const { tenantId, subject } = scope.principal;
      const call = { operation: 'unregisterService', input: { serviceId }, idempotencyKey: key };
      return commands.run(scope, call, async (tx) => {
        const [row] = isId(serviceId) ? await findServices(tx, tenantId, [serviceId]) : [];
        const [network] = row ? await findNetworks(tx, tenantId, [row.networkId]) : [];
        if (!row || !network) throw new PlatformError('NOT_FOUND', 'no such service', { path: ['serviceId'] });
        await requireVisible(tx, scope.principal, network.id);
        if (row.registeredBy !== subject) requireOperator(scope, network.contextId);
        await tx.unsafe('DELETE FROM network.service WHERE tenant_id = $1 AND id = $2', [tenantId, serviceId], {
          prepare: true,
        });
        return {
          response: row,
          events: [serviceEvent('service.unregistered', network, row)],
          audit: [{ action: 'network.service.unregister', resource: 'NetworkService', resourceId: row.id }],
        };
      });
    },

    /** @throws {NOT_FOUND} {VALIDATION_FAILED} */
    async discover(scope: RequestScope, raw: unknown, first: number): Promise<ServiceMatch[]> {
      const query = parseInput(inputs.serviceQuery, raw, ['query']);
      if (first < 1 || first > 100)
        throw new PlatformError('VALIDATION_FAILED', `first: expected 1 to 100, got ${first}`, { path: ['first'] });
      if (query.version != null && semver.validRange(query.version) === null)
        throw new PlatformError('VALIDATION_FAILED', `version: expected a range like ^1.2, got ${query.version}`, {
          path: ['query', 'version'],
        });
      const { tenantId } = scope.principal;
      await requireVisible(sql, scope.principal, query.networkId);
      const snapshot = await topologies.find(sql, tenantId, query.networkId);
      if (!snapshot) throw unknownNetwork();
      const { graph, nodeIndex, isNodeUp, isLinkUp, latencyMs } = snapshot.topology;
      const near = query.near == null ? null : nodeIndex.get(query.near);
      if (near === undefined) throw unknownNode(['query', 'near']);
      const distance =
        near === null
          ? null
          : shortestTree(
              graph,
              near,
              byArc(
                graph,
                latencyMs.map((latency, link) => (isLinkUp[link] === 1 ? latency : Number.POSITIVE_INFINITY)),
              ),
            ).distance;
      const wanted = query.capabilities ?? [];
      const matches = (await findServicesOf(sql, tenantId, [query.networkId])).flatMap((service): ServiceMatch[] => {
        const place = nodeIndex.get(service.providerNodeId);
        const isMatch =
          place !== undefined &&
          isNodeUp[place] === 1 &&
          !snapshot.blocked.has(service.providerNodeId) &&
          isAsked(service, query);
        if (!isMatch) return [];
        const reached = distance?.[place];
        return [{ service, latencyMs: reached === undefined || reached === Infinity ? null : reached }];
      });
      // A registry is one for the whole context: what other networks' nodes offer stands in it as well.
      if (snapshot.config.discovery === 'REGISTRY')
        for (const service of await findRegistered(sql, tenantId, snapshot))
          if (isAsked(service, query)) matches.push({ service, latencyMs: null });
      const balancing = query.balancing ?? snapshot.config.balancing ?? 'nearest';
      const connections =
        balancing === 'least_connections'
          ? await readConnections(
              sql,
              tenantId,
              matches.map(({ service }) => service),
            )
          : new Map<string, number>();
      const items = matches.map((match) => ({
        ...{ match, id: match.service.id, weight: match.service.weight, latencyMs: match.latencyMs },
        connections: connections.get(match.service.providerNodeId) ?? 0,
      }));
      const pool = JSON.stringify([tenantId, query.networkId, query.name, wanted, query.version]);
      return balance(balancing, items, pool)
        .slice(0, first)
        .map(({ match }) => match);
    },

    /** Drops services that were not registered again in time; answers how many. */
    async expire(): Promise<number> {
      const gone = await read<{ tenantId: string; id: string }>(
        sql,
        `SELECT tenant_id AS "tenantId", id FROM network.service WHERE expires_at <= now() LIMIT 1000`,
        [],
      );
      let count = 0;
      for (const [tenantId, list] of Map.groupBy(gone, (row) => row.tenantId))
        count += (await commands.runAs(tenantId, 'system', async (tx) => {
          const rows = (
            await findServices(
              tx,
              tenantId,
              list.map(({ id }) => id),
            )
          ).filter(({ expiresAt }) => expiresAt !== null && Date.parse(expiresAt) <= Date.now());
          const networks = new Map(
            (await findNetworks(tx, tenantId, [...new Set(rows.map(({ networkId }) => networkId))])).map((one) => [
              one.id,
              one,
            ]),
          );
          const removed = new Set(
            (
              await read<{ id: string }>(
                tx,
                'DELETE FROM network.service WHERE tenant_id = $1 AND id = ANY($2::uuid[]) AND expires_at <= now() RETURNING id',
                [tenantId, rows.map(({ id }) => id)],
              )
            ).map(({ id }) => id),
          );
          const told = rows.filter(({ id, networkId }) => removed.has(id) && networks.has(networkId));
          return {
            response: removed.size,
            events: told.map((row) => serviceEvent('service.expired', networks.get(row.networkId)!, row)),
          };
        })) as number;
      return count;
    },
  };
}

/** Whether a service is what the query asks for. */
function isAsked(
  service: NetworkServiceRow,
  { name, capabilities, version }: z.output<typeof inputs.serviceQuery>,
): boolean {
  return (
    (name == null || service.name === name) &&
    (capabilities ?? []).every((capability) => service.capabilities.includes(capability)) &&
    (version == null || semver.satisfies(service.serviceVersion, version))
  );
}

/** Services that are alive in the other networks of the context, on nodes that are up and whose circuits are closed. */
function findRegistered(
  db: Db,
  tenantId: string,
  { contextId, networkId }: { readonly contextId: string; readonly networkId: string },
): Promise<NetworkServiceRow[]> {
  return read(
    db,
    `SELECT ${serviceColumns} FROM network.network n
     JOIN network.service s ON s.tenant_id = n.tenant_id AND s.network_id = n.id AND (s.expires_at IS NULL OR s.expires_at > now())
     JOIN network.node d ON d.tenant_id = s.tenant_id AND d.network_id = s.network_id AND d.id = s.provider_node_id AND d.status IN ('active', 'degraded')
     WHERE n.tenant_id = $1 AND n.context_id = $2 AND n.id <> $3 AND n.status = ANY($4::text[])
       AND NOT EXISTS (SELECT 1 FROM network.circuit c WHERE c.tenant_id = s.tenant_id AND c.network_id = s.network_id AND c.node_id = s.provider_node_id
         AND c.opened_at IS NOT NULL AND (c.retry_at > clock_timestamp() OR c.trial_until > clock_timestamp()))
     ORDER BY s.name, s.service_version, s.id LIMIT 1000`,
    [tenantId, contextId, networkId, openStatuses as string[]],
  );
}

/**
 * How long a registration is good: by the network's way of discovery it stays, or is to be renewed. Without a time of its own it
 * lives through three refreshes.
 */
export function lifeOf(
  { discovery = 'DYNAMIC', discoveryRefreshMs = 20_000 }: NetworkConfigValue,
  ttlMs: number | null,
  isOperator: boolean,
): { readonly ttlMs: number; readonly stays: boolean } {
  const stays = discovery === 'STATIC' || (discovery === 'HYBRID' && isOperator && ttlMs === null);
  return { ttlMs: ttlMs ?? discoveryRefreshMs * 3, stays };
}

/** Open connections of the nodes that provide the services. */
async function readConnections(
  db: Db,
  tenantId: string,
  services: readonly NetworkServiceRow[],
): Promise<ReadonlyMap<string, number>> {
  const rows = await read<{ id: string; open: number }>(
    db,
    `SELECT d.id, d.open_connections AS open FROM unnest($2::uuid[], $3::uuid[]) AS k(network_id, id)
     JOIN network.node d ON d.tenant_id = $1 AND d.network_id = k.network_id AND d.id = k.id`,
    [tenantId, services.map(({ networkId }) => networkId), services.map(({ providerNodeId }) => providerNodeId)],
  );
  return new Map(rows.map(({ id, open }) => [id, open]));
}
