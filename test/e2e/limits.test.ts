import { createClient } from 'graphql-ws';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import WebSocket from 'ws';
import { type GraphQLAnswer, hostPlatform, type Platform } from '../support/platform.ts';

const codesOf = (answer: GraphQLAnswer) => answer.errors.map((error) => error.extensions.code);
const repeated = (count: number, part: (index: number) => string) =>
  Array.from({ length: count }, (_, i) => part(i)).join(' ');

/** Code of the error that an operation over a WebSocket is answered with, or null. */
async function codeOverSocket(url: string, token: string, query: string): Promise<unknown> {
  const client = createClient({
    url: `${url.replace('http', 'ws')}/graphql`,
    webSocketImpl: WebSocket,
    connectionParams: { authorization: `Bearer ${token}` },
    retryAttempts: 0,
  });
  const answer = await new Promise<unknown>((resolve) => {
    client.subscribe(
      { query },
      {
        next: ({ errors }) => resolve(errors?.[0]?.extensions?.['code'] ?? null),
        error: (error) => resolve(Array.isArray(error) ? error[0]?.extensions?.code : String(error)),
        complete: () => resolve(null),
      },
    );
  });
  await client.dispose();
  return answer;
}

describe('limits', () => {
  let platform: Platform;
  beforeAll(async () => {
    platform = await hostPlatform({
      env: { RATE_LIMIT_SUBJECT: '3000', RATE_LIMIT_ADDRESS: '1000000', RATE_LIMIT_WINDOW_MS: '600000' },
    });
  });
  afterAll(() => platform?.close());
  const tokenOf = (subject: string) => platform.token({ subject, tenant: 'limits' });

  const deep = (levels: number): string =>
    levels === 0 ? 'id' : `dialogs(first: 1) { nodes { context { ${deep(levels - 1)} } } }`;

  it.each([
    ['depth', `{ context(id: "x") { ${deep(4)} } }`],
    ['aliases', `{ ${repeated(21, (i) => `a${i}: __typename`)} }`],
    ['rootFields', `{ ${repeated(11, () => '__typename')} }`],
    ['directives', `{ __typename ${repeated(10, () => '@include(if: true)')} }`],
  ])('of %s refuses the document with what was allowed and found', async (limit, text) => {
    const answer = await platform.query(text, {}, { token: await tokenOf('writer') });
    expect(answer.status).toBe(400);
    const refusals = answer.errors.filter((error) => error.extensions.code === 'QUERY_LIMIT_EXCEEDED');
    expect(refusals.map((error) => Reflect.get(Object(error.extensions['details']), 'limit'))).toContain(limit);
    expect(answer.data).toBeNull();
  });

  it('refuse a document of 2^20 fields at once', async () => {
    const levels = repeated(20, (i) => `fragment F${i} on Query { ...F${i + 1} ...F${i + 1} }`);
    const answer = await platform.query(`{ ...F0 } ${levels} fragment F20 on Query { __typename }`);
    expect(codesOf(answer)).toContain('QUERY_LIMIT_EXCEEDED');
  });

  it('refuse what costs too much before it runs, by its variables too', async () => {
    const text = `query ($n: Int!) { contexts(first: $n) { nodes { dialogs(first: $n) { nodes { messages(first: $n) { nodes { id } } } } } } }`;
    const token = await tokenOf('reader');
    const small = await platform.query(text, { n: 2 }, { token });
    expect([small.errors, small.extensions['cost']]).toEqual([[], { requested: expect.any(Number), limit: 20_000 }]);
    const large = await platform.query(text, { n: 100 }, { token });
    expect([large.status, codesOf(large)]).toEqual([400, ['QUERY_LIMIT_EXCEEDED']]);
  });

  it('say the cost of an answer the same way whoever gives it, and the standing in headers', async () => {
    const token = await tokenOf('asker');
    const costs = [];
    const remaining = [];
    for (let nth = 0; nth < 3; nth += 1) {
      const answer = await platform.query('{ contexts(first: 4) { nodes { id } } }', {}, { token });
      costs.push(answer.extensions['cost']);
      remaining.push(Number(answer.headers.get('x-ratelimit-remaining')));
      expect(answer.headers.get('x-ratelimit-limit')).toBe('3000');
      expect(Number(answer.headers.get('x-ratelimit-reset'))).toBeGreaterThan(0);
    }
    expect(costs).toEqual(Array(3).fill({ requested: 5, limit: 20_000 }));
    // The first time a document is sent it costs ten at least.
    expect(remaining).toEqual([2_990, 2_985, 2_980]);
  });

  it('stop a subject that spends its rate, over HTTP and over a socket, and nobody else', async () => {
    const token = await tokenOf('spender');
    const text = '{ contexts(first: 100) { nodes { id dialogs(first: 4) { nodes { id } } } } }';
    const codes = [];
    for (let nth = 0; nth < 7; nth += 1) codes.push((await platform.query(text, {}, { token })).status);
    expect(codes).toEqual([200, 200, 200, 200, 429, 429, 429]);
    const refused = await platform.query(text, {}, { token });
    expect(codesOf(refused)).toEqual(['RATE_LIMITED']);
    expect(refused.errors[0]?.extensions['retryAfterMs']).toBeGreaterThan(0);
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0);
    expect(await codeOverSocket(platform.url, token, text)).toBe('RATE_LIMITED');
    // What was refused is not spent: smaller operations still take the rest.
    for (const rest of ['{ contexts(first: 90) { nodes { id } } }', '{ __typename }'])
      while ((await platform.query(rest, {}, { token })).status === 200);
    const follow = 'subscription { approvalsWaiting { cursor } }';
    expect(await codeOverSocket(platform.url, token, follow)).toBe('RATE_LIMITED');
    expect((await platform.query(text, {}, { token: await tokenOf('other') })).errors).toEqual([]);
  });

  it('take what an export streams, a unit for 16 KiB', async () => {
    const bearer = await platform.token({ subject: 'carrier', tenant: 'limits', roles: ['admin'] });
    const inputs = Array.from({ length: 20 }, (_, nth) => ({
      ...{ title: `context ${nth}`, root: { domain: 'd', environment: 'e' }, summary: 'long '.repeat(1_600) },
    }));
    const made = await platform.query(
      'mutation ($inputs: [CreateContextInput!]!) { createContexts(inputs: $inputs) { results { context { id } } } }',
      { inputs },
      { token: await platform.token({ subject: 'author', tenant: 'limits', roles: ['admin'] }) },
    );
    expect(made.errors).toEqual([]);
    const remaining = async () => {
      const answer = await platform.query('{ contexts(first: 4) { nodes { id } } }', {}, { token: bearer });
      return Number(answer.headers.get('x-ratelimit-remaining'));
    };
    await remaining();
    const before = await remaining();
    const answer = await fetch(`${platform.url}/v1/export/context/contexts?format=ndjson`, {
      headers: { authorization: `Bearer ${bearer}` },
    });
    const { byteLength } = await answer.arrayBuffer();
    expect([answer.status, byteLength > 160_000]).toEqual([200, true]);
    expect(before - (await remaining())).toBe(10 + Math.floor(byteLength / 16_384) + 5);
  });

  it('count documents that are none', async () => {
    const token = await tokenOf('fool');
    const statuses = new Set<number>();
    for (let nth = 0; nth < 310; nth += 1)
      statuses.add((await platform.query(`{ nonsense${nth}`, {}, { token })).status);
    expect([...statuses]).toEqual([400, 429]);
  });
});

