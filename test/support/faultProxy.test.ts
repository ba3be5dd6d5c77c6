import { once } from 'node:events';
import { createServer as createHttpServer, request } from 'node:http';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import WebSocket, { WebSocketServer } from 'ws';
import { createFaultProxy, type FaultProxy } from './faultProxy.ts';

const host = '127.0.0.1';
let server: Server;
let serverSockets: Socket[];
let proxy: FaultProxy;
const clients: Socket[] = [];

/** Echoes what it receives; what begins with `send <n>` is answered by n bytes of a known pattern. */
function echo(socket: Socket): void {
  serverSockets.push(socket);
  socket.on('error', () => {});
  socket.on('data', (data: Buffer) => {
    const wanted = /^send (\d+)$/.exec(data.toString('latin1').slice(0, 20))?.[1];
    socket.write(wanted === undefined ? data : pattern(Number(wanted)));
  });
  socket.on('end', () => socket.end('bye'));
}

function pattern(bytes: number): Buffer {
  return Buffer.from(Uint8Array.from({ length: bytes }, (_, index) => (index * 7 + (index >> 8)) & 255));
}

async function portOf(listener: Server): Promise<number> {
  listener.listen(0, host);
  await once(listener, 'listening');
  return (listener.address() as AddressInfo).port;
}

interface Client {
  readonly socket: Socket;
  received(): Buffer;
  /** Bytes so far, without joining them as `received` does. */
  count(): number;
  /** Error code it ended with, or `end` after an orderly one. */
  readonly outcome: Promise<string>;
}

async function openClient(): Promise<Client> {
  const socket = connect({ host, port: proxy.port });
  clients.push(socket);
  const chunks: Buffer[] = [];
  let outcome = 'end';
  let bytes = 0;
  socket.on('data', (chunk: Buffer) => {
    chunks.push(chunk);
    bytes += chunk.length;
  });
  socket.on('error', (error: NodeJS.ErrnoException) => {
    outcome = error.code ?? error.message;
  });
  const closed = new Promise<string>((resolve) => socket.once('close', () => resolve(outcome)));
  await Promise.race([once(socket, 'connect').catch(() => {}), closed]);
  return { socket, received: () => Buffer.concat(chunks), count: () => bytes, outcome: closed };
}

beforeEach(async () => {
  serverSockets = [];
  server = createServer({ allowHalfOpen: true }, echo);
  proxy = await createFaultProxy({ target: { host, port: await portOf(server) } });
});

afterEach(async () => {
  await proxy.close();
  for (const client of clients.splice(0)) client.destroy();
  for (const socket of serverSockets) socket.destroy();
  await new Promise((resolve) => server.close(resolve));
});

async function expectEcho(client: Client, text: string): Promise<void> {
  const before = client.received().length;
  client.socket.write(text);
  await vi.waitFor(() => expect(client.received().subarray(before).toString()).toBe(text), { interval: 2 });
}

test('without faults every byte passes, in order, and a half-close too', async () => {
  const client = await openClient();
  client.socket.write('send 5000000');
  await vi.waitFor(() => expect(client.count()).toBe(5_000_000), { timeout: 5_000 });
  expect(client.received().equals(pattern(5_000_000))).toBe(true);
  client.socket.end();
  expect(await client.outcome).toBe('end');
  expect(client.received().subarray(-3).toString()).toBe('bye');
  expect(proxy.stats).toMatchObject({
    accepted: 1,
    bytesToTarget: 12,
    bytesToClient: 5_000_003,
    reset: 0,
    unreachable: 0,
  });
  await vi.waitFor(() => expect(proxy.stats.open).toBe(0));
});

