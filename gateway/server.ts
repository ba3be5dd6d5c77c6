import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import type { ApolloServer } from '@apollo/server';
import { fastifyApolloHandler } from '@as-integrations/fastify';
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import type { GraphQLFormattedError } from 'graphql';
import { Registry } from 'prom-client';
import { registerBodyGate } from '#shared/bodyGate.ts';
import { consistencyHeader } from '#shared/cache/consistencyToken.ts';
import { closeServer } from '#shared/closeServer.ts';
import { PlatformError } from '#shared/errors.ts';
import type { ModuleExports } from '#shared/exports/moduleExports.ts';
import type { Principal } from '#shared/principal.ts';
import { type Logger, type Metrics, moduleMetrics } from '#shared/telemetry.ts';
import { runTraced } from '#shared/tracing.ts';
import type { TrustedDocuments } from '#shared/trustedDocuments.ts';
import { turnEnd } from '#shared/turnEnd.ts';
import { firstRootField } from './apollo.ts';
import type { GatewayContext } from './context.ts';
import { correlatedBody, correlationHeader } from './correlation.ts';
import type { Deadlines } from './deadlines.ts';
import { afterData, type DirectAnswers } from './directAnswers.ts';
import type { PersistedDocuments } from './documents/persistedDocuments.ts';
import type { KnownOperations } from './execution/operations.ts';
import type { ResponseCache } from './execution/responseCache/responseCache.ts';
import { registerExports } from './exports.ts';
import { registerFiles } from './files.ts';
import type { HealthChecks } from './health.ts';
import { readHotRequest } from './hotRequest.ts';
import { answerClientError, endWith, sendError, tellCorrelation, toPlatformError } from './httpFailures.ts';
import type { Ide } from './ide.ts';
import { type ImportsOptions, registerImports } from './imports.ts';
import { RateLimited, rateLimitHeaders } from './limits/admission.ts';
import type { ProxyTrust } from './limits/clientAddress.ts';
import { registerOtlp } from './otlp.ts';
import { countAbandoned, countOutcome, type Outcome, outcomeOf, refusedBy } from './outcome.ts';
import { type PageRules, registerPageRules } from './pageRules.ts';
import { createBodyParser } from './requestBody.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** Once the caller is known. On the request itself: a weak map of requests makes each collection longer. */
    graphContext: GatewayContext | null;
    /** Set where it is refused as a whole, else that of its operation holds. */
    outcome: Outcome | null;
    isCounted: boolean;
  }
}

/** Streams of a subscription over plain HTTP, as the hub serves them. */
export interface SubscriptionTransports {
  handleUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void;
  handleSse(request: IncomingMessage, response: ServerResponse, body: unknown): Promise<void>;
  handleMultipart(request: IncomingMessage, response: ServerResponse, body: unknown): Promise<void>;
}

export interface ServerOptions {
  readonly apollo: ApolloServer<GatewayContext>;
  /** Who asks, by the headers. @throws {UNAUTHENTICATED} {UNAVAILABLE} {RATE_LIMITED} */
  readonly authenticate: (request: FastifyRequest) => Promise<Principal> | Principal;
  /** The signal, made when it is asked for, aborts when the client goes away before it is answered. */
  readonly createContext: (
    request: FastifyRequest,
    signal: () => AbortSignal,
  ) => Promise<GatewayContext> | GatewayContext;
  readonly subscriptions: SubscriptionTransports;
  readonly health: HealthChecks;
  readonly ide: Ide | null;
  readonly metrics: Metrics;
  readonly logger: Logger;
  /** Time running requests get to finish at shutdown, ms. */
  readonly drainTimeoutMs: number;
  /** Proxies whose `x-forwarded-for` is believed. */
  readonly trustProxy: ProxyTrust | false;
  /** What browsers are told. @default pages of the own origin alone may ask, and nothing is said of TLS */
  readonly pages?: PageRules;
  readonly maxBodyBytes: number;
  /** Of who is known: everybody else may send `maxBodyBytes`. */
  readonly maxBulkBodyBytes: number;
  /** Root fields whose operations may carry a body over `maxBodyBytes`. */
  readonly bulkFields: ReadonlySet<string>;
  readonly trusted: TrustedDocuments;
  /** Documents that clients name by their hash; those of this process are found without Apollo Server. */
  readonly persisted: Pick<PersistedDocuments, 'peek'>;
  /** Whole answers of queries, looked up before the document is parsed again. */
  readonly responses: ResponseCache;
  /** Whether the caller may not be answered from what is kept, nor past the gateway: some module is closed to its tenant. */
  readonly isNarrowed: (context: GatewayContext) => boolean;
  readonly operations: Pick<KnownOperations<GatewayContext>, 'find'>;
  readonly direct: DirectAnswers;
  /** The time a query may take. */
  readonly deadlines: Pick<Deadlines, 'begin' | 'wait'>;
  /** Exports of whole modules, here or elsewhere. @default none are offered */
  readonly exports?: ModuleExports;
  /** The context of one chunk of an import. @default no imports are taken */
  readonly importContextFor?: ImportsOptions['contextFor'];
}