const streams = [
  { transport: 'server-sent events', accept: 'text/event-stream' },
  { transport: 'multipart', accept: 'multipart/mixed;subscriptionSpec="1.0"' },
];

interface Sent {
  readonly bearer: string;
  readonly query?: string;
  readonly accept?: string;
  readonly forwardedFor?: string;
}

/** Status of a request to the graph, which is not read further. */
async function statusOf(
  url: string,
  { bearer, query = '{ __typename }', accept, forwardedFor }: Sent,
): Promise<Response> {
  const answer = await fetch(`${url}/graphql`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      authorization: `Bearer ${bearer}`,
      ...(accept === undefined ? {} : { accept }),
      ...(forwardedFor === undefined ? {} : { 'x-forwarded-for': forwardedFor }),
    },
    body: JSON.stringify({ query }),
  });
  await answer.body?.cancel();
  return answer;
}

/** What a WebSocket comes to: the code it is closed with, or 'acknowledged'. */
async function initOf(url: string, bearer: string, forwardedFor?: string): Promise<number | 'acknowledged'> {
  const socket = new WebSocket(`${url.replace('http', 'ws')}/graphql`, 'graphql-transport-ws', {
    headers: forwardedFor === undefined ? {} : { 'x-forwarded-for': forwardedFor },
  });
  return new Promise((resolve, reject) => {
    socket.on('error', reject);
    socket.on('open', () =>
      socket.send(JSON.stringify({ type: 'connection_init', payload: { authorization: `Bearer ${bearer}` } })),
    );
    socket.on('close', (code) => resolve(code));
    socket.on('message', () => {
      resolve('acknowledged');
      socket.terminate();
    });
  });
}

