import type { GraphQLFormattedError } from 'graphql';
import { decodeCursor, isStreamId } from '#shared/cursor.ts';
import { PlatformError } from '#shared/errors.ts';
import { defaultHubConfig, type HubConfig } from './config.ts';
import type { HubCore, SubscribeRequest, SubscriptionHub, SubscriptionHubDeps } from './contract.ts';
import { createErrorFormatter } from './errors.ts';
import { createStreamFeed } from './feed.ts';
import { createGroupRegistry, type GroupHold } from './groups.ts';
import { createHandovers } from './handovers.ts';
import type { HubLogger } from './logger.ts';
import { type HubMetrics, silentMetrics } from './metrics.ts';
import { coerceSubscription, createOperationCatalog, relevantVariables, ValidationFailure } from './operation.ts';
import { createSubscriptionPlanner } from './planner.ts';
import { createRechecks } from './rechecks.ts';
import { createStreamLimits } from './streamLimits.ts';
import { Subscriber } from './subscriber.ts';
import { createTickFlusher } from './tick.ts';
import { createExpiryTimer } from './transports/expiry.ts';
import { createHttpTransport } from './transports/http.ts';
import { multipartFormat, sseFormat } from './transports/httpStream.ts';
import { createWebSocketTransport } from './transports/webSocket.ts';

/** Carries the subscriptions of the graph over WebSocket, server-sent events and multipart. */
export function createSubscriptionHub(deps: SubscriptionHubDeps): SubscriptionHub {
  const { logger, bus, eventLog, subscriptions } = deps;
  const config: HubConfig = { ...defaultHubConfig, ...deps.config };
  const metrics: HubMetrics = { ...silentMetrics, ...deps.metrics };
  const formatError = deps.formatError ?? createErrorFormatter(logger);
  const planner = createSubscriptionPlanner(deps.planning, deps.dataSources, logWithoutDetails(logger));
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
    recentBytes: config.recentBytes,
    pollIntervalMs: config.pollIntervalMs,
    sweepIntervalMs: config.sweepIntervalMs,
    logger,
    metrics,
  });
  const flusher = createTickFlusher((err) => logger.error({ err }, 'results of a turn could not be delivered'));
  const groups = createGroupRegistry({
    planner,
    feed,
    createRequestContext: (principal, connection, event) => deps.createRequestContext(principal, connection, event),
    restTimeoutMs: config.restTimeoutMs,
    recentPayloads: config.recentEvents,
    formatError,
    correlationOf: deps.correlationOf,
    metrics,
    flusher,
    rightsKey: deps.rightsKey,
  });
  const subscribers = new Set<Subscriber>();
  const handovers = createHandovers(deps);
  const rechecks = createRechecks(deps.onRightsChanged);
  let closing = false;

  const core: HubCore = {
    config,
    metrics,
    logger,
    flusher,
    apiSchema: planner.apiSchema,
    limits: createStreamLimits(deps.streamLimits ?? config),
    authenticate: async (credentials) => deps.authenticate(credentials),
    watchToken(principal, onEnd) {
      const stopExpiry = createExpiryTimer(principal.expiresAtMs, () => onEnd('expired'));
      const stopWatch = deps.watchToken?.(principal, () => onEnd('revoked'));
      return () => {
        stopExpiry();
        stopWatch?.();
      };
    },
    executeOperation: (request, principal, connection, toll) =>
      deps.executeOperation(request, principal, connection, toll),
    isOriginAllowed: (origin, request) => deps.isOriginAllowed?.(origin, request) ?? true,
    createToll: (principal, connection) => deps.createToll?.(principal, connection),
    addressOf: (request) => (deps.addressOf ? deps.addressOf(request) : request.socket.remoteAddress),
    async prepare(request, toll) {
      if (deps.isAdmitted?.(request.query) === false)
        throw new PlatformError('DOCUMENT_NOT_TRUSTED', 'expected one of the documents this platform was given');
      const known = catalog.find(request);
      if (known !== undefined) return known;
      await toll?.payEntry();
      return catalog.prepare(request);
    },
    subscribe,
    formatErrors,
    formatError,
  };
  const webSocket = createWebSocketTransport(core);
  const sse = createHttpTransport(core, sseFormat(config.heartbeatMs));
  const multipart = createHttpTransport(core, multipartFormat(config.multipartHeartbeatMs));

  /**
   * Starts an operation on its stream.
   * @throws {PlatformError} what door and admission answer; CURSOR_INVALID; RESUME_TOO_OLD; UNAVAILABLE while closing.
   */
  async function subscribe(request: SubscribeRequest): Promise<Subscriber> {
    if (closing) throw new PlatformError('UNAVAILABLE', 'The server is shutting down.');
    const { operation, principal, connection, sink } = request;
    const { compiled } = operation;
    await request.toll?.pay(operation.document, operation.operation, request.variables ?? undefined);
    const { variables, args } = coerceSubscription(planner, operation, request.variables);
    const streamId = compiled.source.streamId(args, principal).toLowerCase();
    if (!isStreamId(streamId)) {
      throw new PlatformError('BAD_USER_INPUT', `Subscription.${compiled.fieldName} follows a stream by its UUID.`);
    }
    const groupRequest = { compiled, variables: relevantVariables(compiled, variables), streamId, principal };
    const admit = async () => {
      await deps.authorize?.(principal, compiled.fieldName, args);
      return compiled.source.admit(principal, args, { sql: deps.sqlOf(compiled.source.module) });
    };
    let hold = groups.hold(groupRequest);
    // Before the door is asked: a right revoked from then on is noticed.
    const rights = rechecks.watch(principal);
    try {
      const { follower } = hold.group;
      await follower.opened;
      // Taken before admission: what happens while membership is read is still seen by the gate.
      const present = follower.position;
      const gate = await admit();
      const position = await startPosition(request.after ?? args['after'], present, hold);
      if (closing) throw new PlatformError('UNAVAILABLE', 'The server is shutting down.');
      const subscriber = new Subscriber({
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
        onHanded: (handover) => handovers.add(compiled.source, handover),
        onEnd() {
          subscribers.delete(subscriber);
          metrics.subscriptionEnded(compiled.fieldName);
          rights.stop();
          hold.release();
          request.onEnd();
        },
      });
      subscribers.add(subscriber);
      metrics.subscriptionStarted(compiled.fieldName);
      metrics.answered(compiled.fieldName);
      rights.onChange(async () => {
        if (subscriber.ended) return;
        try {
          const next = await admit();
          // Other rights, other group: what others of the old one get may be more than it may have now.
          const before = hold;
          hold = groups.hold(groupRequest);
          before.release();
          // Released by its end already, if that came first.
          if (subscriber.ended) return hold.release();
          subscriber.move({ gate: next, group: hold.group });
        } catch (error) {
          subscriber.fail(error);
        }
      });
      return subscriber;
    } catch (error) {
      rights.stop();
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

  function formatErrors(error: unknown, correlationId: string): readonly GraphQLFormattedError[] {
    const errors: readonly unknown[] = error instanceof ValidationFailure ? error.errors : [error];
    return errors.map((one) => formatError(one, correlationId));
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
      rechecks.close();
      feed.close();
      flusher.flushAll();
      await Promise.all([webSocket.close(deadlineMs), sse.close(deadlineMs), multipart.close(deadlineMs)]);
      for (const subscriber of [...subscribers]) subscriber.end();
      await handovers.flush();
    },
  };
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
