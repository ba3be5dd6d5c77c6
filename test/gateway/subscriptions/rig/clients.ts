import { type ClientRequest, request as httpRequest, type IncomingMessage } from 'node:http';
import { WebSocket } from 'ws';

export interface Message {
  readonly id?: string;
  readonly type: string;
  readonly payload?: unknown;
}

/** Waits until `condition` holds. @throws {Error} after `timeoutMs`. */
export async function until(condition: () => boolean, what: string, timeoutMs = 20_000): Promise<void> {
  const end = performance.now() + timeoutMs;
  while (!condition()) {
    if (performance.now() > end) throw new Error(`timed out waiting for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

/** A WebSocket that says what it is told and remembers what it hears, byte for byte. */
export async function openSocket(url: string, token = 'Bearer ann', init = true) {
  const socket = new WebSocket(url, 'graphql-transport-ws');
  const raw: string[] = [];
  const closed = Promise.withResolvers<{ code: number; reason: string }>();
  socket.on('message', (data) => raw.push(String(data)));
  socket.on('close', (code, reason) => closed.resolve({ code, reason: String(reason) }));
  socket.on('error', () => {});
  await new Promise<void>((resolve, reject) => {
    socket.once('open', resolve);
    socket.once('error', reject);
  });
  const send = (message: object): void => socket.send(JSON.stringify(message));
  // Read once each: what waits asks every few milliseconds, and what was said may be long.
  const read: Message[] = [];
  const messages = (id?: string): Message[] => {
    while (read.length < raw.length) read.push(JSON.parse(raw[read.length]!));
    return id === undefined ? [...read] : read.filter((message) => message.id === id);
  };
  if (init) {
    send({ type: 'connection_init', payload: { authorization: token } });
    await until(() => raw.length > 0 || socket.readyState >= WebSocket.CLOSING, 'connection_ack');
  }
  return {
    socket,
    raw,
    send,
    messages,
    closed: closed.promise,
    subscribe(id: string, query: string, variables: Record<string, unknown> = {}): void {
      send({ id, type: 'subscribe', payload: { query, variables } });
    },
    /** Payloads of the `next` messages of one operation. */
    results: (id: string): unknown[] =>
      messages(id).flatMap((message) => (message.type === 'next' ? [message.payload] : [])),
    close(): void {
      socket.terminate();
    },
  };
}

export interface HttpStreamClient {
  readonly response: IncomingMessage;
  readonly request: ClientRequest;
  text(): string;
  readonly ended: Promise<void>;
  close(): void;
}

/** Posts an operation and collects the answer as it streams in. */
export async function openStream(
  url: string,
  accept: string,
  body: string | object,
  headers: Record<string, string> = {},
): Promise<HttpStreamClient> {
  const request = httpRequest(url, {
    method: 'POST',
    headers: { accept, 'content-type': 'application/json', authorization: 'Bearer ann', ...headers },
  });
  request.end(typeof body === 'string' ? body : JSON.stringify(body));
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    request.once('response', resolve);
    request.on('error', reject);
  });
  const chunks: Buffer[] = [];
  response.on('data', (chunk: Buffer) => chunks.push(chunk));
  response.on('error', () => {});
  const ended = new Promise<void>((resolve) => response.once('close', () => resolve()));
  return { response, request, text: () => Buffer.concat(chunks).toString(), ended, close: () => request.destroy() };
}

/** `data` of each `next` event, as text. */
export function sseResults(text: string): string[] {
  return sseFields(text, 'data: ');
}

/** `id` of each `next` event that has one. */
export function sseIds(text: string): string[] {
  return sseFields(text, 'id: ');
}

function sseFields(text: string, name: string): string[] {
  return text
    .split('\n\n')
    .filter((block) => block.startsWith('event: next\n'))
    .flatMap((block) => block.split('\n').filter((line) => line.startsWith(name)))
    .map((line) => line.slice(name.length));
}

/** Parts of a multipart answer the way Apollo Client splits them: a part counts once the next delimiter is there. */
export function multipartParts(text: string): string[] {
  const pieces = text.split('\r\n--graphql');
  return pieces.slice(1, -1).map((piece) => {
    const headerEnd = piece.indexOf('\r\n\r\n');
    if (!/content-type: application\/json/i.test(piece.slice(0, headerEnd))) throw new Error(`no JSON part: ${piece}`);
    return piece.slice(headerEnd + 4);
  });
}