export interface GatewayServer {
  listen(address: { host: string; port: number }): Promise<{ url: string; port: number }>;
  close(): Promise<void>;
}

/** HTTP and WebSocket in front of the graph: one path for operations, one error shape for everything. */
export async function createServer(options: ServerOptions): Promise<GatewayServer> {
  const { apollo, metrics, logger } = options;
  const app = Fastify({
    bodyLimit: options.maxBulkBodyBytes,
    logger: false,
    trustProxy: options.trustProxy,
    forceCloseConnections: 'idle',
    keepAliveTimeout: 65_000,
    requestTimeout: 60_000,
    clientErrorHandler: answerClientError,
    frameworkErrors: (error, request, reply) => void sendError(request, reply, toPlatformError(error)),
  });

  app.setErrorHandler((error, request, reply) => {
    const failure = toPlatformError(error);
    request.outcome = refusedBy(failure, request.graphContext?.ended.outcome?.operation);
    if (failure instanceof RateLimited) void reply.headers(rateLimitHeaders(failure.standing));
    const correlationId = tellCorrelation(request, reply);
    if (failure.code === 'INTERNAL_ERROR') logger.error({ correlationId, error: String(error) }, 'request failed');
    void sendError(request, reply, failure);
  });
  app.setNotFoundHandler(
    (request, reply) => void sendError(request, reply, new PlatformError('NOT_ROUTED', 'no such path')),
  );

  app.decorateRequest('outcome', null);
  app.decorateRequest('isCounted', false);
  /** Requests to the graph, however they come in: those of processes that ask on a caller's behalf are his. */
  const countOnce = (request: FastifyRequest, isAbandoned = false) => {
    const { graphContext } = request;
    if (request.isCounted || (graphContext !== null && graphContext.toll === undefined)) return;
    request.isCounted = true;
    const outcome = request.outcome ?? graphContext?.ended.outcome;
    if (outcome) countOutcome(metrics, outcome);
    else if (isAbandoned) countAbandoned(metrics);
    else countOutcome(metrics, outcomeOf('none', undefined));
  };

  registerPageRules(app, options.pages ?? { origins: new Set(), production: false });
  app.addHook('onResponse', (request, reply, done) => {
    const path = request.routeOptions.url ?? 'unknown';
    metrics.countRequest(path);
    if (isGraphPath(path)) countOnce(request);
    metrics.apiResponseTime.observe(
      { method: request.method, endpoint: path, status: String(reply.statusCode) },
      reply.elapsedTime,
    );
    done();
  });

  registerBodyGate(app, { maxBodyBytes: options.maxBodyBytes, authenticate: options.authenticate });
  app.removeContentTypeParser('application/json');
  app.addContentTypeParser('application/json', { parseAs: 'buffer' }, createBodyParser(options));

  app.get('/live', () => ({ status: 'live' }));
  app.get('/ready', async (_request, reply) => {
    const report = await options.health.ready();
    void reply.code(report.ready ? 200 : 503);
    return report;
  });
  app.get('/metrics', async (_request, reply) => {
    void reply.type(metrics.registry.contentType);
    return Registry.merge([metrics.registry, moduleMetrics]).metrics();
  });
  if (options.ide) registerIde(app, options.ide);

  app.decorateRequest('graphContext', null);
  const createContext = async (request: FastifyRequest, reply: FastifyReply): Promise<GatewayContext> => {
    const signal = watchClient(reply, () => {
      request.graphContext?.cancellation.cancel();
      countOnce(request, true);
    });
    const context = await options.createContext(request, signal);
    request.graphContext = context;
    if (request.headers[correlationHeader] !== undefined) tellCorrelation(request, reply);
    return context;
  };
  const apolloHandler = fastifyApolloHandler(apollo, { context: async (request) => request.graphContext! });

  const answer = async (request: FastifyRequest, reply: FastifyReply) => {
    const accept = request.headers.accept ?? '';
    if (accept.includes('text/event-stream')) {
      hijack(request, reply);
      await options.subscriptions.handleSse(request.raw, reply.raw, bodyOf(request));
      return reply;
    }
    if (accept.includes('multipart/mixed') && accept.includes('subscriptionSpec')) {
      hijack(request, reply);
      await options.subscriptions.handleMultipart(request.raw, reply.raw, bodyOf(request));
      return reply;
    }
    const context = await createContext(request, reply);
    // Without a trace of the caller's there is none that would be sampled.
    const traced = <T>(work: () => Promise<T>) =>
      request.headers['traceparent'] === undefined ? work() : runTraced(context.scope.traceparent, work);
    const executeByApollo = () => traced(async () => String(await apolloHandler.call(app, request, reply)));
    // What is kept answers application/json; who asks for another form of it gets it from Apollo Server.
    const hot =
      request.method === 'POST' && acceptsJson(accept) ? readHotRequest(request.body, options.persisted) : null;
    const isWhole = hot !== null && !options.isNarrowed(context);
    const known = !isWhole ? undefined : options.operations.find(hot.source, hot.operationName);
    const { toll } = context;
    if (hot === null || known === undefined) {
      await toll?.payEntry();
      return executeByApollo();
    }
    const { direct, document } = known;
    const paid = toll?.pay(document, known.operation, hot.variables);
    if (paid !== undefined) await paid;
    if (toll?.standing) void reply.headers(rateLimitHeaders(toll.standing));
    const end = afterData(toll);
    const execute = async (): Promise<{ response: string; data: string | null }> => {
      const answer = direct === null ? null : await traced(() => options.direct.answer(direct, hot.variables, context));
      if (answer === null) {
        const response = await executeByApollo();
        return { response, data: known.isQuery && reply.statusCode === 200 ? dataOf(response, end) : null };
      }
      if (known.isQuery && direct?.bypassesSources) options.responses.noteReads(context.scope);
      void reply.type(jsonType);
      if (answer.consistencyToken !== null) void reply.header(consistencyHeader, answer.consistencyToken);
      return { response: answer.body, data: answer.data };
    };
    // Finds what was changed in logs, errors and the audit. Who only read and was answered has no use for it.
    if (!known.isQuery) {
      tellCorrelation(request, reply);
      return (await execute()).response;
    }
    options.deadlines.begin(context);
    const served = await options.responses.serve(
      {
        ...hot,
        document,
        scope: context.scope,
        admitted: direct?.bypassesSources === true,
        wait: (pending) => options.deadlines.wait(context, pending),
      },
      execute,
    );
    metrics.cacheRequests.inc({ grain: 'response', result: served.hit });
    if ('response' in served) return served.response;
    context.ended.outcome = outcomeOf(firstRootField(known.operation), undefined);
    void reply.type(jsonType).header('x-mplp-cache', served.hit);
    return `{"data":${String(served.data)}${end}`;
  };
  const handle = async (request: FastifyRequest, reply: FastifyReply) => {
    const payload = await answer(request, reply);
    const isOther = typeof payload === 'string' && !payload.startsWith(dataPrefix);
    if (isOther && request.graphContext?.ended.outcome === undefined)
      request.outcome = outcomeOf('none', errorsIn(payload));
    const shown = isOther ? correlatedBody(payload, tellCorrelation(request, reply)) : payload;
    await turnEnd();
    return shown;
  };
  app.route({ method: ['GET', 'POST'], url: '/graphql', handler: handle });
  app.route({
    method: ['PUT', 'PATCH', 'DELETE', 'OPTIONS'],
    url: '/graphql',
    handler: async (request, reply) => {
      void reply.header('allow', 'GET, POST');
      throw new PlatformError('METHOD_NOT_ALLOWED', `expected GET or POST, got ${request.method}`);
    },
  });
  registerOtlp(app, { apollo, createContext });
  registerFiles(app, { apollo, createContext });
  if (options.importContextFor) registerImports(app, { apollo, createContext, contextFor: options.importContextFor });
  if (options.exports) registerExports(app, { exports: options.exports, createContext });
  app.server.on('upgrade', (request, socket, head) => {
    if (request.url === '/graphql' || request.url?.startsWith('/graphql?'))
      options.subscriptions.handleUpgrade(request, socket, head);
    else endWith(socket, new PlatformError('NOT_ROUTED', 'no such path'), request.headers);
  });

  return {
    async listen({ host, port }) {
      await app.listen({ host, port });
      const address = app.server.address() as AddressInfo;
      const shown = host.includes(':') ? `[${host}]` : host;
      return { url: `http://${shown}:${address.port}`, port: address.port };
    },
    async close() {
      await closeServer(app, options.drainTimeoutMs);
    },
  };
}

