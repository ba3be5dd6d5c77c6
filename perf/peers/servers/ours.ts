import '../../../gateway/lazyPackages.ts';
import type { GraphQLDataSource } from '@apollo/gateway';
import { type GraphQLSchema, parse } from 'graphql';
import { noTrustedDocuments } from '#shared/trustedDocuments.ts';
import type { GatewayContext } from '../../../gateway/context.ts';
import { createDeadlines } from '../../../gateway/deadlines.ts';
import { createDirectAnswers } from '../../../gateway/directAnswers.ts';
import { createPersistedDocuments } from '../../../gateway/documents/persistedDocuments.ts';
import { createHttpDataSource } from '../../../gateway/execution/http.ts';
import { createInProcessDataSource } from '../../../gateway/execution/inProcess.ts';
import {
  createCachedDataSource,
  createFieldPolicies,
  createRequestReadsRegistry,
  createResponseCache,
} from '../../../gateway/execution/responseCache/index.ts';
import { createFederation } from '../../../gateway/federation.ts';
import { createGatewayContext } from '../../../gateway/graph.ts';
import { createHealthChecks } from '../../../gateway/health.ts';
import { createDocumentRule } from '../../../gateway/limits/documentRule.ts';
import { remoteSubgraphs } from '../../../gateway/remoteSubgraphs.ts';
import { headerText } from '../../../gateway/requestHeaders.ts';
import { createServer } from '../../../gateway/server.ts';
import { createFetchMeter } from '../../../gateway/sources.ts';
import { createScopeAuthorizer } from '../../../subgraphs/shared/auth.ts';
import { createTaggedCache } from '../../../subgraphs/shared/cache.ts';
import type { RequestScope } from '../../../subgraphs/shared/context.ts';
import { createIdentitySigner, identityHeader } from '../../../subgraphs/shared/identity.ts';
import { newId } from '../../../subgraphs/shared/ids.ts';
import { createLogger, createMetrics } from '../../../subgraphs/shared/telemetry.ts';
import { createVerifier } from '../authentication.ts';
import { buildForeignSchemas, foreignNames, foreignTypeDefs } from '../graph/subgraphs.ts';
import type { StartPeer } from '../peerServer.ts';

type Source = GraphQLDataSource<Record<string, unknown>>;

/** The defaults of the platform's configuration. */
const documentLimits = { depth: 12, aliases: 20, rootFields: 10, directives: 9 };

/**
 * The project's own gateway over the foreign supergraph: the HTTP server, Apollo Server, ApolloGateway, direct execution
 * and the data sources as `npm start` assembles them, with CACHE=off. Left out is what belongs to the platform's
 * modules: rates and costs, the gate of disabled modules, subscriptions.
 */
export const start: StartPeer = async ({ variant, supergraphSdl, subgraphsOrigin, authentication }) => {
  if (variant !== 'inProcess' && variant !== 'http') throw new Error(`expected inProcess or http, got ${variant}`);
  const logger = createLogger('warn');
  const metrics = createMetrics(newId());
  const verifier = createVerifier(authentication);
  const identity = createIdentitySigner('peers are asked by one gateway only');
  // On the scope: Apollo Server hands a copy of the context on.
  const authorization = Symbol('authorization');
  type Authorized = RequestScope & { [authorization]?: string };
  const onFetch = createFetchMeter(metrics);
  const authorizer = createScopeAuthorizer();
  const cache = createTaggedCache({ enabled: false, l1: { maxEntries: 1, maxBytes: 1, ttlMs: 1 } });
  const modules = foreignNames.map((name) => ({ name, typeDefs: parse(foreignTypeDefs[name]) }));
  const policies = createFieldPolicies(modules);
  const reads = createRequestReadsRegistry(cache);
  const schemas: ReadonlyMap<string, GraphQLSchema> = variant === 'inProcess' ? buildForeignSchemas() : new Map();
  const closers: (() => Promise<void>)[] = [];

  function open(name: string): Source {
    const schema = schemas.get(name);
    if (schema)
      return createInProcessDataSource<GatewayContext>({
        name,
        schema,
        contextFor: ({ scope }) => scope,
        onFetch,
      }) as unknown as Source;
    const source = createHttpDataSource<GatewayContext>({
      name,
      url: `${subgraphsOrigin}/${name}`,
      timeoutMs: 10_000,
      // What a subgraph of the platform is told, and the caller's header, which the peers forward.
      headersFor: ({ scope }) => ({
        [identityHeader]: identity.sign(scope.principal),
        traceparent: scope.traceparent,
        'x-correlation-id': scope.correlationId,
        authorization: (scope as Authorized)[authorization] ?? '',
      }),
      cancellationFor: ({ cancellation }) => cancellation,
      onFetch,
    });
    closers.push(() => source.close());
    return source as unknown as Source;
  }

  const sources = new Map(
    foreignNames.map((name) => [
      name as string,
      createCachedDataSource(open(name), {
        ...{ subgraph: name, cache, policies, authorizer, reads },
        requestOf: (context) => (context as unknown as GatewayContext).scope,
      }),
    ]),
  );
  const deadlines = createDeadlines(30_000);
  const persisted = createPersistedDocuments(null);
  const federation = await createFederation({
    supergraphSdl,
    sources,
    schemas,
    contextFor: (_name, { scope }) => scope,
    remotes: remoteSubgraphs(variant === 'http' ? modules : [], sources),
    deadlines,
    logger,
    metrics,
    introspection: false,
    maxTokens: 1_000,
    validationRules: [createDocumentRule(documentLimits)],
    persisted,
    isAdmitted: () => true,
  });
  const health = createHealthChecks({ checks: {} });
  const server = await createServer({
    apollo: federation.apollo,
    responses: createResponseCache({ cache, policies, authorizer, reads }),
    operations: federation.operations,
    isNarrowed: () => false,
    direct: createDirectAnswers({ logger, metrics, deadlines }),
    deadlines,
    authenticate: ({ headers }) => verifier.verify(headers.authorization),
    createContext: async ({ headers }, signal) => {
      const context = createGatewayContext(await verifier.verify(headers.authorization), {
        traceparent: headerText(headers['traceparent']),
        signal,
      });
      if (variant === 'http') (context.scope as Authorized)[authorization] = headers.authorization ?? '';
      return context;
    },
    // The foreign graph has no subscriptions.
    subscriptions: {
      handleUpgrade: (_request, socket) => socket.destroy(),
      handleSse: async (_request, response) => void response.writeHead(406).end(),
      handleMultipart: async (_request, response) => void response.writeHead(406).end(),
    },
    health,
    ide: null,
    metrics,
    logger,
    drainTimeoutMs: 1_000,
    trustProxy: false,
    maxBodyBytes: 65_536,
    maxBulkBodyBytes: 65_536,
    bulkFields: new Set(),
    trusted: noTrustedDocuments,
    persisted,
  });
  const { port } = await server.listen({ host: '127.0.0.1', port: 0 });
  return {
    port,
    async close() {
      await server.close();
      await federation.stop();
      for (const close of closers) await close();
      await cache.close();
      deadlines.close();
      health.close();
      verifier.close();
    },
  };
};
