import { createServer as createHttpServer } from 'node:http';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { type WebSocket, WebSocketServer } from 'ws';
import { createWebSocketOpener } from '../../perf/load/webSocketClient.ts';

const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

async function listen(server: Server): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closers.push(() => server.close());
  return `ws://127.0.0.1:${(server.address() as AddressInfo).port}/graphql`;
}

/** A server of `ws` with one client on it. */
async function connected(headers: Readonly<Record<string, string>> = {}) {
  const server = createHttpServer();
  const sockets = new WebSocketServer({ server });
  closers.push(() => sockets.close());
  const url = await listen(server);
  const accepted = new Promise<{ socket: WebSocket; header: unknown }>((resolve) =>
    sockets.once('connection', (socket, request) => resolve({ socket, header: request.headers['x-test'] })),
  );
  const closed = Promise.withResolvers<number>();
  const texts: string[] = [];
  let awaited = { count: 0, resolve: (): void => {} };
  const client = await createWebSocketOpener()({
    ...{ url, protocol: 'graphql-transport-ws', headers },
    onText(bytes, start, end) {
      texts.push(bytes.toString('utf8', start, end));
      if (texts.length === awaited.count) awaited.resolve();
    },
    onClose: (code) => closed.resolve(code),
  });
  const { socket, header } = await accepted;
  return {
    ...{ client, socket, header, texts, closed: closed.promise },
    received: (count: number) =>
      new Promise<void>((resolve) => {
        awaited = { count, resolve };
        if (texts.length >= count) resolve();
      }),
  };
}

/** What an answer of those lines to the handshake makes of it. */
async function shakenBy(head: string): Promise<unknown> {
  const server = createServer((socket) => socket.once('data', () => socket.end(head)));
  const url = await listen(server);
  return createWebSocketOpener()({ url, protocol: 'graphql-transport-ws', onText() {}, onClose() {} });
}

test('what is said comes at the other end, in order, whatever its length', async () => {
  const { client, socket, received, texts, header } = await connected({ 'x-test': 'yes' });
  expect(header).toBe('yes');
  const heard: string[] = [];
  socket.on('message', (data) => heard.push(String(data)));
  const lengths = [0, 1, 125, 126, 65_535, 65_536, 300_000];
  for (const length of lengths) socket.send('ü'.repeat(length));
  for (const length of lengths) client.send('ä'.repeat(length));
  await received(lengths.length);
  expect(texts).toEqual(lengths.map((length) => 'ü'.repeat(length)));
  while (heard.length < lengths.length) await new Promise((resolve) => socket.once('message', resolve));
  expect(heard).toEqual(lengths.map((length) => 'ä'.repeat(length)));
});

test('a ping is answered with what it carried', async () => {
  const { socket } = await connected();
  const answered = new Promise((resolve) => socket.once('pong', (data) => resolve(String(data))));
  socket.ping('still there?');
  expect(await answered).toBe('still there?');
});

test.each([
  ['with a code', (socket: WebSocket) => socket.close(4290, 'slow'), 4290],
  ['without one', (socket: WebSocket) => socket.close(), 1005],
  ['without a word', (socket: WebSocket) => socket.terminate(), 1006],
])('a server that closes %s is told of, and hears the answer', async (_how, close, code) => {
  const { socket, closed } = await connected();
  const heard = new Promise<number>((resolve) => socket.once('close', resolve));
  close(socket);
  expect(await closed).toBe(code);
  expect(await heard).toBe(code);
});

test.each([
  ['refuses', 'HTTP/1.1 503 Service Unavailable\r\n\r\n', 'got "HTTP/1.1 503 Service Unavailable"'],
  [
    'proves nothing',
    'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: x\r\n\r\n',
    'sec-websocket-accept',
  ],
  ['says half', 'HTTP/1.1 101 Switching', 'closed with 1006 before it was open'],
])('a handshake is given up with a server that %s', async (_what, head, message) => {
  await expect(shakenBy(head)).rejects.toThrow(message);
});
