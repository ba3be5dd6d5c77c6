import { afterAll, beforeAll, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { type HostedPlatform, hostPlatform } from '../support/platform.ts';

const friend = 'https://app.example';
let platform: HostedPlatform;
beforeAll(async () => {
  platform = await hostPlatform({ env: { CORS_ORIGINS: `${friend},http://127.0.0.1:9` } });
});
afterAll(() => platform?.close());

const ask = (init: RequestInit, path = '/graphql') => fetch(`${platform.url}${path}`, init);
const query = (headers: Record<string, string>) =>
  ask({
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify({ query: '{ me { subject } }' }),
  });
const preflight = (origin: string) =>
  ask({ method: 'OPTIONS', headers: { origin, 'access-control-request-method': 'POST' } });

it('every answer forbids pages to be made of it or framed, errors and streams too', async () => {
  const answers = [
    await query({}),
    await query({ accept: 'text/event-stream' }),
    await ask({ method: 'POST', headers: { 'content-type': 'application/json' }, body: '{' }),
    await ask({}, '/nowhere'),
    await ask({}, '/live'),
  ];
  for (const { headers } of answers)
    expect(Object.fromEntries(headers)).toMatchObject({
      'x-content-type-options': 'nosniff',
      'x-frame-options': 'DENY',
      'referrer-policy': 'no-referrer',
      'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
    });
  const ide = await ask({}, '/ide');
  expect(ide.headers.get('content-security-policy')).toContain("frame-ancestors 'none'");
  // No promise about TLS where there may be none: production makes it.
  expect(ide.headers.get('strict-transport-security')).toBeNull();
});

it('pages of an origin on the list may ask, over streams and sockets too', async () => {
  const allowed = await preflight(friend);
  expect([allowed.status, Object.fromEntries(allowed.headers)]).toMatchObject([
    204,
    {
      'access-control-allow-origin': friend,
      'access-control-allow-credentials': 'true',
      'access-control-allow-methods': 'GET, POST',
      'access-control-allow-headers': expect.stringContaining('authorization'),
      vary: 'origin',
    },
  ]);
  for (const accept of ['application/json', 'text/event-stream']) {
    const answer = await query({ origin: friend, accept });
    expect([answer.status, answer.headers.get('access-control-allow-origin')]).toEqual([200, friend]);
    expect(await answer.text()).toContain('"subject":"demo"');
  }
  const opened = await new Promise<boolean>((resolve) => {
    const socket = new WebSocket(`${platform.url.replace(/^http/, 'ws')}/graphql`, 'graphql-transport-ws', {
      origin: friend,
    });
    socket.on('open', () => resolve(true)).on('error', () => resolve(false));
    socket.on('open', () => socket.close());
  });
  expect(opened).toBe(true);
});

it('pages of any other origin may not', async () => {
  for (const origin of ['https://elsewhere.example', 'https://app.example.elsewhere.example', 'null']) {
    const refused = await preflight(origin);
    expect([refused.status, refused.headers.get('access-control-allow-origin')]).toEqual([405, null]);
    const answer = await query({ origin });
    expect(answer.headers.get('access-control-allow-origin')).toBeNull();
    expect((await query({ origin, accept: 'text/event-stream' })).status).toBe(403);
  }
});
