import type { AddressInfo } from 'node:net';
import Fastify, { type FastifyRequest } from 'fastify';
import { type ExecutionResult, type GraphQLError, OperationTypeNode } from 'graphql';
import { Registry } from 'prom-client';
import { registerBodyGate } from '#shared/bodyGate.ts';
import { consistencyHeader } from '#shared/cache/consistencyToken.ts';
import { Cancellation, runCancellable } from '#shared/cancellation.ts';
import { closeServer } from '#shared/closeServer.ts';
import type { Config } from '#shared/config.ts';
import { createRequestScope, type RequestScope } from '#shared/context.ts';
import { describeDatabaseFailure } from '#shared/databaseFailure.ts';
import { PlatformError, toExtensions } from '#shared/errors.ts';
import { createDocuments } from '#shared/execution/documents.ts';
import { createGatewayGraph } from '#shared/gatewayGraph.ts';
import { createIdentitySigner, identityHeader, loadInternalSecret } from '#shared/identity.ts';
import { newId } from '#shared/ids.ts';
import type { LogBuffer } from '#shared/logs/buffer.ts';
import { noteOrigin, originHeader, readOriginHeader } from '#shared/requestOrigin.ts';
import type { OpenSubgraph } from '#shared/subgraph.ts';
import { continueTrace, type Logger, moduleMetrics } from '#shared/telemetry.ts';
import { runTraced } from '#shared/tracing.ts';
import { registerModuleExports } from './exportDoor.ts';
import { type SubgraphName, subgraphNames } from './names.ts';
import { observeProcess } from './observe.ts';
import { openConnections, openSubgraphs } from './open.ts';

export interface ServeOptions {
  readonly config: Config;
  readonly databaseUrl: string;
  readonly logger: Logger;
  /** What the logger writes to beside its output. */
  readonly logBuffer?: LogBuffer;
}

export interface RunningSubgraphs {
  readonly urls: ReadonlyMap<SubgraphName, string>;
  close(): Promise<void>;
}

/** Serves the configured subgraphs over HTTP, each on a port of its own, for a gateway in another process. */
export async function startSubgraphs(options: ServeOptions): Promise<RunningSubgraphs> {
  const { config, logger } = options;
  const names = config.SUBGRAPHS ?? subgraphNames;
  const connections = await openConnections(options);
  const identity = createIdentitySigner(loadInternalSecret({ value: config.INTERNAL_SECRET, dataDir: config.dataDir }));
  const graph = createGatewayGraph({ url: config.GATEWAY_URL, identity });
  const opened = await openSubgraphs({ config, connections, names, graph, logger, invalidator: null });
  const servers: { close(): Promise<unknown> }[] = [];
  const urls = new Map<SubgraphName, string>();
  const registry = new Registry();
  for (const [index, name] of names.entries()) {
    const app = createSubgraphServer(opened.subgraphs.get(name)!, identity.verify, config, logger);
    // Of the process: each of its ports tells the same.
    app.get('/metrics', async (_request, reply) => {
      void reply.type(registry.contentType);
      return Registry.merge([registry, moduleMetrics]).metrics();
    });
    registerModuleExports(app, { module: name, exports: opened.exports, verify: identity.verify });
    await app.listen({
      host: config.SUBGRAPH_HOST,
      port: config.SUBGRAPH_PORT === 0 ? 0 : config.SUBGRAPH_PORT + index,
    });
    servers.push({ close: () => closeServer(app, config.DRAIN_TIMEOUT_MS) });
    const { port } = app.server.address() as AddressInfo;
    urls.set(name, `http://${config.SUBGRAPH_HOST}:${port}/graphql`);
  }
  await opened.start();
  const unobserve = observeProcess({ connections, config, logger, instance: newId(), registry });
  logger.info({ urls: Object.fromEntries(urls) }, 'subgraphs ready');
  return {
    urls,
    async close() {
      await Promise.all(servers.map((server) => server.close()));
      await unobserve();
      await opened.close();
      await connections.close();
    },
  };
}

interface SubgraphRequest {
  readonly query?: unknown;
  readonly operationName?: unknown;
  readonly variables?: unknown;
}

