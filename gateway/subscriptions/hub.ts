import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import type { DocumentNode, FormattedExecutionResult, GraphQLFormattedError, ValidationRule } from 'graphql';
import type { Bus } from '#shared/bus.ts';
import { decodeCursor, isStreamId } from '#shared/cursor.ts';
import { PlatformError } from '#shared/errors.ts';
import type { EphemeralEvent, EventRow, StreamSubscription } from '#shared/events.ts';
import type { Principal } from '#shared/principal.ts';
import type { Sql } from '#shared/sql.ts';
import { defaultHubConfig, type HubConfig } from './config.ts';
import { createErrorFormatter, type FormatError } from './errors.ts';
import type { EventLog } from './eventLog.ts';
import { createStreamFeed } from './feed.ts';
import { createGroup, type Group } from './group.ts';
import type { HubLogger } from './logger.ts';
import { type HubMetrics, silentMetrics } from './metrics.ts';
import {
  type CompiledSubscription,
  coerceSubscription,
  createOperationCatalog,
  type GraphQLRequest,
  type OperationScope,
  relevantVariables,
  type SubscriptionOperation,
  ValidationFailure,
} from './operation.ts';
import { createPayloadBuilder } from './payload.ts';
import { createSubscriptionPlanner, type DataSources } from './planner.ts';
import type { Variables } from './selection.ts';
import type { Sink } from './sink.ts';
import { type ConnectionInfo, createSubscriber, type Subscriber } from './subscriber.ts';
import { createTickFlusher } from './tick.ts';
import { createHttpTransport, type HttpStreamOptions, multipartFormat, sseFormat } from './transports/http.ts';
import { createWebSocketTransport } from './transports/webSocket.ts';

export interface Credentials {
  readonly headers: IncomingMessage['headers'];
  /** Payload of `connection_init`; WebSocket only. */
  readonly connectionParams: Readonly<Record<string, unknown>> | undefined;
  readonly remoteAddress: string | undefined;
}

export interface SubscriptionHubDeps {
  readonly supergraphSdl: string;
  /** The gateway's data sources by subgraph name; what a plan asks beyond the event goes through them. */
  readonly dataSources: DataSources;
  /** One entry for each field of `Subscription`. */
  readonly subscriptions: Readonly<Record<string, StreamSubscription>>;
  readonly eventLog: EventLog;
  readonly bus: Bus;
  /** The database of a module, for admission. */
  sqlOf(module: StreamSubscription['module']): Sql;
  /** @throws {PlatformError} UNAUTHENTICATED */
  authenticate(credentials: Credentials): Principal | Promise<Principal>;
  /** `contextValue` for the fetches behind one event: fresh loaders, the principal, the event's `traceparent`. */
  createRequestContext(
    principal: Principal,
    connection: ConnectionInfo,
    event: EventRow | EphemeralEvent,
  ): Record<string, unknown> | Promise<Record<string, unknown>>;
  /** Queries and mutations that come over a subscription transport: validated, limited and executed as over HTTP. */
  executeOperation(
    request: GraphQLRequest,
    principal: Principal,
    connection: ConnectionInfo,
  ): Promise<FormattedExecutionResult>;
  scopeOf(document: DocumentNode): OperationScope;
  /** False refuses a WebSocket from this `Origin` with 403. Clients outside browsers send none. */
  isOriginAllowed?(origin: string | undefined, request: IncomingMessage): boolean;
  readonly validationRules?: readonly ValidationRule[];
  readonly formatError?: FormatError;
  readonly logger: HubLogger;
  readonly metrics?: Partial<HubMetrics>;
  readonly config?: Partial<HubConfig>;
}

export interface SubscribeRequest {
  readonly operation: SubscriptionOperation;
  readonly variables: Variables | null | undefined;
  readonly principal: Principal;
  readonly connection: ConnectionInfo;
  readonly sink: Sink;
  /** Called once when the operation is over, whoever ended it. */
  onEnd(): void;
}

export interface SubscriptionHub {
  /** For `server.on('upgrade')` on the GraphQL path. */
  handleUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void;
  /** `accept: text/event-stream`, GET or POST (graphql-sse, distinct connections). */
  handleSse(request: IncomingMessage, response: ServerResponse, options?: HttpStreamOptions): Promise<void>;
  /** `accept: multipart/mixed;subscriptionSpec="1.0"`, POST. */
  handleMultipart(request: IncomingMessage, response: ServerResponse, options?: HttpStreamOptions): Promise<void>;
  /** Plans operations ahead, so that the first subscriber does not wait for it. */
  warm(requests: readonly GraphQLRequest[]): void;
  stats(): { readonly subscriptions: number; readonly groups: number; readonly streams: number };
  /** Ends all subscriptions and connections; those that have not gone after `deadlineMs` are destroyed. */
  close(options?: { readonly deadlineMs?: number }): Promise<void>;
}

