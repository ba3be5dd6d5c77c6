import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import type { FormattedExecutionResult } from 'graphql';
import { type Context, handleProtocols, makeServer } from 'graphql-ws';
import { type RawData, type WebSocket, WebSocketServer } from 'ws';
import { PlatformError } from '#shared/errors.ts';
import { isOutOfRange } from '#shared/json.ts';
import type { Principal } from '#shared/principal.ts';
import { endWith } from '../../httpFailures.ts';
import type { Toll } from '../../limits/toll.ts';
import type { HubCore } from '../contract.ts';
import { FormattedGraphQLError } from '../errors.ts';
import type { GraphQLRequest, OtherOperation, SubscriptionOperation } from '../operation.ts';
import { createOperationStream } from '../operationStream.ts';
import { isRecord } from '../records.ts';
import { closeCodes } from './closeCodes.ts';
import { createWebSocketConnection, type WebSocketConnection } from './webSocketConnection.ts';

type ConnectionContext = Context<Record<string, unknown> | undefined, WebSocketConnection>;

/** Travels as the `contextValue` from `onSubscribe` to `subscribe` or `execute`. */
interface Operation {
  readonly id: string;
  readonly prepared: SubscriptionOperation | OtherOperation;
  readonly request: GraphQLRequest;
  readonly principal: Principal;
  readonly connection: WebSocketConnection;
  readonly toll: Toll | undefined;
  /** Gives its place on the connection back. */
  readonly release: () => void;
}

