import { WebSocket } from 'ws';
import { monotonicMs } from '../load/clock.ts';
import { messageReceived } from './documents.ts';
import type { MessageReader, ReceivedMessage } from './messageReader.ts';

export interface Arrival {
  readonly message: ReceivedMessage;
  /** Monotonic. */
  readonly atMs: number;
  readonly epochMs: number;
  /** Null on the first connection; else the epoch ms at which the subscriber asked to go on. */
  readonly resumedAtMs: number | null;
}

export interface SubscriberOptions {
  readonly wsUrl: string;
  readonly dialogId: string;
  readonly authorization: string;
  /** Where it starts. */
  readonly cursor: string;
  /** Id of its operation; those of one reader are equally long. */
  readonly operationId: string;
  readonly reader: MessageReader;
  received(arrival: Arrival): void;
  /** It asks for what follows the last message it had. */
  resumed(): void;
  /** The server closed the socket. */
  closed(code: number): void;
  failed(detail: string): void;
}

export interface Subscriber {
  /** @throws {Error} when the server does not take the connection */
  open(): Promise<void>;
  /** Destroys the socket without a close frame, as a network that breaks does, and comes back after a while. */
  cut(backAfterMs: number): void;
  end(): void;
}

const retryMs = 250;

/** A client of graphql-transport-ws that comes back with the last cursor it has seen. */
export function createSubscriber(options: SubscriberOptions): Subscriber {
  let { cursor } = options;
  let socket: WebSocket | null = null;
  let timer: NodeJS.Timeout | undefined;
  let connections = 0;
  let ended = false;

  function comeBack(afterMs: number): void {
    clearTimeout(timer);
    if (ended) return;
    timer = setTimeout(() => {
      connect().catch(() => comeBack(retryMs));
    }, afterMs);
  }

  function drop(): void {
    const dropped = socket;
    socket = null;
    dropped?.terminate();
  }

  function connect(): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const own = new WebSocket(options.wsUrl, 'graphql-transport-ws', {
      perMessageDeflate: false,
      skipUTF8Validation: true,
    });
    socket = own;
    let resumedAtMs: number | null = null;

    function receive(data: Buffer): void {
      const atMs = monotonicMs();
      // Bytes of a socket that was given up are lost with it.
      if (socket !== own) return;
      const frame = options.reader.read(data, options.operationId.length);
      switch (frame.type) {
        case 'next': {
          if (frame.message === null) return;
          cursor = frame.message.cursor;
          options.received({ message: frame.message, atMs, epochMs: Date.now(), resumedAtMs });
          return;
        }
        case 'connection_ack': {
          connections += 1;
          if (connections > 1) {
            resumedAtMs = Date.now();
            options.resumed();
          }
          const variables = { dialogId: options.dialogId, after: cursor };
          const payload = { query: messageReceived, variables };
          own.send(JSON.stringify({ id: options.operationId, type: 'subscribe', payload }));
          resolve();
          return;
        }
        case 'ping':
          own.send('{"type":"pong"}');
          return;
        case 'error':
        case 'complete':
          // The server may end it because it reads too slowly: it goes on where it was.
          options.failed(`${frame.type}: ${frame.detail}`);
          drop();
          comeBack(retryMs);
          return;
        case 'other':
      }
    }

    own.on('open', () => {
      own.send(JSON.stringify({ type: 'connection_init', payload: { authorization: options.authorization } }));
    });
    own.on('message', (data) => {
      try {
        receive(Buffer.isBuffer(data) ? data : Buffer.from(data as ArrayBuffer));
      } catch (error) {
        options.failed(error instanceof Error ? error.message : String(error));
      }
    });
    own.on('error', (error) => reject(error));
    own.on('close', (code) => {
      reject(new Error(`the server closed the connection with ${code}`));
      if (socket !== own) return;
      socket = null;
      if (connections === 0) return;
      options.closed(code);
      comeBack(retryMs);
    });
    return promise;
  }

  return {
    open: connect,
    cut(backAfterMs) {
      drop();
      comeBack(backAfterMs);
    },
    end() {
      ended = true;
      clearTimeout(timer);
      drop();
    },
  };
}
