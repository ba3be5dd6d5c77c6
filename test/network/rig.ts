import { type ExecutionResult, graphql } from 'graphql';
import pino from 'pino';
import { createScopeAuthorizer } from '#shared/auth.ts';
import { createLocalBus } from '#shared/bus.ts';
import { createComputePool } from '#shared/computePool.ts';
import { readConfig } from '#shared/config.ts';
import { createRequestScope } from '#shared/context.ts';
import type { EphemeralEvent, EventRow } from '#shared/events.ts';
import { newId } from '#shared/ids.ts';
import { appendChange } from '#shared/outbox.ts';
import { createPrincipal, type Principal, type PrincipalInput } from '#shared/principal.ts';
import { createPublisher } from '#shared/publisher.ts';
import { createSql } from '#shared/sql.ts';
import type { ModuleRuntime, StartedModule } from '#shared/subgraph.ts';
import { createPrisma } from '../../prisma/client.ts';
import type { RequestContext } from '../../subgraphs/network/context.ts';
import { networkSubgraph } from '../../subgraphs/network/index.ts';
import { createTestDatabase } from '../support/database.ts';

interface JsonList {
  readonly length: number;
  map<T>(fn: (item: Json, index: number) => T): T[];
  find(fn: (item: Json) => boolean): Json;
}

/** An answer as its reader expects it: what is not there fails the expectation, not the compiler. */
export type Json = { readonly [key: string]: Json } & JsonList;

