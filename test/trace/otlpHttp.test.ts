import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Platform, sharePlatform } from '../support/platform.ts';

let platform: Platform;
let address: string;
let token: string;

beforeAll(async () => {
  platform = await sharePlatform({ mode: 'one process' });
  address = new URL('/v1/traces', platform.url).href;
  token = await platform.token({ subject: 'exporter', roles: ['admin'] });
}, 60_000);
afterAll(async () => {
  await platform.close();
});

const traceId = '5b8efff798038103d269b633813fc60c';
const body = JSON.stringify({
  resourceSpans: [
    {
      resource: { attributes: [{ key: 'service.name', value: { stringValue: 'shop' } }] },
      scopeSpans: [
        {
          spans: [
            {
              traceId,
              spanId: '00000000000000aa',
              name: 'GET /',
              startTimeUnixNano: '1764208800000000000',
              endTimeUnixNano: '1764208800009000000',
            },
            {
              traceId,
              spanId: '00000000000000bb',
              name: 'bad',
              startTimeUnixNano: '1764208800000000000',
              endTimeUnixNano: '1',
            },
          ],
        },
      ],
    },
  ],
});

function post(content: string | Buffer, headers: Record<string, string> = {}) {
  return fetch(address, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${token}`, ...headers },
    body: new Uint8Array(Buffer.from(content)),
  });
}

describe('POST /v1/traces', () => {
  it('stores what was packed, tells what was rejected, and answers once it can be read', async () => {
    const answer = await post(gzipSync(body), { 'content-encoding': 'gzip' });
    expect(answer.status).toBe(200);
    expect(await answer.json()).toMatchObject({ partialSuccess: { rejectedSpans: '1' } });
    const { data } = await platform.query<{ traces: { nodes: unknown[] } }>(
      '{ traces(first: 5) { nodes { w3cId name status spans { spanId } } } }',
      {},
      { token },
    );
    expect(data!.traces.nodes).toEqual([
      { w3cId: traceId, name: 'GET /', status: 'COMPLETED', spans: [{ spanId: '00000000000000aa' }] },
    ]);
  });

  it('answers an empty export with an empty object', async () => {
    const answer = await post('{}');
    expect([answer.status, await answer.json()]).toEqual([200, {}]);
  });

  it.each([
    ['protobuf', 415, 'x', { 'content-type': 'application/x-protobuf' }],
    ['another packing', 415, body, { 'content-encoding': 'br' }],
    ['a broken packing', 400, body, { 'content-encoding': 'gzip' }],
    ['malformed JSON', 400, '{', {}],
    ['no export', 422, '{"resourceSpans":7}', {}],
    ['a token that is none', 401, body, { authorization: 'Bearer nonsense' }],
    ['over 1 MiB of nobody known', 413, ' '.repeat(1_048_577), { authorization: 'Bearer nonsense' }],
    ['over 1 MiB that is no export, of somebody known', 400, ' '.repeat(1_048_577), {}],
    ['a packed bomb', 413, gzipSync(Buffer.alloc(17_000_000)), { 'content-encoding': 'gzip' }],
  ] as const)('refuses %s with %i', async (_what, status, content, headers) => {
    expect((await post(content, headers as Record<string, string>)).status).toBe(status);
  });
});