test('cut resets every connection on both sides and serves new ones', async () => {
  const [one, two] = [await openClient(), await openClient()];
  await expectEcho(one, 'a');
  await expectEcho(two, 'b');
  const serverSide = Promise.all(
    serverSockets.map((socket) => new Promise<void>((resolve) => socket.once('close', () => resolve()))),
  );
  const errors: unknown[] = [];
  for (const socket of serverSockets)
    socket.on('error', (error: NodeJS.ErrnoException) => void errors.push(error.code));
  proxy.cut();
  expect(await Promise.all([one.outcome, two.outcome])).toEqual(['ECONNRESET', 'ECONNRESET']);
  await serverSide;
  expect(errors).toEqual(['ECONNRESET', 'ECONNRESET']);
  expect(proxy.stats).toMatchObject({ reset: 2, open: 0 });
  await expectEcho(await openClient(), 'c');
});

test('pause stops both directions without a close, resume loses nothing', async () => {
  const client = await openClient();
  await expectEcho(client, 'before');
  proxy.pause();
  client.socket.write('during');
  const late = await openClient();
  late.socket.write('late');
  await new Promise((resolve) => setTimeout(resolve, 100));
  expect(client.received().toString()).toBe('before');
  expect(late.received().length).toBe(0);
  proxy.resume();
  await vi.waitFor(() => expect(client.received().toString()).toBe('beforeduring'));
  await vi.waitFor(() => expect(late.received().toString()).toBe('late'));
});

test('pause is back pressure: the sender cannot write on and on', async () => {
  const client = await openClient();
  await expectEcho(client, 'x');
  proxy.pause();
  const [sender] = serverSockets;
  const chunk = Buffer.alloc(1_048_576, 1);
  let taken = 0;
  const countTaken = () => {
    taken += chunk.length;
  };
  // Sockets buffer without bound in the process; what the system takes is what has left it.
  for (let index = 0; index < 64; index += 1) sender?.write(chunk, countTaken);
  await new Promise((resolve) => setTimeout(resolve, 200));
  expect(taken).toBeLessThan(32 * chunk.length);
  expect(sender?.writableNeedDrain).toBe(true);
  proxy.resume();
  await vi.waitFor(() => expect(client.count()).toBe(1 + 64 * chunk.length), { timeout: 10_000 });
});

test('a slow reader behind the proxy slows the sender down too', async () => {
  const client = await openClient();
  await expectEcho(client, 'x');
  client.socket.pause();
  const [sender] = serverSockets;
  const chunk = Buffer.alloc(1_048_576, 1);
  for (let index = 0; index < 64; index += 1) sender?.write(chunk);
  await new Promise((resolve) => setTimeout(resolve, 200));
  expect(proxy.stats.bytesToClient).toBeLessThan(40 * chunk.length);
  client.socket.resume();
  await vi.waitFor(() => expect(client.count()).toBe(1 + 64 * chunk.length), { timeout: 10_000 });
});

test('delay holds each direction and keeps the order', async () => {
  const client = await openClient();
  await expectEcho(client, 'x');
  proxy.delay(60);
  const startedAtMs = performance.now();
  client.socket.write('1');
  await new Promise((resolve) => setTimeout(resolve, 15));
  client.socket.write('2');
  proxy.delay(5);
  await new Promise((resolve) => setTimeout(resolve, 15));
  client.socket.write('3');
  await vi.waitFor(() => expect(client.received().toString()).toBe('x123'), { interval: 2 });
  expect(performance.now() - startedAtMs).toBeGreaterThanOrEqual(60);
  proxy.delay(80);
  const secondAtMs = performance.now();
  await expectEcho(client, 'y');
  expect(performance.now() - secondAtMs).toBeGreaterThanOrEqual(159);
  client.socket.end();
  expect(await client.outcome).toBe('end');
});