describe('an address', () => {
  let platform: Platform;
  beforeAll(async () => {
    platform = await hostPlatform({
      env: {
        ...{ RATE_LIMIT_SUBJECT: '1000000', RATE_LIMIT_ADDRESS: '1000', RATE_LIMIT_WINDOW_MS: '600000' },
        TRUST_PROXY: '127.0.0.0/8,::1',
      },
    });
  });
  afterAll(() => platform?.close());

  it('that tries tokens which are none is not heard for the rest of the window', async () => {
    const statuses = [];
    for (let nth = 0; nth < 12; nth += 1)
      statuses.push((await platform.query('{ __typename }', {}, { token: `none-${nth}` })).status);
    expect(statuses.slice(0, 10)).toEqual(Array(10).fill(401));
    expect(statuses.slice(10)).toEqual([429, 429]);
    // Not even with a token that is one, or the answer would tell which of those tried was.
    expect((await platform.query('{ __typename }', {}, { token: await platform.token({}) })).status).toBe(429);
  });

  it.each(streams)(
    'is counted over $transport, each client behind a proxy for itself',
    async ({ transport, accept }) => {
      const own = transport === 'multipart' ? '198.51.100' : '203.0.113';
      const codes = [];
      for (let nth = 0; nth < 12; nth += 1)
        codes.push((await statusOf(platform.url, { bearer: `none-${nth}`, accept, forwardedFor: `${own}.1` })).status);
      expect(codes).toEqual([...Array(10).fill(401), 429, 429]);
      const good = await platform.token({});
      const refused = await statusOf(platform.url, { bearer: good, accept, forwardedFor: `${own}.1` });
      expect([refused.status, refused.headers.get('x-ratelimit-remaining')]).toEqual([429, '0']);
      expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0);
      // The same address over another transport is the same bucket, what a client writes before its proxy is nothing.
      expect(await initOf(platform.url, good, `${own}.1`)).toBe(4429);
      expect((await statusOf(platform.url, { bearer: good, forwardedFor: `192.0.2.1, ${own}.1` })).status).toBe(429);
      expect((await statusOf(platform.url, { bearer: good, accept, forwardedFor: `${own}.2` })).status).toBe(200);
    },
  );

  it('is counted over WebSocket, one network of IPv6 as one', async () => {
    const codes = [];
    for (let nth = 0; nth < 12; nth += 1) codes.push(await initOf(platform.url, `none-${nth}`, `2001:db8:1:2::${nth}`));
    expect(codes).toEqual([...Array(10).fill(4403), 4429, 4429]);
    const good = await platform.token({});
    expect(await initOf(platform.url, good, '2001:db8:1:2:3::1')).toBe(4429);
    expect(await initOf(platform.url, good, '2001:db8:1:3::1')).toBe('acknowledged');
  });

  it.each(streams)('pays for documents that are none over $transport', async ({ transport, accept }) => {
    const [bearer, forwardedFor] = [await platform.token({}), transport === 'multipart' ? '192.0.2.11' : '192.0.2.12'];
    const statuses = [];
    for (let nth = 0; nth < 101; nth += 1)
      statuses.push((await statusOf(platform.url, { bearer, query: `{ none${nth}`, accept, forwardedFor })).status);
    expect([new Set(statuses.slice(0, 100)), statuses[100]]).toEqual([new Set([200]), 429]);
  });

  it.each([
    ['cannot be parsed', (nth: number) => `{ none${nth}`],
    ['are not valid, also when they come again', () => '{ none }'],
    ['are no valid subscriptions', () => 'subscription { none }'],
  ])('pays for documents over WebSocket that %s', async (kind, text) => {
    const client = createClient({
      url: `${platform.url.replace('http', 'ws')}/graphql`,
      webSocketImpl: class extends WebSocket {
        constructor(url: string, protocols: string[]) {
          super(url, protocols, { headers: { 'x-forwarded-for': `192.0.2.${100 + kind.length}` } });
        }
      },
      connectionParams: { authorization: `Bearer ${await platform.token({})}` },
      lazy: false,
      retryAttempts: 0,
      onNonLazyError: () => {},
    });
    const codes = [];
    for (let nth = 0; nth < 101; nth += 1)
      codes.push(
        await new Promise((resolve) =>
          client.subscribe(
            { query: text(nth) },
            {
              next: ({ errors }) => resolve(errors?.[0]?.extensions?.['code']),
              error: (error) => resolve(Array.isArray(error) ? error[0]?.extensions?.code : String(error)),
              complete: () => resolve('complete'),
            },
          ),
        ),
      );
    await client.dispose();
    expect(new Set(codes.slice(0, 100)).size).toBe(1);
    expect(codes[0]).toMatch(/^GRAPHQL_/);
    expect(codes[100]).toBe('RATE_LIMITED');
  });
});
