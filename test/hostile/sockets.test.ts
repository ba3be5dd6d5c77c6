import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { type HostedPlatform, hostPlatform } from '../support/platform.ts';

let platform: HostedPlatform;
let token: string;
let contextId: string;
beforeAll(async () => {
  platform = await hostPlatform({ env: { RATE_LIMIT_SUBJECT: '100000000', RATE_LIMIT_ADDRESS: '100000000' } });
  token = await platform.token({ subject: 'mallory', tenant: 'hostile' });
  const made = await platform.query<{ createContext: { context: { id: string } } }>(
    `mutation { createContext(input: { title: "t", root: { domain: "d", environment: "e" } }) { context { id } userErrors { code } } }`,
    {},
    { token },
  );
  contextId = made.data!.createContext.context.id;
}, 240_000);
afterAll(() => platform?.close());

interface Message {
  readonly id?: string;
  readonly type: string;
  readonly payload?: unknown;
}

/** A socket as a program of one's own would speak on it. */
class RawSocket implements Disposable {
  readonly messages: Message[] = [];
  readonly #socket: WebSocket;
  readonly closed: Promise<number>;
  #heard: (() => void) | null = null;

  constructor(protocol: string | undefined, headers: Readonly<Record<string, string>> = {}) {
    this.#socket = new WebSocket(
      `${platform.url.replace('http', 'ws')}/graphql`,
      protocol === undefined ? [] : [protocol],
      { headers },
    );
    this.#socket.on('message', (data) => {
      this.messages.push(JSON.parse(String(data)) as Message);
      this.#heard?.();
    });
    this.#socket.on('error', () => {});
    this.closed = new Promise((resolve) => this.#socket.once('close', resolve));
  }

  get isOpen(): boolean {
    return this.#socket.readyState === WebSocket.OPEN;
  }

  async opened(): Promise<this> {
    await new Promise((resolve, reject) => this.#socket.once('open', resolve).once('error', reject));
    return this;
  }

  async initialised(bearer = token): Promise<this> {
    await this.opened();
    this.say({ type: 'connection_init', payload: { authorization: `Bearer ${bearer}` } });
    await this.until(({ messages }) => messages.some(({ type }) => type === 'connection_ack'));
    return this;
  }

  say(message: unknown): void {
    this.write(JSON.stringify(message));
  }

  write(data: string | Buffer): void {
    this.#socket.send(data);
  }

  subscribe(id: string, query: string): void {
    this.say({ id, type: 'subscribe', payload: { query } });
  }

  of(type: string): readonly Message[] {
    return this.messages.filter((message) => message.type === type);
  }

  async until(condition: (socket: this) => boolean, timeoutMs = 20_000): Promise<void> {
    const end = performance.now() + timeoutMs;
    while (!condition(this)) {
      if (performance.now() > end)
        throw new Error(`not within ${timeoutMs} ms; heard ${JSON.stringify(this.messages.slice(-3))}`);
      await new Promise<void>((resolve) => {
        this.#heard = resolve;
        setTimeout(resolve, 20);
      });
    }
  }

  [Symbol.dispose](): void {
    this.#socket.terminate();
  }
}

const modern = 'graphql-transport-ws';
const updates = () => `subscription { contextUpdates(contextId: "${contextId}") { cursor } }`;
const subscribeMessage = (id: string) => ({ id, type: 'subscribe', payload: { query: updates() } });
const rename = (title: string) =>
  platform.query(
    'mutation ($id: ID!, $title: String!) { updateContext(contextId: $id, patch: { title: $title }) { userErrors { code } } }',
    { id: contextId, title },
    { token },
  );

/** Subscriptions that the server holds, as its metrics say. */
async function activeSubscriptions(): Promise<number> {
  const text = await (await fetch(`${platform.url}/metrics`)).text();
  let sum = 0;
  for (const [, value] of text.matchAll(/^mplp_active_subscriptions(?:\{[^}]*\})? (\d+)/gm)) sum += Number(value);
  return sum;
}

