import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { askEverything, compareAnswer, expectedAnswers } from '../../perf/peers/answers.ts';
import { type AuthenticationSetup, createVerifier, mintTokens } from '../../perf/peers/authentication.ts';
import { answerByReference } from '../../perf/peers/graph/reference.ts';
import { start as startSubgraphs } from '../../perf/peers/graph/subgraphServer.ts';
import { composeForeignSupergraph } from '../../perf/peers/graph/supergraph.ts';
import { listenLocally, type PeerSetup, type RunningPeer, type StartPeer } from '../../perf/peers/peerServer.ts';
import { start as startApollo } from '../../perf/peers/servers/apollo.ts';
import { start as startOurs } from '../../perf/peers/servers/ours.ts';
import { start as startRaw } from '../../perf/peers/servers/raw.ts';

const expected = expectedAnswers();
const closers: (() => Promise<void>)[] = [];
let origin: string;
let supergraphSdl: string;

beforeAll(async () => {
  const subgraphs = await startSubgraphs();
  closers.push(() => subgraphs.close());
  origin = `http://127.0.0.1:${subgraphs.port}`;
  supergraphSdl = composeForeignSupergraph(origin);
});
afterAll(async () => {
  for (const close of closers.reverse()) await close();
});

async function open(start: StartPeer, setup: Partial<PeerSetup> = {}): Promise<RunningPeer & { url: string }> {
  const running = await start({
    supergraphSdl,
    subgraphsOrigin: origin,
    authentication: { kind: 'opaque' },
    answers: expected.map(({ body, answer }) => [body, answer] as const),
    ...setup,
  });
  closers.push(() => running.close());
  return { ...running, url: `http://127.0.0.1:${running.port}/graphql` };
}

function post(url: string, body: object, authorization = 'Bearer somebody'): Promise<Response> {
  return fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept: 'application/json', authorization },
    body: JSON.stringify(body),
  });
}

const peers: readonly (readonly [name: string, start: StartPeer, variant: { readonly variant?: string }])[] = [
  ['ours, subgraphs in process', startOurs, { variant: 'inProcess' }],
  ['ours, subgraphs over HTTP', startOurs, { variant: 'http' }],
  ['stock Apollo Gateway', startApollo, {}],
  ['raw HTTP', startRaw, {}],
];

/** Beside those that are measured: what a gateway may get wrong. */
const others: readonly (readonly [query: string, variables: Readonly<Record<string, unknown>>])[] = [
  ['{ product(upc: "none") { name reviews { id } } }', {}],
  ['query ($upc: String!) { a: product(upc: $upc) { inStock } b: product(upc: $upc) { name inStock } }', { upc: 'p3' }],
  ['{ topProducts(first: 20) { shippingEstimate } }', {}],
  ['{ topProducts(first: 0) { reviews { id } } users { __typename birthYear reviews { author { username } } } }', {}],
  [
    'query ($with: Boolean!) { user(id: "u4") { ...Named reviews @include(if: $with) { product { weight } } } } fragment Named on User { name id }',
    { with: true },
  ],
  [
    'query ($with: Boolean!) { user(id: "u4") { id reviews @include(if: $with) { id } } topProducts(first: 2) { price @skip(if: $with) upc } }',
    { with: false },
  ],
];

describe.each(peers.slice(0, 2))('%s', (_name, start, variant) => {
  test.each(others)('%s is answered as by graphql-js over one schema', async (query, variables) => {
    const { url } = await open(start, variant);
    // The second time the document is known: another way through the server.
    for (let time = 0; time < 2; time += 1) {
      const response = await post(url, { query, variables });
      expect((await response.text()).trim()).toBe(answerByReference(query, variables));
    }
  });
});