/** The network subgraph over a database of its own, asked as any principal; contexts are what `contexts` says. */
export async function openNetworkRig(env: Readonly<Record<string, string>> = {}) {
  const database = await createTestDatabase();
  const sql = createSql(database.url, { applicationName: 'network-test', max: 8 });
  const prisma = createPrisma(database.url, { max: 1, applicationName: 'network-test-prisma' });
  const events: (EventRow | EphemeralEvent)[] = [];
  const bus = createLocalBus((error) => {
    throw error;
  });
  bus.subscribe('network', (batch) => events.push(...batch));
  /** `tenant/id` -> status, as the graph would tell. */
  const contexts = new Map<string, string>();
  const compute = createComputePool({ maxThreads: 2, logger: pino({ level: 'silent' }) });
  /** What happens after something was computed and before its asker hears of it. */
  let meanwhile: (() => Promise<void>) | null = null;
  const runtime: ModuleRuntime = {
    config: readConfig({ NODE_ENV: 'test', ...env }),
    sql,
    prisma,
    bus,
    publisher: createPublisher(bus, null),
    authorizer: createScopeAuthorizer(),
    graph: {
      execute: async (_document, variables, principal) => {
        const id = String(variables['id']);
        const status = contexts.get(`${principal.tenantId}/${id}`);
        return { data: { context: status === undefined ? null : { id, status } } as never, errors: [] };
      },
    },
    compute: {
      ...compute,
      run: async (...task) => {
        const computed = await compute.run(...task);
        await meanwhile?.();
        return computed as never;
      },
    },
    logger: pino({ level: 'silent' }),
    sqlOf: () => sql,
    codecs: new Map(),
  };
  const subgraph = await networkSubgraph.open(runtime);
  const scopeOf = (principal: Principal) =>
    createRequestScope({
      principal,
      correlationId: newId(),
      traceparent: '00-11111111111111111111111111111111-2222222222222222-01',
    });
  const { service } = subgraph.contextFor(scopeOf(alice)) as RequestContext;

  const started: StartedModule[] = [];
  const rig = {
    sql,
    service,
    subgraph,
    streams: networkSubgraph.subscriptions,
    events,
    contexts,
    contextId: newId(),
    /** Asks and insists on an answer without GraphQL errors. */
    async ask(principal: Principal, source: string, variables: Readonly<Record<string, unknown>> = {}): Promise<Json> {
      const result: ExecutionResult = await graphql({
        schema: subgraph.schema,
        source,
        variableValues: { ...variables },
        contextValue: subgraph.contextFor(scopeOf(principal)),
      });
      if (result.errors) throw result.errors[0]?.originalError ?? result.errors[0]!;
      return JSON.parse(JSON.stringify(result.data)) as Json;
    },
    /** One field of an operation. */
    async field(
      principal: Principal,
      source: string,
      variables: Readonly<Record<string, unknown>> = {},
    ): Promise<Json> {
      return Object.values(await rig.ask(principal, source, variables))[0] as Json;
    },
    /** Does something between the computing that `ask` needs and what comes of it. */
    async inBetween<T>(act: () => Promise<void>, ask: () => Promise<T>): Promise<T> {
      meanwhile = act;
      try {
        return await ask();
      } finally {
        meanwhile = null;
      }
    },
    /** Starts what the module does by itself; it ends with the rig. */
    async start(): Promise<void> {
      started.push(await service.start());
    },
    /** Tells what another module would, and waits until it was heard. */
    async tell(module: 'confirm', type: string, data: Readonly<Record<string, unknown>>): Promise<void> {
      const event = { streamId: newId(), type, data, tags: [] };
      await sql.begin((tx) => appendChange(tx, module, [{ tenantId: 'one', actor: 'olga', events: [event] }]));
      await service.catchUp();
    },
    create: (input: Readonly<Record<string, unknown>>): Promise<Json> =>
      rig.field(alice, createNetwork, { input: { contextId: rig.contextId, name: 'A network', ...input } }),
    /** A network in service of nodes by their names and links between them, all of the same capacity unless said. */
    async open(
      names: string,
      links: readonly (readonly [ends: string, figures?: Readonly<Record<string, unknown>>])[],
      input: Readonly<Record<string, unknown>> = {},
    ) {
      const ids = new Map([...names].map((name) => [name, newId()]));
      const id = (name: string) => ids.get(name)!;
      const payload = await rig.create({
        topologyType: 'OTHER',
        provision: true,
        nodes: [...names].map((name) => ({ id: id(name), name })),
        links: links.map(([ends, figures]) => ({ sourceId: id(ends[0]!), targetId: id(ends[1]!), ...figures })),
        ...input,
      });
      if (payload['userErrors']!.length > 0) throw new Error(JSON.stringify(payload['userErrors']));
      const networkId = String(payload['network']!['id']);
      const link = (ends: string) =>
        String(
          payload['network']!['links']!.find(
            (one) => String(one['sourceId']) === id(ends[0]!) && String(one['targetId']) === id(ends[1]!),
          )['id'],
        );
      /** Names of a way's nodes. */
      const wayOf = (hops: Json) => {
        const nodes = [
          ...hops.map((hop) => String(hop['nodeId'])),
          ...hops.map((hop) => String(hop['nextHop'])).slice(-1),
        ];
        return nodes.map((nodeId) => [...ids].find(([, own]) => own === nodeId)![0]).join('');
      };
      return { networkId, id, link, wayOf: wayOf };
    },
    connect: (networkId: string, source: string, target: string, input: Readonly<Record<string, unknown>> = {}) =>
      rig.field(alice, establish, {
        input: { networkId, source: { nodeId: source }, destination: { nodeId: target }, ...input },
      }),
    /** Kbps reserved by link, in the database. */
    async reserved(networkId: string): Promise<Readonly<Record<string, number>>> {
      const rows = await sql<{ id: string; total: number }[]>`SELECT id,
        (reserved_real_time + reserved_interactive + reserved_bulk + reserved_management)::float8 AS total FROM network.link WHERE network_id = ${networkId}`;
      return Object.fromEntries(rows.map((row) => [row.id, Number(row.total)]));
    },
    /** What the open connections hold by their own rows: the same as `reserved` says where nothing went astray. */
    async held(networkId: string): Promise<Readonly<Record<string, number>>> {
      const rows = await sql<
        { id: string; total: number }[]
      >`SELECT l.id, coalesce(sum(c.bandwidth_kbps), 0)::float8 AS total FROM network.link l
        LEFT JOIN network.connection c ON c.tenant_id = l.tenant_id AND c.network_id = l.network_id AND c.closed_at IS NULL
          AND (l.id = ANY(c.link_ids) OR (c.backup_reserved AND l.id = ANY(c.backup_link_ids)))
        WHERE l.network_id = ${networkId} GROUP BY l.id`;
      return Object.fromEntries(rows.map((row) => [row.id, Number(row.total)]));
    },
    async [Symbol.asyncDispose](): Promise<void> {
      await Promise.all(started.map((module) => module.close()));
      await service.heartbeats.drain();
      await compute.close();
      await prisma.$disconnect();
      await sql.end({ timeout: 5 });
      await database.drop();
    },
  };
  contexts.set(`one/${rig.contextId}`, 'ACTIVE');
  return rig;
}

