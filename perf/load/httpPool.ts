import { connect, type Socket } from 'node:net';

export interface HttpAnswer {
  readonly status: number;
  readonly body: string;
}

/** Gets the answer, or the code of what went wrong (`ECONNRESET`, `TIMEOUT`, `BAD_HTTP`). */
export type HttpCallback = (answer: HttpAnswer | null, failure: string | null) => void;

export interface HttpPoolOptions {
  readonly host: string;
  readonly port: number;
  readonly connections: number;
  readonly timeoutMs: number;
}

export interface HttpPool {
  /** Sends the bytes of one whole request on a free connection, or queues them until one is free. */
  send(request: string, callback: HttpCallback): void;
  /** Opens all connections. @throws {Error} when the server refuses them. */
  open(): Promise<void>;
  readonly waiting: number;
  close(): void;
}

interface Pending {
  readonly request: string;
  readonly callback: HttpCallback;
}

interface Connection {
  socket: Socket;
  callback: HttpCallback | null;
  buffered: Buffer | null;
  sentMs: number;
  /** False while it connects or after it closed. */
  usable: boolean;
}

interface Parsed {
  readonly answer: HttpAnswer;
  readonly consumed: number;
  readonly close: boolean;
}

const crlf = Buffer.from('\r\n');
const headEnd = Buffer.from('\r\n\r\n');

function readChunked(data: Buffer, start: number): { body: string; consumed: number } | null {
  const parts: Buffer[] = [];
  let at = start;
  for (;;) {
    const lineEnd = data.indexOf(crlf, at);
    if (lineEnd < 0) return null;
    const size = Number.parseInt(data.toString('latin1', at, lineEnd), 16);
    if (Number.isNaN(size)) throw new Error('chunk without a size');
    const from = lineEnd + 2;
    if (data.length < from + size + 2) return null;
    if (size === 0) return { body: Buffer.concat(parts).toString('utf8'), consumed: from + 2 };
    parts.push(data.subarray(from, from + size));
    at = from + size + 2;
  }
}

/** Reads one HTTP/1.1 answer from the start of `data`; null while it is not whole. @throws {Error} when it is not HTTP */
function parseAnswer(data: Buffer): Parsed | null {
  const end = data.indexOf(headEnd);
  if (end < 0) return null;
  const head = data.toString('latin1', 0, end).toLowerCase();
  if (!head.startsWith('http/1.1 ')) throw new Error('no HTTP/1.1 status line');
  const status = Number(head.slice(9, 12));
  const close = head.includes('\r\nconnection: close');
  const lengthAt = head.indexOf('\r\ncontent-length:');
  const start = end + 4;
  if (lengthAt >= 0) {
    const lineEnd = head.indexOf('\r\n', lengthAt + 17);
    const length = Number(head.slice(lengthAt + 17, lineEnd < 0 ? undefined : lineEnd));
    if (data.length < start + length) return null;
    return { answer: { status, body: data.toString('utf8', start, start + length) }, consumed: start + length, close };
  }
  if (head.includes('\r\ntransfer-encoding: chunked')) {
    const chunked = readChunked(data, start);
    return chunked && { answer: { status, body: chunked.body }, consumed: chunked.consumed, close };
  }
  if (status === 204 || status === 304) return { answer: { status, body: '' }, consumed: start, close };
  throw new Error('neither content-length nor chunked');
}

/**
 * Keep-alive connections on bare sockets, one request at a time each: half the CPU of an HTTP client library, which
 * matters where clients and server share two cores.
 */
export function createHttpPool(options: HttpPoolOptions): HttpPool {
  const idle: Connection[] = [];
  const all = new Set<Connection>();
  // A queue by index: shift() on a long array would make an overload worse.
  let queue: Pending[] = [];
  let head = 0;
  let closed = false;

  function finish(connection: Connection, answer: HttpAnswer | null, failure: string | null): void {
    const { callback } = connection;
    connection.callback = null;
    if (answer && connection.usable) release(connection);
    callback?.(answer, failure);
  }

  function release(connection: Connection): void {
    const next = queue[head];
    if (!next) {
      idle.push(connection);
      return;
    }
    head += 1;
    if (head > 1024 && head * 2 > queue.length) {
      queue = queue.slice(head);
      head = 0;
    }
    write(connection, next.request, next.callback);
  }

  function write(connection: Connection, request: string, callback: HttpCallback): void {
    connection.callback = callback;
    connection.sentMs = performance.now();
    connection.socket.write(request);
  }

  function drop(connection: Connection, failure: string): void {
    if (!all.delete(connection)) return;
    connection.usable = false;
    connection.socket.destroy();
    const at = idle.indexOf(connection);
    if (at >= 0) idle.splice(at, 1);
    if (connection.callback) finish(connection, null, failure);
    if (!closed) openOne();
  }

  function receive(connection: Connection, chunk: Buffer): void {
    const data = connection.buffered ? Buffer.concat([connection.buffered, chunk]) : chunk;
    connection.buffered = null;
    let parsed: Parsed | null;
    try {
      parsed = parseAnswer(data);
    } catch {
      drop(connection, 'BAD_HTTP');
      return;
    }
    if (!parsed) {
      connection.buffered = data;
      return;
    }
    if (parsed.consumed < data.length || !connection.callback) {
      drop(connection, 'BAD_HTTP');
      return;
    }
    if (parsed.close) connection.usable = false;
    finish(connection, parsed.answer, null);
    if (parsed.close) drop(connection, 'CLOSED');
  }

  function openOne(onOpen?: (error: Error | null) => void): void {
    const socket = connect({ host: options.host, port: options.port, noDelay: true });
    const connection: Connection = { socket, callback: null, buffered: null, sentMs: 0, usable: false };
    all.add(connection);
    let opened = false;
    socket.on('connect', () => {
      opened = true;
      connection.usable = true;
      onOpen?.(null);
      release(connection);
    });
    socket.on('data', (chunk: Buffer) => receive(connection, chunk));
    socket.on('error', (error: NodeJS.ErrnoException) => {
      if (!opened) {
        onOpen?.(error);
        all.delete(connection);
        // The server refuses: try again later, while what waits keeps waiting and times out by itself.
        if (!closed && !onOpen) setTimeout(() => !closed && openOne(), 100).unref();
        return;
      }
      drop(connection, error.code ?? 'SOCKET_ERROR');
    });
    socket.on('close', () => opened && drop(connection, 'CLOSED'));
  }

  const watchdog = setInterval(() => {
    const limitMs = performance.now() - options.timeoutMs;
    for (const connection of [...all]) {
      if (connection.callback && connection.sentMs < limitMs) drop(connection, 'TIMEOUT');
    }
  }, 250);
  watchdog.unref();

  return {
    send(request, callback) {
      const connection = idle.pop();
      if (connection) write(connection, request, callback);
      else queue.push({ request, callback });
    },
    open: async () => {
      const opening = Array.from(
        { length: options.connections },
        () =>
          new Promise<void>((resolve, reject) => {
            openOne((error) => (error ? reject(error) : resolve()));
          }),
      );
      await Promise.all(opening);
    },
    get waiting() {
      return queue.length - head;
    },
    close() {
      closed = true;
      clearInterval(watchdog);
      for (const connection of [...all]) drop(connection, 'CLOSED');
      for (const pending of queue.slice(head)) pending.callback(null, 'CLOSED');
      queue = [];
      head = 0;
    },
  };
}
