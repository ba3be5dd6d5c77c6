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

  it('count documents that are none', async () => {
    const token = await tokenOf('fool');
    const statuses = new Set<number>();
    for (let nth = 0; nth < 310; nth += 1)
      statuses.add((await platform.query(`{ nonsense${nth}`, {}, { token })).status);
    expect([...statuses]).toEqual([400, 429]);
  });
});

describe('an address', () => {
  it('that tries tokens which are none is not heard for the rest of the window', async () => {
    await using platform = await hostPlatform({
      env: { RATE_LIMIT_SUBJECT: '1000000', RATE_LIMIT_ADDRESS: '1000', RATE_LIMIT_WINDOW_MS: '600000' },
    });
    const statuses = [];
    for (let nth = 0; nth < 12; nth += 1)
      statuses.push((await platform.query('{ __typename }', {}, { token: `none-${nth}` })).status);
    expect(statuses.slice(0, 10)).toEqual(Array(10).fill(401));
    expect(statuses.slice(10)).toEqual([429, 429]);
  });
});