async function untilActive(count: number): Promise<void> {
  const end = performance.now() + 20_000;
  while ((await activeSubscriptions()) !== count) {
    if (performance.now() > end) throw new Error(`${await activeSubscriptions()} subscriptions, not ${count}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

describe('a socket that breaks the protocol is closed with the code that says how', () => {
  it.each<readonly [string, number, (socket: RawSocket) => void]>([
    ['text that is no JSON', 4400, (socket) => socket.write('{"type":')],
    ['a number out of range', 4400, (socket) => socket.write('{"type":"ping","payload":{"n":1e400}}')],
    ['bytes', 4400, (socket) => socket.write(Buffer.from([1, 2, 3]))],
    ['a message of no known type', 4400, (socket) => socket.say({ type: 'connection_reset' })],
    ['a message that is a list', 4400, (socket) => socket.say([{ type: 'ping' }])],
    [
      'a subscription without an id',
      4400,
      (socket) => socket.say({ type: 'subscribe', payload: { query: '{ me { subject } }' } }),
    ],
    ['a second initialisation', 4429, (socket) => socket.say({ type: 'connection_init' })],
    [
      'one id for two subscriptions',
      4409,
      (socket) => {
        socket.say(subscribeMessage('a'));
        socket.say(subscribeMessage('a'));
      },
    ],
    ['a message of 1 MB', 1009, (socket) => socket.say({ type: 'ping', payload: { pad: 'x'.repeat(1_048_576) } })],
  ])('%s: %d', async (_name, code, breakIt) => {
    using socket = await new RawSocket(modern).initialised();
    breakIt(socket);
    expect(await socket.closed).toBe(code);
  });

  it('a subscription before the initialisation: 4401', async () => {
    using socket = await new RawSocket(modern).opened();
    socket.say(subscribeMessage('a'));
    expect(await socket.closed).toBe(4401);
  });

  it('no subprotocol: 4406', async () => {
    using socket = await new RawSocket(undefined).opened();
    expect(await socket.closed).toBe(4406);
  });

  it('no initialisation within three seconds: 4408', async () => {
    using socket = await new RawSocket(modern).opened();
    expect(await socket.closed).toBe(4408);
  });

  it('a token that is none: 4403', async () => {
    using socket = await new RawSocket(modern).opened();
    socket.say({ type: 'connection_init', payload: { authorization: 'Bearer none' } });
    expect(await socket.closed).toBe(4403);
  });

  it('a page of another origin is not let in', async () => {
    using socket = new RawSocket(modern, { origin: 'https://elsewhere.example' });
    await expect(socket.opened()).rejects.toThrow('403');
  });
});

describe('a socket that asks for too much', () => {
  it('is told so, operation by operation, and what runs on it goes on', async () => {
    await untilActive(0);
    using socket = await new RawSocket(modern).initialised();
    for (let at = 0; at < 10; at += 1) socket.subscribe(`live-${at}`, updates());
    await untilActive(10);
    socket.subscribe('syntax', 'subscription {');
    socket.subscribe('unknown', 'subscription { nothing { id } }');
    socket.subscribe(
      'foreign',
      'subscription { contextUpdates(contextId: "0197e5a0-0000-7000-8000-000000000000") { cursor } }',
    );
    // One that is being looked at has its place until it is refused.
    await socket.until((one) => one.of('error').length >= 3);
    for (let at = 0; at < 9_990; at += 1) socket.subscribe(`more-${at}`, updates());
    await socket.until((one) => one.of('error').length >= 9_983, 60_000);
    const codes = new Set(
      socket.of('error').map(({ payload }) => (payload as { extensions: { code: string } }[])[0]!.extensions.code),
    );
    expect([...codes].sort()).toEqual([
      'GRAPHQL_PARSE_FAILED',
      'GRAPHQL_VALIDATION_FAILED',
      'NOT_FOUND',
      'QUOTA_EXCEEDED',
    ]);
    await untilActive(20);
    await rename('heard by all that run');
    await socket.until((one) => one.of('next').length >= 20);
    expect(new Set(socket.of('next').map(({ id }) => id)).size).toBe(20);
    expect(socket.isOpen).toBe(true);
  });

  it('leaves nothing behind after a storm of beginnings and ends', async () => {
    await untilActive(0);
    using socket = await new RawSocket(modern).initialised();
    for (let at = 0; at < 3_000; at += 1) {
      socket.subscribe(`s-${at}`, updates());
      socket.say({ id: `s-${at}`, type: 'complete' });
      if (at % 100 === 99) await new Promise((resolve) => setImmediate(resolve));
    }
    // Those that still begin and end count against the connection: the last one comes after them.
    await untilActive(0);
    await new Promise((resolve) => setTimeout(resolve, 500));
    socket.subscribe('last', updates());
    await untilActive(1);
    const before = socket.of('next').length;
    await rename('heard once');
    await socket.until((one) => one.of('next').length > before);
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(
      socket
        .of('next')
        .slice(before)
        .map(({ id }) => id),
    ).toEqual(['last']);
  });
});