/** One subgraph behind HTTP. It answers nobody but the gateway, whose signature names the principal. */
export function createSubgraphServer(
  subgraph: OpenSubgraph,
  verify: (header: string | undefined) => RequestScope['principal'],
  limits: Pick<Config, 'MAX_BODY_BYTES' | 'MAX_BULK_BODY_BYTES'>,
  logger: Logger,
) {
  const documents = createDocuments({ schema: subgraph.schema, max: 2_000 });
  const app = Fastify({
    bodyLimit: limits.MAX_BULK_BODY_BYTES,
    logger: false,
    forceCloseConnections: 'idle',
    keepAliveTimeout: 65_000,
  });

  app.setErrorHandler((error, _request, reply) => {
    const failure =
      error instanceof PlatformError
        ? error
        : new PlatformError('BAD_REQUEST', error instanceof Error ? error.message : 'malformed request');
    void reply.code(failure.status).send({ errors: [{ message: failure.message, extensions: toExtensions(failure) }] });
  });
  const principalOf = ({ headers: { [identityHeader]: header } }: FastifyRequest) =>
    verify(Array.isArray(header) ? undefined : header);
  registerBodyGate(app, { maxBodyBytes: limits.MAX_BODY_BYTES, authenticate: principalOf });
  app.get('/live', () => ({ status: 'live' }));
  app.post('/graphql', async (request, reply) => {
    const principal = principalOf(request);
    const { query, operationName, variables } = (request.body ?? {}) as SubgraphRequest;
    if (typeof query !== 'string') throw new PlatformError('BAD_REQUEST', 'expected a query');
    const traceparent = request.headers['traceparent'];
    const correlationId = request.headers['x-correlation-id'];
    const consistencyToken = request.headers[consistencyHeader];
    const abort = new AbortController();
    const cancellation = new Cancellation();
    reply.raw.once('close', () => {
      if (reply.raw.writableFinished) return;
      abort.abort();
      cancellation.cancel();
    });
    const scope = createRequestScope({
      principal,
      traceparent: continueTrace(Array.isArray(traceparent) ? undefined : traceparent),
      correlationId: typeof correlationId === 'string' ? correlationId : newId(),
      signal: abort.signal,
      ...(typeof consistencyToken === 'string' ? { consistencyToken } : {}),
    });
    const origin = request.headers[originHeader];
    const came = readOriginHeader(Array.isArray(origin) ? undefined : origin);
    if (came !== null) noteOrigin(scope.traceparent, came);
    const operation = documents.find(query, typeof operationName === 'string' ? operationName : null);
    const result: ExecutionResult =
      'execute' in operation
        ? await runTraced(scope.traceparent, () => {
            const execute = () =>
              operation.execute({
                variables: variables as Record<string, unknown> | undefined,
                contextValue: subgraph.contextFor(scope),
              });
            // What changes something is finished, whoever still listens.
            return operation.operationType === OperationTypeNode.QUERY
              ? runCancellable(cancellation, execute)
              : execute();
          })
        : { errors: operation };
    return {
      ...(result.data === undefined ? {} : { data: result.data }),
      ...(result.errors === undefined
        ? {}
        : { errors: result.errors.map((error) => formatError(error, logger, scope.correlationId)) }),
      extensions: {
        ...(scope.readTags.size === 0 ? {} : { cacheTags: [...scope.readTags] }),
        ...(scope.written.length === 0 ? {} : { written: scope.written }),
      },
    };
  });
  return app;
}

/** Keeps what was meant for the caller; the rest is logged here and leaves as INTERNAL_ERROR. */
function formatError(error: GraphQLError, logger: Logger, correlationId: string) {
  const { message, path, locations } = error;
  const where = { ...(path === undefined ? {} : { path }), ...(locations === undefined ? {} : { locations }) };
  if (
    error.originalError === undefined ||
    error.originalError instanceof PlatformError ||
    error.extensions['code'] === 'BAD_USER_INPUT'
  ) {
    return { message, ...where, extensions: error.extensions };
  }
  const known = describeDatabaseFailure(error.originalError);
  if (known !== null) return { message: known.message, ...where, extensions: toExtensions(known) };
  const reference = newId();
  logger.error(
    { reference, correlationId, error: error.originalError.stack ?? String(error.originalError), path },
    'unexpected failure',
  );
  return {
    message: 'an unexpected failure',
    ...where,
    extensions: { ...toExtensions(new PlatformError('INTERNAL_ERROR', '')), reference },
  };
}
