import { setTimeout as sleep } from 'node:timers/promises';
import type { RequestScope } from '#shared/context.ts';
import { PlatformError } from '#shared/errors.ts';
import { newId } from '#shared/ids.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import { parseInput } from '#shared/validation.ts';
import { requireVisible, unknownNetwork } from '../access.ts';
import type { Commands } from '../commands.ts';
import { serviceEvent } from '../events.ts';
import * as inputs from '../inputs.ts';
import { notActive, requireOperator } from '../nodes.ts';
import type { NetworkNodeRow, NetworkRow, NetworkServiceRow } from '../rows.ts';
import { lifeOf, type ServiceMatch, type Services } from '../services.ts';
import { openStatuses } from '../states.ts';
import { findNetworks, findNodes, findServicesOf, saveService } from '../store.ts';
import {
  createNameServer,
  isPermitted,
  type Located,
  type LocatedService,
  NoNameServer,
  UnknownName,
} from './nameServer.ts';

/** Searches at the same time in a process: each holds a request open. */
const maxAtOnce = 64;
const lookEveryMs = 50;
const nameServerTimeoutMs = 2_000;
const label = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/i;
const versionForm = /^\d{1,6}\.\d{1,6}\.\d{1,6}(-[0-9A-Za-z.-]{1,50})?$/;

export interface Sought {
  readonly seekId: string;
  readonly matches: readonly ServiceMatch[];
  /** Hosts that the name server names and no node has for its address. */
  readonly unknownHosts: readonly string[];
}