/** Leaves the answer to a stream, which writes its own head beside the headers there are and counts what it comes to. */
function hijack(request: FastifyRequest, reply: FastifyReply): void {
  request.isCounted = true;
  for (const [name, value] of Object.entries(reply.getHeaders()))
    if (value !== undefined) reply.raw.setHeader(name, value);
  reply.hijack();
}

/** What was posted; never the query string in its place, which a page of another site may choose without a preflight. */
function bodyOf(request: FastifyRequest): unknown {
  return request.method === 'POST' ? (request.body ?? null) : undefined;
}

/** Bound to the answer, not to the socket: a kept-alive socket sees many of them. */
function watchClient(reply: FastifyReply, onGone: () => void): () => AbortSignal {
  let isGone = false;
  let abort: AbortController | null = null;
  reply.raw.once('close', () => {
    if (reply.raw.writableFinished) return;
    isGone = true;
    abort?.abort();
    onGone();
  });
  return () => {
    abort ??= new AbortController();
    if (isGone) abort.abort();
    return abort.signal;
  };
}

function acceptsJson(accept: string): boolean {
  return (
    accept === '' ||
    ((accept.includes('application/json') || accept.includes('*/*')) && !accept.includes('graphql-response'))
  );
}

/** Errors of a body that Apollo Server wrote before there was an operation. */
function errorsIn(body: string): readonly GraphQLFormattedError[] {
  try {
    return (JSON.parse(body) as { errors?: readonly GraphQLFormattedError[] }).errors ?? [];
  } catch {
    return [];
  }
}