export type NetworkRig = Awaited<ReturnType<typeof openNetworkRig>>;

const errors = 'userErrors { code message path retryable }';
const hops = '{ hop linkId nodeId nextHop }';
export const connectionFields = `id status statusReason bandwidthMbps trafficClass version qualityScore path ${hops} backupPaths { reserved hops ${hops} } predicted { latencyMs jitterMs lossRate reliability hops }`;
export const networkFields =
  'id status statusReason version layout stats { nodeCount linkCount diameter components vertexConnectivity routingTableSize } nodes { id name status openConnections } links { id sourceId targetId capacityMbps latencyMs status reserved { total } }';
export const createNetwork = `mutation ($input: CreateNetworkInput!) { createNetwork(input: $input) { network { ${networkFields} } ${errors} } }`;
export const establish = `mutation ($input: EstablishConnectionInput!) { establishConnection(input: $input) { connection { ${connectionFields} } infeasibility { kind linkIds nodeIds capacityMbps demandedMbps } ${errors} } }`;
export const terminate = `mutation ($id: ID!, $key: String) { terminateConnection(connectionId: $id, idempotencyKey: $key) { connection { ${connectionFields} } ${errors} } }`;
export const readConnection = `query ($id: ID!) { networkConnection(connectionId: $id) { ${connectionFields} } }`;
export const readNetwork = `query ($id: ID!) { network(networkId: $id) { ${networkFields} document } }`;
export const setNodeStatus = `mutation ($networkId: ID!, $nodeId: ID!, $status: NetworkNodeStatus!) { updateNetworkNodeStatus(networkId: $networkId, nodeId: $nodeId, status: $status) { network { status } switched rerouted degraded lost ${errors} } }`;
export const optimize = `mutation ($input: OptimizeRoutesInput!) { optimizeRoutes(input: $input) { optimization { runId before { maxUtilization unroutedMbps meanLatencyMs } after { maxUtilization unroutedMbps meanLatencyMs } lowerBound boundIsTight boundKind gap optimal feasibility changes { demand connectionId oldPath newPath } movesMade movesDropped state refusal unrouted { demand mbps } infeasibility { kind linkIds nodeIds prices capacityMbps demandedMbps demands latencyMs maxLatencyMs } appliedAt } ${errors} } }`;

export const codes = (payload: Json) => payload['userErrors']!.map(({ code }) => String(code));

export function principal(subject: string, input: Partial<PrincipalInput> = {}): Principal {
  const scopes = ['read', 'create', 'update', 'delete', 'admin', 'connect', 'report', 'operate'].map(
    (action) => `network:${action}`,
  );
  return createPrincipal({ tenantId: 'one', subject, scopes, ...input });
}

export const alice = principal('alice');
export const bob = principal('bob', { scopes: ['network:read', 'network:connect', 'network:report'] });
export const stranger = principal('stranger', { tenantId: 'two', scopes: ['*'] });
