import './lazyPackages.ts';
import { readFile } from 'node:fs/promises';
import type { FastifyRequest } from 'fastify';
import { createAccessAudit } from '#shared/accessAudit.ts';
import { consistencyHeader } from '#shared/cache/consistencyToken.ts';
import { type Config, operatorTenantOf } from '#shared/config.ts';
import { createSqlEventLog } from '#shared/eventLog.ts';
import type { StreamSubscription } from '#shared/events.ts';
import { createLateGraph } from '#shared/graph.ts';
import { createIdentitySigner, identityHeader, loadInternalSecret } from '#shared/identity.ts';
import { newId } from '#shared/ids.ts';
import type { LogBuffer } from '#shared/logs/buffer.ts';
import { readTypeDefs } from '#shared/subgraph.ts';
import { createSubjectDigest } from '#shared/subjectDigest.ts';
import { createMetrics, type Logger } from '#shared/telemetry.ts';
import type { Database } from '../prisma/database.ts';
import { type SubgraphName, subgraphNames } from '../subgraphs/names.ts';
import { observeProcess } from '../subgraphs/observe.ts';
import { openConnections, openSubgraphs } from '../subgraphs/open.ts';
import { followRevocations } from '../subgraphs/platform/security/revocationList.ts';
import { createTokenReader } from '../subgraphs/platform/security/tokenReader.ts';
import { loadSubgraphs } from '../subgraphs/registry.ts';
import { createRoleAuthorizer, readRoleLimits } from '../subgraphs/role/index.ts';
import { createAuditedAccess } from './auth/auditedAccess.ts';
import { createChargedAccess } from './auth/chargedAccess.ts';
import { createCredentials } from './auth/credentials.ts';
import type { Authenticator } from './auth.ts';
import { bulkFields } from './bulkFields.ts';
import type { GatewayContext } from './context.ts';
import { givenCorrelation } from './correlation.ts';
import { createDeadlines } from './deadlines.ts';
import { createDirectAnswers } from './directAnswers.ts';
import { openDocumentAdmission } from './documents/documentAdmission.ts';
import { createPersistedDocuments, withTrusted } from './documents/persistedDocuments.ts';
import { warmTrusted } from './documents/warmTrusted.ts';
import { findDocumentPolicy } from './execution/responseCache/documentPolicy.ts';
import {
  createConsistency,
  createFieldPolicies,
  createRequestReadsRegistry,
  createResponseCache,
  invalidateWritten,
  openCache,
} from './execution/responseCache/index.ts';
import { createExports } from './exports.ts';
import { createFederation } from './federation.ts';
import { createGatewayContext, executeOperation } from './graph.ts';
import { createHealthChecks, platformChecks } from './health.ts';
import { createIde } from './ide.ts';
import { clientAddress, createProxyTrust } from './limits/clientAddress.ts';
import { createLimits } from './limits/limits.ts';
import { createToll } from './limits/toll.ts';
import { createModuleGate } from './moduleGate.ts';
import { countOutcome, outcomeOf } from './outcome.ts';
import { openQuickRedis } from './quickRedis.ts';
import { remoteSubgraphs } from './remoteSubgraphs.ts';
import { bearerOf, headerText, isMutation, mayAsk, originOfRequest } from './requestHeaders.ts';
import { createServer } from './server.ts';
import { createSources } from './sources.ts';
import { createSubscriptionHub } from './subscriptions/hub.ts';
import { hubMetricsOf } from './subscriptions/metrics.ts';
import { createSubscriptionDoor } from './subscriptions/subscriptionDoor.ts';
import { createWarmGraph } from './warmGraph.ts';

export interface RunningGateway {
  readonly url: string;
  readonly port: number;
  readonly databaseUrl: string;
  /** Withdraws readiness, ends subscriptions, finishes what runs, closes everything. */
  close(): Promise<void>;
}

/** What a start begins with, before the other modules are loaded. */
export interface StartOptions {
  readonly config: Config;
  readonly logger: Logger;
  /** What the logger writes to beside its output. */
  readonly logBuffer?: LogBuffer;
  readonly authenticator: Authenticator;
  readonly database: Promise<Database>;
  /** Breaks off the start at its next step. */
  readonly signal?: AbortSignal | undefined;
}

