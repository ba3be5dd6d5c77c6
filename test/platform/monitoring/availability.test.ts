import { once } from 'node:events';
import { createServer } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type HostedPlatform, hostPlatform, startPlatform } from '../../support/platform.ts';
import { subscribe } from '../../support/subscribe.ts';
import type { PlatformRig } from '../observeRig.ts';
import { alertCalls, minuteMs, openAlertRig, operator } from './alertRig.ts';

interface Counted {
  readonly labels: Record<string, string>;
  readonly value: number;
}

/** A counter as the platform shows it now. */
async function counted(platform: HostedPlatform, name: string): Promise<Counted[]> {
  const text = await (await fetch(`${platform.url}/metrics`)).text();
  return [...text.matchAll(new RegExp(`^${name}\\{(.*)\\} (\\S+)$`, 'gm'))].map(([, labels, value]) => ({
    labels: Object.fromEntries([...labels!.matchAll(/(\w+)="([^"]*)"/g)].map(([, key, told]) => [key!, told!])),
    value: Number(value),
  }));
}

/** By status and operation, or by type of error, what has been added since. */
async function since<Key extends string>(platform: HostedPlatform, name: string, keys: readonly Key[]) {
  const told = async () =>
    new Map((await counted(platform, name)).map(({ labels, value }) => [keys.map((key) => labels[key]).join(), value]));
  const before = await told();
  return async () =>
    Object.fromEntries(
      [...(await told())]
        .map(([key, value]): [string, number] => [key, value - (before.get(key) ?? 0)])
        .filter(([, grown]) => grown !== 0),
    );
}

const watch = async (platform: HostedPlatform) => {
  const requests = await since(platform, 'mplp_requests_total', ['status', 'operation']);
  const errors = await since(platform, 'error_rate', ['error_type', 'severity']);
  return async () => ({ requests: await requests(), errors: await errors() });
};

const post = (platform: HostedPlatform, body: string, headers: Record<string, string> = {}) =>
  fetch(`${platform.url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body,
  });

describe('requests and their outcomes', () => {
  let platform: HostedPlatform;
  beforeAll(async () => {
    platform = await hostPlatform({ env: { METRIC_HISTORY: 'off' } });
  });
  afterAll(() => platform.close());

  it('an answer from the response cache is a request as any other', async () => {
    const told = await watch(platform);
    const hits: (string | null)[] = [];
    for (let sent = 0; sent < 6; sent += 1)
      hits.push((await platform.query('{ contexts(first: 1) { nodes { id } } }')).headers.get('x-mplp-cache'));
    // Some of them, else this tests nothing.
    expect(hits.filter((hit) => hit !== null).length).toBeGreaterThan(2);
    expect(await told()).toEqual({ requests: { 'ok,contexts': 6 }, errors: {} });
  });

  it('an answer with several errors is one failed request, by the gravest of them', async () => {
    const told = await watch(platform);
    const several = await platform.query(
      '{ one: contexts(first: -1) { nodes { id } } two: contexts(first: -1) { nodes { id } } three: plans(first: -1) { nodes { id } } }',
    );
    expect(several.errors.length).toBeGreaterThan(1);
    const unknown = await platform.query('{ nothing, neither, nor }');
    expect(unknown.errors.length).toBeGreaterThan(1);
    const { requests, errors } = await told();
    expect(requests).toEqual({ 'error,contexts': 1, 'error,none': 1 });
    expect(Object.values(errors).reduce((sum, count) => sum + count, 0)).toBe(2);
    expect(errors).toMatchObject({ 'GRAPHQL_VALIDATION_FAILED,warning': 1 });
  });

  it('what is refused at the door is a failed request, however it came', async () => {
    const told = await watch(platform);
    expect((await post(platform, '{"query":')).status).toBe(400);
    expect((await post(platform, '{"query":"{ me { subject } }"}', { authorization: 'Bearer none' })).status).toBe(401);
    expect((await fetch(`${platform.url}/graphql`, { method: 'PUT' })).status).toBe(405);
    // Refused by Apollo Server before there is an operation: another site could send it.
    expect((await fetch(`${platform.url}/graphql?query={me{subject}}`)).status).toBe(400);
    const stream = { accept: 'text/event-stream' };
    expect(
      (await post(platform, '{"query":"{ me { subject } }"}', { ...stream, authorization: 'Bearer none' })).status,
    ).toBe(401);
    expect(await (await post(platform, '{"query":"{ nothing }"}', stream)).text()).toMatch('GRAPHQL_VALIDATION_FAILED');
    expect(await (await post(platform, '{"query":"{ me { subject } }"}', stream)).text()).toMatch('"subject"');
    // Neither probes nor pages are requests.
    for (const path of ['/live', '/ready', '/metrics', '/nowhere']) await fetch(`${platform.url}${path}`);
    expect(await told()).toEqual({
      requests: { 'error,none': 6, 'ok,me': 1 },
      errors: {
        'BAD_REQUEST,warning': 2,
        'UNAUTHENTICATED,warning': 2,
        'METHOD_NOT_ALLOWED,warning': 1,
        'GRAPHQL_VALIDATION_FAILED,warning': 1,
      },
    });
  });

  it('operations of a socket are requests, and a subscription is one when it begins', async () => {
    const told = await watch(platform);
    const id = '00000000-0000-4000-8000-000000000000';
    const refused = subscribe({
      url: platform.url,
      query: `subscription { contextUpdates(contextId: "${id}") { type } }`,
    });
    await expect.poll(() => refused.errors.length).toBe(1);
    await refused.close();
    const asked = subscribe({ url: platform.url, query: '{ me { subject } }' });
    await asked.until((payloads) => payloads.length === 1);
    await asked.close();
    const { requests, errors } = await told();
    expect(requests).toEqual({ 'error,contextUpdates': 1, 'ok,me': 1 });
    expect(Object.values(errors)).toEqual([1]);
  });

  it('what modules ask of each other is nobody’s request', async () => {
    const told = await watch(platform);
    const create =
      'mutation { createContext(input: { title: "asked", root: { domain: "d", environment: "e" } }) { context { id } } }';
    const { data } = await platform.query<{ createContext: { context: { id: string } } }>(create);
    const contextId = data!.createContext.context.id;
    // Asks the context module whether there is such a context.
    await platform.query(
      'mutation ($id: ID!) { createPlan(input: { contextId: $id, title: "p", objective: "o" }) { plan { id } userErrors { code } } }',
      { id: contextId },
    );
    expect(await told()).toEqual({ requests: { 'ok,createContext': 1, 'ok,createPlan': 1 }, errors: {} });
  });
});

describe('when everything fails at the door', () => {
  let rig: PlatformRig;
  beforeAll(async () => {
    rig = await openAlertRig();
  });
  afterAll(() => rig[Symbol.asyncDispose]());
  const { evaluate, total, alertOf, clear } = alertCalls(() => rig);

  it('low_availability and high_error_rate fire, by what the process itself counted', async () => {
    // An issuer that nobody answers for: no token can be verified.
    const silent = createServer((socket) => socket.destroy()).listen(0, '127.0.0.1');
    await once(silent, 'listening');
    const { port } = silent.address() as { port: number };
    const env = {
      NODE_ENV: 'production',
      METRIC_HISTORY: 'off',
      AUTH_JWKS_URL: `http://127.0.0.1:${port}/keys`,
      AUTH_ISSUER: 'x',
      AUTH_AUDIENCE: 'y',
    };
    await using platform = await startPlatform({ env });
    await clear();
    const begin = Date.now() - 4 * minuteMs;
    const statuses = new Set<number>();
    const token =
      `${btoa('{"alg":"RS256","kid":"k"}')}.${btoa('{"sub":"s","iss":"x","aud":"y","exp":4102444800}')}.AAAA`.replaceAll(
        '=',
        '',
      );
    for (let minute = 0; minute <= 4; minute += 1) {
      for (let sent = 0; sent < 3; sent += 1)
        statuses.add(
          (await post(platform, '{"query":"{ me { subject } }"}', { authorization: `Bearer ${token}` })).status,
        );
      const at = begin + minute * minuteMs;
      for (const name of ['mplp_requests_total', 'error_rate'])
        for (const { labels, value } of await counted(platform, name)) await total(name, value, at, 'one', labels);
      await evaluate(at);
    }
    silent.close();
    expect([...statuses]).toEqual([503]);
    expect(await alertOf(operator, 'low_availability')).toMatchObject({ state: 'FIRING', value: 1 });
    expect(await alertOf(operator, 'high_error_rate')).toMatchObject({ state: 'FIRING', value: 1 });
  });
});