/** Carries the subscriptions of the graph over WebSocket, server-sent events and multipart. */
export function createSubscriptionHub(deps: SubscriptionHubDeps): SubscriptionHub {
  const { logger, bus, eventLog, subscriptions } = deps;
  const config: HubConfig = { ...defaultHubConfig, ...deps.config };
  const metrics: HubMetrics = { ...silentMetrics, ...deps.metrics };
  const formatError = deps.formatError ?? createErrorFormatter(logger);
  const planner = createSubscriptionPlanner(deps.supergraphSdl, deps.dataSources, logWithoutDetails(logger));
  const catalog = createOperationCatalog({
    planner,
    subscriptions,
    scopeOf: (document) => deps.scopeOf(document),
    ...(deps.validationRules === undefined ? {} : { validationRules: deps.validationRules }),
    maxDocumentTokens: config.maxDocumentTokens,
    operationCacheSize: config.operationCacheSize,
  });
  const feed = createStreamFeed({
    bus,
    eventLog,
    modules: [...new Set(Object.values(subscriptions).map((source) => source.module))],
    pageSize: config.replayPageSize,
    recentEvents: config.recentEvents,
    pollIntervalMs: config.pollIntervalMs,
    sweepIntervalMs: config.sweepIntervalMs,
    logger,
    metrics,
  });
  const flusher = createTickFlusher();
  const groups = new Map<string, GroupHold>();
  const subscribers = new Set<Subscriber>();
  let closing = false;

  const core: HubCore = {
    config,
    metrics,
    logger,
    flusher,
    apiSchema: planner.apiSchema,
    authenticate: async (credentials) => deps.authenticate(credentials),
    executeOperation: (request, principal, connection) => deps.executeOperation(request, principal, connection),
    isOriginAllowed: (origin, request) => deps.isOriginAllowed?.(origin, request) ?? true,
    prepare: (request) => catalog.prepare(request),
    subscribe,
    formatErrors,
    formatError,
  };
  const webSocket = createWebSocketTransport(core);
  const sse = createHttpTransport(core, sseFormat(config.heartbeatMs));
  const multipart = createHttpTransport(core, multipartFormat(config.multipartHeartbeatMs));

  /**
   * Starts an operation on its stream.
   * @throws {PlatformError} what admission answers; CURSOR_INVALID; RESUME_TOO_OLD; UNAVAILABLE while closing.
   */
  async function subscribe(request: SubscribeRequest): Promise<Subscriber> {
    if (closing) throw new PlatformError('UNAVAILABLE', 'The server is shutting down.');
    const { operation, principal, connection, sink } = request;
    const { compiled } = operation;
    const { variables, args } = coerceSubscription(planner, operation, request.variables);
    const streamId = compiled.source.streamId(args).toLowerCase();
    if (!isStreamId(streamId)) {
      throw new PlatformError('BAD_USER_INPUT', `Subscription.${compiled.fieldName} follows a stream by its UUID.`);
    }
    const hold = holdGroup(compiled, relevantVariables(compiled, variables), streamId, principal);
    try {
      const { follower } = hold.group;
      await follower.opened;
      // Taken before admission: what happens while membership is read is still seen by the gate.
      const present = follower.position;
      const gate = await compiled.source.admit(principal, args, { sql: deps.sqlOf(compiled.source.module) });
      const position = await startPosition(args['after'], present, hold);
      if (closing) throw new PlatformError('UNAVAILABLE', 'The server is shutting down.');
      const subscriber = createSubscriber({
        group: hold.group,
        gate,
        sink,
        principal,
        connection,
        position,
        maxBufferedBytes: config.maxBufferedBytes,
        maxReplayAgeMs: config.maxReplayAgeMs,
        slowConsumerGraceMs: config.slowConsumerGraceMs,
        formatError,
        metrics,
        onEnd() {
          subscribers.delete(subscriber);
          metrics.subscriptionEnded(compiled.fieldName);
          hold.release();
          request.onEnd();
        },
      });
      subscribers.add(subscriber);
      metrics.subscriptionStarted(compiled.fieldName);
      return subscriber;
    } catch (error) {
      hold.release();
      throw error;
    }
  }

  async function startPosition(after: unknown, present: number, { group }: GroupHold): Promise<number> {
    if (typeof after !== 'string') return present;
    if (group.source.kind === 'ephemeral') {
      throw new PlatformError('CURSOR_INVALID', 'Nothing of this subscription is kept, so it cannot be resumed.', {
        path: ['after'],
      });
    }
    const sequence = decodeCursor(after, group.follower.key.streamId);
    const head = await group.follower.readHead();
    if (sequence > head.lastSequence) {
      throw new PlatformError('CURSOR_INVALID', 'The cursor is ahead of its stream.', { path: ['after'] });
    }
    if (sequence + 1 < head.oldestKeptSequence) {
      throw new PlatformError('RESUME_TOO_OLD', 'Events after this cursor are no longer kept: read the state anew.', {
        path: ['after'],
      });
    }
    // The head may be ahead of the follower by what is on its way; the follower is told, so that it waits for nothing.
    group.follower.offerHead(head.lastSequence, 'live');
    return sequence;
  }

  function holdGroup(
    compiled: CompiledSubscription,
    variables: Variables,
    streamId: string,
    principal: Principal,
  ): GroupHold {
    const { source } = compiled;
    const { tenantId, permissionKey, subject } = principal;
    const key = JSON.stringify([
      compiled.text,
      canonical(variables),
      streamId,
      tenantId,
      permissionKey,
      compiled.scope === 'SUBJECT' ? subject : null,
    ]);
    let hold = groups.get(key);
    if (hold === undefined || hold.group.follower.broken !== undefined) {
      if (hold !== undefined) feed.forget(hold.group.follower);
      const build = createPayloadBuilder({
        planner,
        subscription: compiled,
        source,
        variables,
        restTimeoutMs: config.restTimeoutMs,
        formatError,
      });
      const lease = feed.acquire({ module: source.module, tenantId, streamId });
      const group = createGroup({
        follower: lease.follower,
        source,
        fieldName: compiled.fieldName,
        build,
        recentPayloads: config.recentEvents,
        metrics,
        createContext: (member, event) => deps.createRequestContext(member.principal, member.connection, event),
      });
      const created: GroupHold = {
        group,
        holders: 0,
        release() {
          created.holders--;
          if (created.holders > 0) return;
          group.close();
          lease.release();
          if (groups.get(key) === created) groups.delete(key);
          metrics.groups(groups.size);
        },
      };
      hold = created;
      groups.set(key, hold);
      metrics.groups(groups.size);
    }
    hold.holders++;
    return hold;
  }

  function formatErrors(error: unknown): readonly GraphQLFormattedError[] {
    const errors: readonly unknown[] = error instanceof ValidationFailure ? error.errors : [error];
    return errors.map(formatError);
  }

  return {
    handleUpgrade: webSocket.handleUpgrade,
    handleSse: sse.handle,
    handleMultipart: multipart.handle,

    warm(requests) {
      for (const request of requests) {
        try {
          catalog.prepare(request);
        } catch (err) {
          logger.warn({ err, operationName: request.operationName }, 'an operation could not be planned ahead');
        }
      }
    },

    stats: () => ({ subscriptions: subscribers.size, groups: groups.size, streams: feed.size }),

    async close({ deadlineMs = 5_000 } = {}) {
      closing = true;
      feed.close();
      flusher.flushAll();
      await Promise.all([webSocket.close(deadlineMs), sse.close(deadlineMs), multipart.close(deadlineMs)]);
      for (const subscriber of [...subscribers]) subscriber.end();
    },
  };
}