/** graphql-transport-ws (graphql-ws 6) with results written by the hub. */
export function createWebSocketTransport(core: HubCore) {
  const { config, logger, metrics } = core;
  const connections = new Set<WebSocketConnection>();
  let isClosing = false;
  const webSocketServer = new WebSocketServer({
    noServer: true,
    maxPayload: config.maxMessageBytes,
    perMessageDeflate: false,
    clientTracking: false,
    handleProtocols: (protocols) => handleProtocols(protocols),
  });
  webSocketServer.on('wsClientError', (error, socket, { headers }) =>
    endWith(socket, new PlatformError('BAD_REQUEST', `this is no WebSocket handshake: ${error.message}`), headers),
  );

  const protocol = makeServer<Record<string, unknown> | undefined, WebSocketConnection>({
    connectionInitWaitTimeout: config.connectionInitTimeoutMs,
    async onConnect({ extra: connection, connectionParams }) {
      try {
        connection.identify(
          await core.authenticate({
            headers: connection.info.headers,
            connectionParams,
            remoteAddress: connection.info.remoteAddress,
            address: connection.info.address,
          }),
        );
        return true;
      } catch (error) {
        if (!(error instanceof PlatformError) || error.status >= 500) throw error;
        logger.debug({ code: error.code, reason: error.message }, 'a WebSocket was refused');
        // Before graphql-ws closes it as forbidden.
        if (error.code === 'RATE_LIMITED') connection.close(closeCodes.rateLimited, 'Too many requests');
        return false;
      }
    },
    async onSubscribe(context, id, payload) {
      try {
        return await startOperation(context, id, toRequest(payload));
      } catch (error) {
        // Thrown on, it would close the socket with every other operation on it.
        const errors = core.formatErrors(error, context.extra.info.correlationId());
        core.metrics.answered(null, errors);
        return errors.map((formatted) => new FormattedGraphQLError(formatted));
      }
    },
    async subscribe({ contextValue }) {
      if (!isOperation(contextValue)) throw new TypeError('onSubscribe sets the operation.');
      return subscribe(contextValue);
    },
    async execute({ contextValue }) {
      if (!isOperation(contextValue)) throw new TypeError('onSubscribe sets the operation.');
      return { data: null, extensions: { [answerKey]: await execute(contextValue) } };
    },
    onNext: (_context, _id, _payload, _args, { extensions }) => answers(extensions),
  });

  async function startOperation(context: ConnectionContext, id: string, request: GraphQLRequest) {
    const connection = context.extra;
    const { principal } = connection;
    if (principal === undefined) throw new PlatformError('UNAUTHENTICATED', 'The connection has no principal.');
    // graphql-ws frees an id at `complete`, also while its operation still begins: two would then share it, and one of
    // them would outlive the socket.
    if (connection.beginning.has(id)) {
      throw new PlatformError('BAD_REQUEST', 'The operation that had this id is still being ended: use another one.');
    }
    if (connection.writer.bufferedBytes > config.maxBufferedBytes) {
      throw new PlatformError('SLOW_CONSUMER', 'Earlier answers wait for this connection to read them.');
    }
    const release = core.limits.takeOperation(connection);
    // Before anything is waited for.
    connection.beginning.add(id);
    const toll = core.createToll(principal, connection.info);
    const prepared = await core.prepare(request, toll).catch((error: unknown) => {
      connection.beginning.delete(id);
      release();
      throw error;
    });
    const operation: Operation = { id, prepared, request, principal, connection, toll, release };
    return {
      schema: core.apiSchema,
      document: prepared.document,
      operationName: request.operationName ?? null,
      contextValue: operation,
    };
  }

  async function subscribe({ id, prepared, request, principal, connection, toll, release }: Operation) {
    if (prepared.kind !== 'subscription') throw new TypeError('Only subscriptions are subscribed to.');
    let over = release;
    try {
      const releaseSubscription = core.limits.takeSubscription(principal);
      over = () => {
        releaseSubscription();
        release();
      };
      const stream = createOperationStream(() => subscriber.end());
      const subscriber = await core.subscribe({
        operation: prepared,
        variables: request.variables,
        principal,
        connection: connection.info,
        toll,
        sink: connection.createSink(id, stream),
        onEnd: over,
      });
      subscriber.start();
      return stream;
    } catch (error) {
      over();
      const failure = createOperationStream(() => {});
      const errors = core.formatErrors(error, connection.info.correlationId());
      core.metrics.answered(prepared.compiled.fieldName, errors);
      const [formatted] = errors;
      failure.failWith(formatted === undefined ? new Error('unknown') : new FormattedGraphQLError(formatted));
      return failure;
    } finally {
      connection.beginning.delete(id);
    }
  }

  async function execute(operation: Operation): Promise<FormattedExecutionResult> {
    const { id, request, principal, connection, toll, release } = operation;
    try {
      return await core.executeOperation(request, principal, connection.info, toll);
    } catch (error) {
      const errors = core.formatErrors(error, connection.info.correlationId());
      core.metrics.answered(null, errors);
      return { errors };
    } finally {
      connection.beginning.delete(id);
      release();
    }
  }

  const heartbeat = setInterval(() => {
    for (const connection of connections) connection.beat();
  }, config.heartbeatMs);
  heartbeat.unref();

  function accept(webSocket: WebSocket, socket: Duplex, request: IncomingMessage): void {
    const connection = createWebSocketConnection({ core, webSocket, socket, request });
    connections.add(connection);
    metrics.connectionOpened('websocket');
    let handle: ((data: string) => Promise<void>) | undefined;
    const closed = protocol.opened(
      {
        protocol: webSocket.protocol,
        send: (data) => connection.send(data),
        close: (code, reason) => connection.close(code ?? 1000, reason ?? ''),
        onMessage: (callback) => {
          handle = callback;
        },
      },
      connection,
    );
    webSocket.on('message', (data, isBinary) => {
      if (isBinary) return connection.close(4400, 'Text messages only');
      const text = toText(data);
      if (isOutOfRange(text)) return connection.close(4400, 'A number is out of range');
      handle?.(text).catch((err: unknown) => {
        logger.error({ err }, 'a WebSocket message could not be handled');
        connection.close(closeCodes.internal, 'Internal server error');
      });
    });
    webSocket.on('error', (err) => logger.debug({ err }, 'a WebSocket failed'));
    webSocket.once('close', (code, reason) => {
      connections.delete(connection);
      connection.dispose();
      metrics.connectionClosed('websocket');
      closed(code, String(reason)).catch((err: unknown) =>
        logger.error({ err }, 'a WebSocket could not be cleaned up'),
      );
    });
  }

  return {
    handleUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
      const refuse = (error: PlatformError) => endWith(socket, error, request.headers);
      if (!core.isOriginAllowed(request.headers.origin, request))
        refuse(new PlatformError('PERMISSION_DENIED', 'A page of another origin may not connect here.'));
      else if (isClosing) refuse(new PlatformError('UNAVAILABLE', 'The server is shutting down.'));
      else webSocketServer.handleUpgrade(request, socket, head, (webSocket) => accept(webSocket, socket, request));
    },

    /** No `complete` is sent: clients take the close for a lost connection, come back and resume. */
    async close(deadlineMs: number): Promise<void> {
      isClosing = true;
      clearInterval(heartbeat);
      await Promise.all([...connections].map((connection) => connection.closeWithin(deadlineMs)));
      webSocketServer.close();
    },
  };
}

/** Where an answer of `executeOperation`, formatted already, passes through graphql-ws. */
const answerKey = '#answer';

function answers(extensions: unknown): FormattedExecutionResult | undefined {
  const answer = isRecord(extensions) ? extensions[answerKey] : undefined;
  return isRecord(answer) ? answer : undefined;
}

function isOperation(value: unknown): value is Operation {
  return isRecord(value) && 'prepared' in value && 'principal' in value;
}

function toRequest({ query, operationName, variables, extensions }: GraphQLRequest): GraphQLRequest {
  return { query, operationName: operationName ?? null, variables: variables ?? null, extensions: extensions ?? null };
}

function toText(data: RawData): string {
  if (Array.isArray(data)) return Buffer.concat(data).toString();
  return data instanceof ArrayBuffer ? Buffer.from(data).toString() : data.toString();
}
