import type { ServerResponse } from 'node:http';
import type { FormattedExecutionResult, GraphQLFormattedError } from 'graphql';
import { encodeCursor } from '#shared/cursor.ts';
import type { HubCore } from '../contract.ts';
import { waitForDrain } from '../drain.ts';
import type { Transport } from '../metrics.ts';
import { Payload } from '../payload.ts';
import type { Sink } from '../sink.ts';

/** How a transport writes its stream. */
export interface StreamFormat {
  readonly transport: Exclude<Transport, 'websocket'>;
  readonly contentType: string;
  readonly heartbeatMs: number;
  readonly opening: string;
  readonly heartbeat: string;
  next(payload: Payload): Buffer;
  /** The operation failed after it began. */
  error(errors: readonly GraphQLFormattedError[]): string;
  readonly completed: string;
  /** The connection ends but the operation does not: the client may come back and resume. */
  goingAway(error: GraphQLFormattedError): string;
}

/**
 * Distinct connections mode of graphql-sse's protocol. The id of a message is its cursor: an EventSource says it as it
 * comes back.
 */
export function sseFormat(heartbeatMs: number): StreamFormat {
  const tail = Buffer.from('\n\n');
  const next = ({ bytes, event }: Payload): Buffer => {
    const id = event === undefined ? '' : `id: ${encodeCursor(event.streamId, event.sequence)}\n`;
    return Buffer.concat([Buffer.from(`event: next\n${id}data: `), bytes, tail]);
  };
  return {
    transport: 'sse',
    contentType: 'text/event-stream; charset=utf-8',
    heartbeatMs,
    // Some browsers show a stream as open only after its first bytes.
    opening: ':\n\n',
    heartbeat: ':\n\n',
    next,
    error: (errors) => `event: next\ndata: ${JSON.stringify({ errors })}\n\n`,
    completed: 'event: complete\ndata:\n\n',
    // Without `complete` clients take the end for a lost connection and reconnect.
    goingAway: () => '',
  };
}

/** Apollo's multipart subscription protocol 1.0: each part is closed by the next delimiter, sent at once. */
export function multipartFormat(heartbeatMs: number): StreamFormat {
  const head = '\r\ncontent-type: application/json\r\n\r\n';
  const delimiter = '\r\n--graphql';
  const part = (json: string): string => `${head}${json}${delimiter}`;
  const nextHead = Buffer.from(`${head}{"payload":`);
  const nextTail = Buffer.from(`}${delimiter}`);
  const fatal = (errors: readonly GraphQLFormattedError[]): string => part(JSON.stringify({ payload: null, errors }));
  return {
    transport: 'multipart',
    contentType: 'multipart/mixed;boundary="graphql";subscriptionSpec="1.0"',
    heartbeatMs,
    opening: delimiter,
    heartbeat: part('{}'),
    next: ({ bytes }) => Buffer.concat([nextHead, bytes, nextTail]),
    error: fatal,
    completed: '--\r\n',
    goingAway: (error) => fatal([error]),
  };
}

export interface HttpStreamDeps {
  readonly core: HubCore;
  readonly format: StreamFormat;
  readonly response: ServerResponse;
  readonly correlationId: () => string;
}

/** An HTTP answer that results are streamed into, those of one turn in one write. */
export function createHttpStream({ core, format, response, correlationId }: HttpStreamDeps) {
  const { config } = core;
  const waiting: Buffer[] = [];
  let waitingBytes = 0;
  let ended = false;

  response.writeHead(200, {
    'content-type': format.contentType,
    'cache-control': 'no-cache, no-transform',
    'x-accel-buffering': 'no',
  });
  response.socket?.setNoDelay(true);
  response.write(format.opening);
  response.on('error', (err) => core.logger.debug({ err }, 'a subscription stream failed'));
  const heartbeat = setInterval(() => {
    if (response.writableLength === 0) response.write(format.heartbeat);
  }, format.heartbeatMs);
  heartbeat.unref();
  response.once('close', () => clearInterval(heartbeat));

  function flush(): void {
    const [first] = waiting;
    if (first === undefined) return;
    const bytes = waiting.length === 1 ? first : Buffer.concat(waiting, waitingBytes);
    waiting.length = 0;
    waitingBytes = 0;
    if (!response.destroyed && !response.writableEnded) response.write(bytes);
  }

  function end(last: string): void {
    if (ended) return;
    ended = true;
    flush();
    clearInterval(heartbeat);
    response.end(last);
  }

  /** `response` reports what its socket buffers as well. */
  const bufferedBytes = (): number => waitingBytes + response.writableLength;

  async function destroyUnlessFinished(timeoutMs: number): Promise<void> {
    const finished = Promise.withResolvers<void>();
    const timer = setTimeout(() => response.destroy(), timeoutMs);
    response.once('close', () => finished.resolve());
    if (!response.closed) await finished.promise;
    clearTimeout(timer);
  }

  const stream = {
    next(payload: Payload): void {
      if (ended) return;
      if (waiting.length === 0) core.flusher.schedule(stream);
      const bytes = payload.framed(format.transport, format.next);
      waiting.push(bytes);
      waitingBytes += bytes.length;
    },
    fail: (error: GraphQLFormattedError) => end(format.error([error]) + format.completed),
    cut(error: GraphQLFormattedError): void {
      end(format.error([error]) + format.completed);
      void destroyUnlessFinished(config.slowConsumerGraceMs);
    },
    complete: () => end(format.completed),
    get bufferedBytes() {
      return bufferedBytes();
    },
    drained: (timeoutMs: number) =>
      waitForDrain(response, { bufferedBytes, belowBytes: config.maxBufferedBytes / 2, timeoutMs }),
    flush,

    /** The one result of an operation that is no subscription, or that failed before it began. */
    finishWith(result: FormattedExecutionResult): void {
      stream.next(Payload.of(result));
      end(format.completed);
    },
    /** Ends the operation because of the connection, not of itself. */
    abort: (error: GraphQLFormattedError) => end(format.error([error]) + format.completed),
    async goAway(deadlineMs: number): Promise<void> {
      const error = {
        message: 'The server is going away: subscribe again with the last cursor.',
        extensions: { code: 'UNAVAILABLE', category: 'server', retryable: true, correlationId: correlationId() },
      };
      end(format.goingAway(error) + (format.transport === 'multipart' ? format.completed : ''));
      await destroyUnlessFinished(deadlineMs);
    },
  } satisfies Sink & Record<string, unknown>;
  return stream;
}

export type HttpStream = ReturnType<typeof createHttpStream>;