describe('dropAfterBytes', () => {
  test('lets exactly so many bytes of an answer through, then resets', async () => {
    for (const bytes of [0, 1, 1_000, 70_000]) {
      proxy.dropAfterBytes(bytes);
      const client = await openClient();
      client.socket.write('send 200000');
      expect(await client.outcome).toBe('ECONNRESET');
      expect(client.received().equals(pattern(200_000).subarray(0, bytes))).toBe(true);
    }
    await proxy.heal();
    await expectEcho(await openClient(), 'healed');
  });

  test('can cut a request instead', async () => {
    const client = await openClient();
    await expectEcho(client, 'x');
    proxy.dropAfterBytes(3, 'toTarget');
    const [socket] = serverSockets;
    const received: Buffer[] = [];
    socket?.on('data', (chunk: Buffer) => void received.push(chunk));
    client.socket.write('abcdef');
    expect(await client.outcome).toBe('ECONNRESET');
    await vi.waitFor(() => expect(socket?.destroyed).toBe(true));
    expect(Buffer.concat(received).toString()).toBe('abc');
    expect(proxy.stats.bytesToTarget).toBe(4);
  });
});

test('refuse turns new connections away and leaves open ones; heal takes them again on the same port', async () => {
  const open = await openClient();
  await expectEcho(open, 'x');
  proxy.refuse();
  expect(await (await openClient()).outcome).toBe('ECONNREFUSED');
  await expectEcho(open, 'still');
  await proxy.heal();
  await expectEcho(await openClient(), 'again');
  expect(proxy.stats.accepted).toBe(2);
});

test('a target that is away resets its client, retarget finds it again', async () => {
  const other = createServer(echo);
  const port = await portOf(other);
  await new Promise((resolve) => other.close(resolve));
  proxy.retarget({ host, port });
  expect(await (await openClient()).outcome).toBe('ECONNRESET');
  expect(proxy.stats).toMatchObject({ unreachable: 1, open: 0 });
  proxy.retarget({ host, port: (server.address() as AddressInfo).port });
  await expectEcho(await openClient(), 'back');
});

test('close ends open connections and frees the port', async () => {
  const client = await openClient();
  await expectEcho(client, 'x');
  await proxy.close();
  expect(await client.outcome).toBe('ECONNRESET');
  expect(await (await openClient()).outcome).toBe('ECONNREFUSED');
});

test('url keeps everything but host and port', () => {
  const at = `${host}:${proxy.port}`;
  expect(proxy.url('redis')).toBe(`redis://${at}`);
  expect(proxy.url('postgresql://me:pa%40ss@db.test:5432/graph?sslmode=disable')).toBe(
    `postgresql://me:pa%40ss@${at}/graph?sslmode=disable`,
  );
  expect(proxy.url('redis://h:1/2')).toBe(`redis://${at}/2`);
  expect(proxy.url('ws://[::1]:4000/graphql')).toBe(`ws://${at}/graphql`);
});

test('HTTP and WebSocket pass through and fail as told', async () => {
  const http = createHttpServer((incoming, response) => void incoming.pipe(response));
  const sockets = new WebSocketServer({ server: http });
  sockets.on('connection', (socket) => socket.on('message', (data) => socket.send(`got ${data}`)));
  const carrier = await createFaultProxy({ target: { host, port: await portOf(http) } });
  try {
    const response = await fetch(carrier.url('http'), { method: 'POST', body: 'hello' });
    expect(await response.text()).toBe('hello');
    const socket = new WebSocket(carrier.url('ws'));
    await once(socket, 'open');
    socket.send('a');
    expect(String((await once(socket, 'message'))[0])).toBe('got a');
    const closed = once(socket, 'close');
    socket.on('error', () => {});
    carrier.cut();
    expect((await closed)[0]).toBe(1006);
    carrier.dropAfterBytes(40);
    const failure = await new Promise<string>((resolve) => {
      const outgoing = request(carrier.url('http'), { method: 'POST', agent: false }, (answer) => {
        answer.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
        answer.resume();
      });
      outgoing.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
      outgoing.end('x'.repeat(1_000));
    });
    expect(failure).toBe('ECONNRESET');
  } finally {
    await carrier.close();
    sockets.close();
    http.closeAllConnections();
    await new Promise((resolve) => http.close(resolve));
  }
});