interface GroupHold {
  readonly group: Group;
  holders: number;
  release(): void;
}

/** What the transports need of the hub. */
export interface HubCore {
  readonly config: HubConfig;
  readonly metrics: HubMetrics;
  readonly logger: HubLogger;
  readonly flusher: ReturnType<typeof createTickFlusher>;
  readonly apiSchema: ReturnType<typeof createSubscriptionPlanner>['apiSchema'];
  authenticate(credentials: Credentials): Promise<Principal>;
  readonly executeOperation: SubscriptionHubDeps['executeOperation'];
  isOriginAllowed(origin: string | undefined, request: IncomingMessage): boolean;
  prepare(request: GraphQLRequest): ReturnType<ReturnType<typeof createOperationCatalog>['prepare']>;
  subscribe(request: SubscribeRequest): Promise<Subscriber>;
  formatErrors(error: unknown): readonly GraphQLFormattedError[];
  readonly formatError: FormatError;
}

/** Equal values, equal text: the order of object keys a client happens to send makes no group of its own. */
function canonical(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(canonical);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(entries.map(([name, inner]) => [name, canonical(inner)]));
}

/** The logger interface of Apollo's packages over ours. */
function logWithoutDetails(logger: HubLogger) {
  return {
    debug: (message?: unknown) => logger.debug({}, String(message)),
    info: (message?: unknown) => logger.info({}, String(message)),
    warn: (message?: unknown) => logger.warn({}, String(message)),
    error: (message?: unknown) => logger.error({}, String(message)),
  };
}