/** Where the graph is asked, beside pages and probes. */
function isGraphPath(path: string): boolean {
  return path === '/graphql' || path.startsWith('/v1/');
}

const jsonType = 'application/json; charset=utf-8';
const dataPrefix = '{"data":';

/** `data` of an answer that holds nothing else but its usual end, as it stands in the body. */
function dataOf(body: string, end: string): string | null {
  // With errors or other extensions beside it `data` does not come first or is not followed by that: nothing is kept then.
  if (!body.startsWith(dataPrefix) || !body.endsWith(end)) return null;
  const data = body.slice(dataPrefix.length, -end.length);
  return isOneValue(data) ? data : null;
}

/** True when the text is one JSON object, so that nothing follows it on the same level. */
function isOneValue(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

function registerIde(app: FastifyInstance, ide: Ide): void {
  app.get('/', (_request, reply) => reply.redirect('/ide'));
  app.get('/ide', (_request, reply) => reply.type('text/html; charset=utf-8').send(ide.page));
  app.get('/ide/*', async (request, reply) => {
    const accept = request.headers['accept-encoding'];
    const asset = await ide.asset(request.url.split('?')[0]!, Array.isArray(accept) ? accept.join(', ') : accept);
    if (!asset) throw new PlatformError('NOT_ROUTED', 'no such file');
    return reply.headers(asset.headers).type(asset.contentType).send(asset.body);
  });
}
