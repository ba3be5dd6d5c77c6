import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import type { GraphQLFormattedError } from 'graphql';
import type { WebSocket } from 'ws';
import { newId } from '#shared/ids.ts';
import type { Principal } from '#shared/principal.ts';
import { givenCorrelation } from '../../correlation.ts';
import type { HubCore } from '../contract.ts';
import { type DrainOutcome, waitForDrain } from '../drain.ts';
import { FormattedGraphQLError } from '../errors.ts';
import type { OperationStream } from '../operationStream.ts';
import type { Payload } from '../payload.ts';
import type { Sink } from '../sink.ts';
import type { ConnectionInfo } from '../subscriber.ts';
import { closeCodes, maxReasonBytes } from './closeCodes.ts';
import { nextHead, WebSocketWriter } from './webSocketWriter.ts';

export interface WebSocketConnectionOptions {
  readonly core: HubCore;
  readonly webSocket: WebSocket;
  /** The TCP (or TLS) socket below it. */
  readonly socket: Duplex;
  readonly request: IncomingMessage;
}

/** One WebSocket: what is written to it, in order and bounded, and what ends it. */
export function createWebSocketConnection({ core, webSocket, socket, request }: WebSocketConnectionOptions) {
  const { config } = core;
  const writer = new WebSocketWriter(webSocket, socket, core.flusher);
  const info: ConnectionInfo = {
    transport: 'websocket',
    remoteAddress: request.socket.remoteAddress,
    address: core.addressOf(request),
    headers: request.headers,
    correlationId: () => givenCorrelation(request.headers) ?? newId(),
  };
  let principal: Principal | undefined;
  let stopWatch = (): void => {};
  let alive = true;
  let draining = false;
  webSocket.on('pong', () => {
    alive = true;
  });

  function close(code: number, reason: string): void {
    if (code === closeCodes.internal && webSocket.readyState === webSocket.OPEN)
      core.metrics.connectionFailed('websocket');
    writer.flush();
    webSocket.close(code, Buffer.byteLength(reason) <= maxReasonBytes ? reason : '');
  }

  const drained = (timeoutMs: number): Promise<DrainOutcome> =>
    waitForDrain(socket, {
      bufferedBytes: () => writer.bufferedBytes,
      belowBytes: config.maxBufferedBytes / 2,
      timeoutMs,
    });

  /** After a cut: the error stands behind what is buffered, so a client that reads on learns its cursor from it. */
  async function closeUnlessDrained(resumeAfter: string): Promise<void> {
    if (draining) return;
    draining = true;
    const outcome = await drained(config.slowConsumerGraceMs);
    draining = false;
    if (outcome === 'drained' || webSocket.readyState !== webSocket.OPEN) return;
    close(closeCodes.slowConsumer, `SLOW_CONSUMER resumeAfter=${resumeAfter}`);
    // It does not read, so it will not answer the close either.
    const gone = setTimeout(() => webSocket.terminate(), config.slowConsumerGraceMs);
    webSocket.once('close', () => clearTimeout(gone));
  }

  return {
    info,
    writer,
    /** Ids of operations that have been asked for and do not run yet. */
    beginning: new Set<string>(),
    get principal(): Principal | undefined {
      return principal;
    },

    identify(verified: Principal): void {
      principal = verified;
      stopWatch = core.watchToken(verified, (reason) => close(closeCodes.forbidden, `Token ${reason}`));
    },

    /** A message of the protocol itself, behind the results that wait. */
    send(data: string): void {
      writer.flush();
      if (webSocket.readyState !== webSocket.OPEN) return;
      webSocket.send(data);
      writer.refresh();
    },

    close,

    createSink: (operationId: string, stream: OperationStream): Sink =>
      new WebSocketSink(nextHead(operationId), stream, { writer, closeUnlessDrained, drained }),

    /** Pings; a connection that did not answer the last one is gone. */
    beat(): void {
      if (!alive) {
        webSocket.terminate();
        return;
      }
      alive = false;
      if (webSocket.readyState === webSocket.OPEN) webSocket.ping();
    },

    async closeWithin(deadlineMs: number): Promise<void> {
      const closed = Promise.withResolvers<void>();
      webSocket.once('close', () => closed.resolve());
      close(closeCodes.goingAway, 'Server is going away');
      const timer = setTimeout(() => webSocket.terminate(), deadlineMs);
      await closed.promise;
      clearTimeout(timer);
    },

    dispose(): void {
      stopWatch();
    },
  };
}

export type WebSocketConnection = ReturnType<typeof createWebSocketConnection>;

interface SinkConnection {
  readonly writer: WebSocketWriter;
  closeUnlessDrained(resumeAfter: string): Promise<void>;
  drained(timeoutMs: number): Promise<DrainOutcome>;
}

/** The `next` messages of one operation on one WebSocket. */
class WebSocketSink implements Sink {
  readonly #writer: WebSocketWriter;
  readonly #head: string;
  readonly #stream: OperationStream;
  readonly #connection: SinkConnection;

  constructor(head: string, stream: OperationStream, connection: SinkConnection) {
    this.#writer = connection.writer;
    this.#head = head;
    this.#stream = stream;
    this.#connection = connection;
  }

  next(payload: Payload): void {
    this.#writer.next(this.#head, payload);
  }

  flush(): void {
    this.#writer.flush();
  }

  get bufferedBytes(): number {
    return this.#writer.bufferedBytes;
  }

  fail(error: GraphQLFormattedError): void {
    this.#stream.failWith(new FormattedGraphQLError(error));
  }

  cut(error: GraphQLFormattedError, resumeAfter: string): void {
    this.fail(error);
    void this.#connection.closeUnlessDrained(resumeAfter);
  }

  complete(): void {
    this.#stream.finish();
  }

  drained(timeoutMs: number): Promise<DrainOutcome> {
    return this.#connection.drained(timeoutMs);
  }
}