test.each(peers)('%s answers every measured operation to the byte', async (_name, start, variant) => {
  const { url } = await open(start, variant);
  const answered = await askEverything(url, { expected, authorizationOf: (index) => `Bearer first-${index}` });
  expect(answered).toHaveLength(43);
  expect(new Set(answered.map(({ equality }) => equality))).toEqual(new Set(['bytes']));
  // And what each writes itself is what it writes again, as the load expects.
  const again = await askEverything(url, { expected, authorizationOf: (index) => `Bearer second-${index}` });
  expect(again.map(({ own }) => own)).toEqual(answered.map(({ own }) => own));
});

test.each(peers.slice(1, 3))('%s forwards each request’s own Authorization', async (_name, start, variant) => {
  const seen: (string | undefined)[] = [];
  const recorder = createServer((request, response) => {
    seen.push(request.headers.authorization);
    request.resume();
    response
      .writeHead(200, { 'content-type': 'application/json' })
      .end('{"data":{"product":{"upc":"p1","name":"n","price":1,"weight":2}}}');
  });
  const running = await listenLocally(recorder);
  closers.push(() => running.close());
  const recorded = `http://127.0.0.1:${running.port}`;
  const { url } = await open(start, {
    ...variant,
    subgraphsOrigin: recorded,
    supergraphSdl: composeForeignSupergraph(recorded),
  });
  const { body } = expected.find(({ operation }) => operation === 'light')!;
  const callers = Array.from({ length: 5 }, (_, index) => `Bearer caller-${index}`);
  await Promise.all(
    callers.map(async (caller) => expect((await post(url, JSON.parse(body), caller)).status).toBe(200)),
  );
  expect(seen.toSorted()).toEqual(callers);
});

test('who forwards no Authorization gets nothing from the subgraphs', async () => {
  const ask = (headers: Record<string, string>): Promise<Response> =>
    fetch(`${origin}/products`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body: JSON.stringify({ query: '{ topProducts(first: 1) { upc } }' }),
    });
  expect((await ask({})).status).toBe(401);
  expect(await (await ask({ authorization: 'Bearer a' })).json()).toEqual({ data: { topProducts: [{ upc: 'p1' }] } });
});

describe('verified tokens', () => {
  let folder: string;
  let authentication: AuthenticationSetup;
  let tokens: readonly string[];
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'peers-'));
    const minted = await mintTokens(folder, 50);
    authentication = { kind: 'verified', publicKeyFile: minted.publicKeyFile };
    tokens = JSON.parse(readFileSync(minted.tokensFile, 'utf8')) as string[];
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  test.each(peers)('%s answers who has one, and nobody else', async (_name, start, variant) => {
    const { url } = await open(start, { ...variant, authentication });
    const authorizationOf = (index: number): string => `Bearer ${tokens[index]}`;
    expect(await askEverything(url, { expected, authorizationOf })).toHaveLength(43);
    const refused = await post(url, JSON.parse(expected[0]!.body), 'Bearer opaque-1');
    expect(refused.status).not.toBe(200);
    expect(await refused.text()).not.toContain('"product"');
  });

  test('every token is verified, not remembered from another', async () => {
    expect(new Set(tokens).size).toBe(50);
    const verifier = createVerifier(authentication);
    for (const token of tokens) await verifier.verify(`Bearer ${token}`);
    expect(verifier.stats).toMatchObject({ verified: 50, hits: 0 });
    verifier.close();
  });
});

test('an answer is equal to the byte, but for the order of keys, or not at all', () => {
  const answer = '{"data":{"a":1,"b":[{"c":"é"},2]}}';
  expect(compareAnswer(`${answer}\n`, answer)).toBe('bytes');
  expect(compareAnswer('{"data":{"b":[{"c":"é"},2],"a":1}}', answer)).toBe('order');
  expect(() => compareAnswer('{"data":{"a":1,"b":[2,{"c":"é"}]}}', answer)).toThrow('expected …');
  expect(() => compareAnswer('{"data":{"a":1,"b":[{"c":"é"},2]},"extensions":{}}', answer)).toThrow('expected …');
  expect(() => compareAnswer('<html>', answer)).toThrow('expected JSON, got <html>');
});