/** Looking for services now, in networks whose discovery knows how: the nodes are asked, or a name server is. */
export function createSeeking({ sql, config }: ModuleRuntime, commands: Commands, services: Services) {
  const permitted = config.NETWORK_DISCOVERY_DOMAINS ?? [];
  const nameServer = createNameServer({
    servers: config.NETWORK_NAME_SERVERS,
    timeoutMs: nameServerTimeoutMs,
  });
  let running = 0;

  /** @throws {DISCOVERY_REFUSED} {NOT_FOUND} {UNAVAILABLE} {VALIDATION_FAILED} */
  async function locate(network: NetworkRow, name: string | null | undefined): Promise<LocatedService> {
    if (name == null || !label.test(name))
      throw new PlatformError('VALIDATION_FAILED', 'name: expected a label of DNS to ask the name server for', {
        path: ['input', 'query', 'name'],
      });
    const domain = network.config.discoveryDomain!;
    if (!isPermitted(domain, permitted))
      throw new PlatformError('DISCOVERY_REFUSED', `the operator does not let names of ${domain} be asked for`, {
        path: ['input', 'query', 'networkId'],
      });
    try {
      return await nameServer.locate(name, domain);
    } catch (error) {
      if (error instanceof UnknownName)
        throw new PlatformError('NOT_FOUND', 'the name server knows no such service', {
          path: ['input', 'query', 'name'],
        });
      if (error instanceof NoNameServer)
        throw new PlatformError('UNAVAILABLE', 'no name server answered', { retryAfterMs: nameServerTimeoutMs });
      throw error;
    }
  }

  /** Registers what the name server says of nodes: those of the least priority by their weights, others as the last to be taken. */
  async function register(
    scope: RequestScope,
    { network, name, seekId, input }: { network: NetworkRow; name: string; seekId: string; input: inputs.SeekInput },
  ): Promise<readonly string[]> {
    const located = await locate(network, name);
    const call = { operation: 'seekServices', input, idempotencyKey: input.idempotencyKey };
    const { unknownHosts } = await commands.run(scope, call, async (tx) => {
      const nodes = await findNodes(tx, network.tenantId, [network.id]);
      const { known, unknown } = nodesOf(located.hosts, nodes);
      const first = Math.min(...known.map(({ at }) => at.priority));
      const rows: NetworkServiceRow[] = [];
      for (const { node, at } of known)
        rows.push(
          await saveService(tx, {
            ...{ tenantId: network.tenantId, id: newId(), networkId: network.id, name, providerNodeId: node.id },
            serviceVersion: located.version !== null && versionForm.test(located.version) ? located.version : '1.0.0',
            endpoints: [{ host: at.host, port: at.port, protocol: 'TCP' }],
            capabilities: located.capabilities.slice(0, 50),
            weight: at.priority === first ? Math.min(1_000, at.weight) : 0,
            ...{ ttlMs: lifeOf(network.config, null, false).ttlMs, registeredBy: scope.principal.subject },
            expiresAt: new Date(Date.now() + lifeOf(network.config, null, false).ttlMs).toISOString(),
            createdAt: new Date().toISOString(),
          }),
        );
      return {
        response: { seekId, unknownHosts: unknown },
        events: rows.map((row) => serviceEvent('service.registered', network, row)),
        audit: [
          {
            action: 'network.service.seek',
            ...{
              resource: 'Network',
              resourceId: network.id,
              detail: { name, domain: network.config.discoveryDomain },
            },
          },
        ],
      };
    });
    return unknownHosts;
  }

  /** Tells who listens to the network what is sought, and waits for registrations; answers those that came. */
  async function broadcast(
    scope: RequestScope,
    {
      network,
      seekId,
      input,
    }: { readonly network: NetworkRow; readonly seekId: string; readonly input: inputs.SeekInput },
  ): Promise<ReadonlySet<string>> {
    const { query, waitMs, first } = input;
    const find = async () =>
      (await findServicesOf(sql, network.tenantId, [network.id])).filter(
        ({ name }) => query.name == null || name === query.name,
      );
    const before = new Map((await find()).map(({ id, expiresAt }) => [id, expiresAt]));
    const { networkId: _id, near: _near, balancing: _balancing, ...asked } = query;
    const call = { operation: 'seekServices', input, idempotencyKey: input.idempotencyKey };
    await commands.run(scope, call, async () => ({
      response: { seekId, unknownHosts: [] },
      events: [
        {
          streamId: network.id,
          type: 'service.sought',
          data: {
            network: { id: network.id, contextId: network.contextId },
            seek: { id: seekId, ...asked, until: new Date(Date.now() + waitMs).toISOString() },
          },
          tags: [],
        },
      ],
      audit: [{ action: 'network.service.seek', resource: 'Network', resourceId: network.id, detail: { ...asked } }],
    }));
    for (const until = performance.now() + waitMs; ; await sleep(lookEveryMs)) {
      // Whoever registers again has answered, which its new end tells: clocks of instances do not matter.
      const answered = (await find()).filter(({ id, expiresAt }) => before.get(id) !== expiresAt);
      if (answered.length >= first || performance.now() >= until || scope.signal?.aborted === true)
        return new Set(answered.map(({ id }) => id));
    }
  }

  return {
    /**
     * @throws {NOT_FOUND} {NETWORK_NOT_ACTIVE} {INVALID_STATE} where services are found by their registrations alone
     *   {PERMISSION_DENIED} {DISCOVERY_REFUSED} {UNAVAILABLE} {VALIDATION_FAILED}
     */
    async seek(scope: RequestScope, raw: unknown): Promise<Sought> {
      const input = parseInput(inputs.seekServices, raw, ['input']);
      const { query, first } = input;
      await requireVisible(sql, scope.principal, query.networkId);
      const call = { operation: 'seekServices', input, idempotencyKey: input.idempotencyKey };
      const known = await commands.known<Omit<Sought, 'matches'>>(scope, call);
      const all = () => services.discover(scope, query, first);
      if (known) return { ...known, matches: await all() };
      const [network] = await findNetworks(sql, scope.principal.tenantId, [query.networkId]);
      if (!network) throw unknownNetwork();
      if (!openStatuses.includes(network.status)) throw notActive(network.status);
      const discovery = network.config.discovery ?? 'DYNAMIC';
      if (discovery !== 'BROADCAST' && discovery !== 'DNS')
        throw new PlatformError(
          'INVALID_STATE',
          `services of a network whose discovery is ${discovery} are found by their registrations alone: discoverServices`,
          { path: ['input', 'query', 'networkId'] },
        );
      if (running >= maxAtOnce)
        throw new PlatformError('UNAVAILABLE', `${maxAtOnce} searches are under way`, { retryAfterMs: 1_000 });
      running += 1;
      const seekId = newId();
      try {
        if (discovery === 'DNS') {
          // What is asked leaves the platform.
          requireOperator(scope, network.contextId);
          const unknownHosts = await register(scope, { network, name: query.name!, seekId, input });
          return { seekId, unknownHosts, matches: await all() };
        }
        const answered = await broadcast(scope, { network, seekId, input });
        const matches = (await services.discover(scope, query, 100)).filter(({ service }) => answered.has(service.id));
        return { seekId, unknownHosts: [], matches: matches.slice(0, first) };
      } finally {
        running -= 1;
      }
    },
  };
}

/** The nodes whose addresses the hosts are, each once; hosts that are nobody's. */
function nodesOf(hosts: readonly Located[], nodes: readonly NetworkNodeRow[]) {
  const byHost = new Map<string, NetworkNodeRow>();
  for (const node of nodes) {
    const host = (node.address as { readonly host?: string } | null)?.host?.replace(/\.$/, '').toLowerCase();
    if (host !== undefined && node.status !== 'retired' && !byHost.has(host)) byHost.set(host, node);
  }
  const known = new Map<string, { readonly node: NetworkNodeRow; readonly at: Located }>();
  for (const at of [...hosts].sort((one, other) => one.priority - other.priority)) {
    const node = byHost.get(at.host);
    if (node !== undefined && !known.has(node.id)) known.set(node.id, { node, at });
  }
  const unknown = [...new Set(hosts.map(({ host }) => host).filter((host) => !byHost.has(host)))];
  return { known: [...known.values()], unknown };
}