/** Builds the whole process: subgraphs served here, gateway, HTTP. What it is given is closed with it, or if it fails. */
export async function startGateway(options: StartOptions): Promise<RunningGateway> {
  const { config, logger, authenticator } = options;
  const instance = newId();
  const corsOrigins = new Set(config.CORS_ORIGINS);
  const metrics = createMetrics(instance);
  const closers: (() => Promise<void> | void)[] = [() => authenticator.close()];
  const closeAll = async () => {
    for (const close of closers.reverse()) await close();
  };
  // Beside the start of the database. What is followed and located is known here, wherever the module is served.
  const loading = loadSubgraphs(subgraphNames);
  loading.catch(() => {});
  try {
    const database = await options.database;
    closers.push(() => database.close());
    options.signal?.throwIfAborted();
    const connections = await openConnections({
      config,
      databaseUrl: database.url,
      logger,
      logBuffer: options.logBuffer,
    });
    closers.push(() => connections.close());
    const { bus, sqlOf } = connections;

    const caching = await openCache({ config, bus, sql: sqlOf('platform'), instance, logger, metrics });
    closers.push(() => caching.close());
    const { cache } = caching;

    const internalSecret = loadInternalSecret({ value: config.INTERNAL_SECRET, dataDir: config.dataDir });
    const revocations = await followRevocations({
      ...{ sql: sqlOf('platform'), bus, logger },
      digest: createSubjectDigest(internalSecret),
    });
    closers.push(() => revocations.close());
    const credentials = createCredentials({
      ...{ authenticator, revocations },
      apiTokens: createTokenReader({ sql: sqlOf('platform'), logger }),
    });
    const audit = createAccessAudit({ sql: sqlOf('platform'), logger });
    closers.push(() => audit.close());
    const access = createAuditedAccess({ credentials, audit, operatorTenant: operatorTenantOf(config) });
    const graph = createLateGraph();
    const authorizer = createRoleAuthorizer({
      sql: sqlOf('role'),
      bus,
      logger,
      ...readRoleLimits(config),
    });
    closers.push(() => authorizer.close());
    const local = config.SUBGRAPHS ?? subgraphNames.filter((name) => !config.SUBGRAPH_URLS?.has(name));
    const opened = await openSubgraphs({
      config,
      connections,
      names: local,
      graph,
      logger,
      authorizer,
      invalidator: { invalidate: (events) => invalidate(events) },
      computeObserver: metrics.compute,
    });
    closers.push(() => opened.close());
    options.signal?.throwIfAborted();
    const invalidate = async (events: readonly { tenantId: string; eventId: string; tags: readonly string[] }[]) => {
      const byTenant = Map.groupBy(events, (event) => event.tenantId);
      await Promise.all([...byTenant].map(([tenantId, changes]) => invalidateWritten(cache, tenantId, changes)));
    };

    const typeDefs = await Promise.all(
      subgraphNames.map(async (name) => ({ name, typeDefs: await readTypeDefs(name) })),
    );
    const policies = createFieldPolicies(typeDefs);
    const reads = createRequestReadsRegistry(cache);
    const identity = createIdentitySigner(internalSecret);
    const gate = createModuleGate({
      ask: (document, principal) => graph.execute(document, {}, principal),
      ...{ bus, logger },
    });
    closers.push(async () => gate.close());
    const { sources, close: closeSources } = await createSources({
      closedTo: gate.closedTo,
      names: subgraphNames,
      local: opened.subgraphs,
      urls: config.SUBGRAPH_URLS ?? new Map(),
      identity,
      cache,
      policies,
      reads,
      authorizer,
      metrics,
    });
    closers.push(closeSources);

    const supergraphSdl = await readFile(new URL('../schema/supergraph.graphql', import.meta.url), 'utf8');
    const { trusted, isAdmitted, documentRule } = await openDocumentAdmission(config);
    const quickRedis = await openQuickRedis(config, logger);
    closers.push(() => quickRedis?.disconnect());
    const persisted = createPersistedDocuments(quickRedis);
    const isNarrowed = ({ scope }: GatewayContext) => gate.narrows(scope.principal);
    const deadlines = createDeadlines(config.QUERY_TIMEOUT_MS);
    closers.push(() => deadlines.close());
    const federation = await createFederation({
      supergraphSdl,
      sources,
      schemas: new Map([...opened.subgraphs].map(([name, subgraph]) => [name, subgraph.schema])),
      contextFor: (name, { scope }) => opened.subgraphs.get(name as SubgraphName)!.contextFor(scope),
      remotes: remoteSubgraphs(
        typeDefs.filter(({ name }) => !opened.subgraphs.has(name)),
        sources,
      ),
      deadlines,
      isNarrowed,
      logger,
      metrics,
      onDenied: access.denied,
      introspection: !config.production,
      maxTokens: config.MAX_QUERY_TOKENS,
      validationRules: [documentRule],
      persisted: withTrusted(persisted, trusted),
      isAdmitted,
    });
    closers.push(() => federation.stop());
    const { apollo, planning, operations, clientOperations, ownOperations } = federation;
    const admission = createLimits(config, planning.apiSchema, quickRedis);
    const charged = createChargedAccess(access, admission);
    const isTrustedProxy = createProxyTrust(config.TRUST_PROXY ?? []);
    const direct = createDirectAnswers({ logger, metrics, deadlines, onDenied: access.denied });
    const responses = createResponseCache({ cache, policies, authorizer, reads });
    const admitted = { find: (source: string) => (isAdmitted(source) ? clientOperations.find(source) : undefined) };
    graph.connect(createWarmGraph({ apollo, admitted, ownOperations, direct, responses, isNarrowed }));

    const modules = await loading;
    const subscriptions: Record<string, StreamSubscription> = Object.assign(
      {},
      ...[...modules.values()].map((module) => module.subscriptions),
    );
    const hub = createSubscriptionHub({
      planning,
      dataSources: Object.fromEntries(sources),
      subscriptions,
      eventLog: createSqlEventLog({ sqlOf }),
      bus,
      sqlOf,
      authenticate: ({ headers, connectionParams, remoteAddress, address }) =>
        charged.authenticate({
          authorization: bearerOf(connectionParams) ?? headers.authorization,
          remoteAddress,
          host: headers.host,
          address,
        }),
      addressOf: (request) => clientAddress(request, isTrustedProxy),
      createRequestContext: (principal, _connection, event) =>
        createGatewayContext(principal, { traceparent: 'traceparent' in event ? event.traceparent : undefined }),
      correlationOf: (context) => (context as GatewayContext).scope.correlationId,
      createToll: (principal, { address = '' }) => createToll(admission, { principal, address }),
      async executeOperation(request, principal, { address = '', headers, correlationId }, toll) {
        // Read by the hub, but not found valid before: Apollo Server validates it anew.
        if (!operations.find(request.query, request.operationName ?? null)) await toll?.payEntry();
        const origin = { instance, address, userAgent: headerText(headers['user-agent']) };
        const context = createGatewayContext(principal, { ...(toll && { toll }), origin, correlationId });
        const result = await executeOperation(apollo, request, context);
        countOutcome(metrics, context.ended.outcome ?? outcomeOf('none', result.errors));
        return result;
      },
      validationRules: [documentRule],
      isAdmitted,
      scopeOf: (document) => findDocumentPolicy(document, policies, { subgraph: null })?.scope ?? 'SUBJECT',
      isOriginAllowed: (origin, request) => mayAsk(origin, request.headers, corsOrigins),
      rightsKey: (principal) => authorizer.rightsKey?.(principal) ?? '',
      authorize: createSubscriptionDoor({
        closedTo: gate.closedTo,
        authorizer,
        modules: typeDefs.map((module) => ({
          name: module.name,
          typeDefs: module.typeDefs,
          locators: modules.get(module.name)!.locators,
          sql: sqlOf(module.name),
        })),
      }),
      onRightsChanged: authorizer.onRightsChanged,
      watchToken: credentials.watch,
      logger,
      metrics: hubMetricsOf(metrics),
      config: {
        pollIntervalMs: Math.min(config.EVENT_POLL_MS, 50),
        maxDocumentTokens: config.MAX_QUERY_TOKENS,
      },
      streamLimits: {
        get maxPerConnection() {
          return config.SUBSCRIPTIONS_PER_CONNECTION;
        },
        get maxPerSubject() {
          return config.SUBSCRIPTIONS_PER_SUBJECT;
        },
        get maxPerInstance() {
          return config.SUBSCRIPTIONS_PER_INSTANCE;
        },
      },
    });
    closers.push(() => hub.close({ deadlineMs: Math.min(config.DRAIN_TIMEOUT_MS, 5_000) }));

    await opened.start();

    const health = createHealthChecks({
      checks: platformChecks({ sqls: local.map(sqlOf), keys: authenticator, bus }),
    });
    closers.push(() => health.close());
    closers.push(
      observeProcess({
        connections,
        config,
        logger,
        instance,
        registry: metrics.registry,
        setAside: (isAside) => health.setAside(isAside),
      }),
    );
    // A subgraph in another process asks on behalf of its caller, under the identity this gateway once signed.
    const signedIdentity = ({ headers }: FastifyRequest) => headerText(headers[identityHeader]);
    const authenticate = (request: FastifyRequest) => {
      const { headers, socket, ip } = request;
      const signed = signedIdentity(request);
      if (signed !== undefined) return identity.verify(signed);
      const { authorization, host } = headers;
      return charged.authenticate({ authorization, remoteAddress: socket.remoteAddress, host, address: ip });
    };
    const consistency = createConsistency(cache);
    const server = await createServer({
      apollo,
      responses,
      operations,
      isNarrowed: ({ scope }) => gate.isNarrowed(scope.principal.tenantId),
      ...{ direct, deadlines, authenticate },
      createContext: async (request, signal) => {
        const signed = signedIdentity(request);
        const principal = await authenticate(request);
        const token = headerText(request.headers[consistencyHeader]);
        const context = createGatewayContext(principal, {
          consistencyToken: token,
          traceparent: headerText(request.headers['traceparent']),
          correlationId: givenCorrelation(request.headers),
          signal,
          ...(signed === undefined ? { toll: createToll(admission, { principal, address: request.ip }) } : {}),
          ...(isMutation(request) ? { origin: originOfRequest(instance, signed === undefined ? request : null) } : {}),
        });
        await gate.closedTo(principal.tenantId);
        if (token !== undefined && (await consistency.apply(token, principal.tenantId)))
          reads.of(context.scope).bypass = true;
        return context;
      },
      subscriptions: {
        handleUpgrade: hub.handleUpgrade,
        handleSse: (request, response, body) => hub.handleSse(request, response, { body }),
        handleMultipart: (request, response, body) => hub.handleMultipart(request, response, { body }),
      },
      health,
      ide: config.production ? null : createIde({ endpoint: '/graphql', staticPath: '/ide/' }),
      metrics,
      logger,
      drainTimeoutMs: config.DRAIN_TIMEOUT_MS,
      trustProxy: config.TRUST_PROXY === undefined ? false : isTrustedProxy,
      pages: { origins: corsOrigins, production: config.production },
      maxBodyBytes: config.MAX_BODY_BYTES,
      maxBulkBodyBytes: config.MAX_BULK_BODY_BYTES,
      bulkFields,
      trusted,
      persisted,
      importContextFor: ({ scope: { principal, signal } }, request) =>
        createGatewayContext(principal, {
          ...(signal === undefined ? {} : { signal }),
          toll: createToll(admission, { principal, address: request.ip }),
          origin: originOfRequest(instance, request),
        }),
      exports: createExports({
        local: opened.exports,
        urls: config.SUBGRAPH_URLS ?? new Map(),
        isLocal: (module) => opened.subgraphs.has(module as SubgraphName),
        identity,
        closedTo: gate.closedTo,
      }),
    });
    const { url, port } = await server.listen({ host: config.HOST, port: config.PORT });
    const warmed = warmTrusted({ trusted, schema: planning.apiSchema, operations, logger });
    closers.push(() => warmed.stop());
    logger.info({ url, subgraphs: local, database: database.embedded ? 'embedded' : 'external' }, 'ready');
    let closing: Promise<void> | null = null;
    return {
      url,
      port,
      databaseUrl: database.url,
      close() {
        closing ??= (async () => {
          health.drain();
          // Sockets first: the HTTP server waits for open ones for ever.
          await hub.close({ deadlineMs: Math.min(config.DRAIN_TIMEOUT_MS, 5_000) });
          await server.close();
          await closeAll();
        })();
        return closing;
      },
    };
  } catch (error) {
    await closeAll().catch(() => {});
    throw error;
  }
}
