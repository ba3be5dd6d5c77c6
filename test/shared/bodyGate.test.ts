import { once } from 'node:events';
import { type IncomingMessage, request as openRequest } from 'node:http';
import type { AddressInfo } from 'node:net';
import Fastify, { type FastifyInstance } from 'fastify';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { registerBodyGate } from '#shared/bodyGate.ts';
import { PlatformError } from '#shared/errors.ts';

const maxBodyBytes = 1_000;
const maxBulkBodyBytes = 50_000;

let parsed: number[];
let authenticated: number;
let outage: PlatformError | null;
let app: FastifyInstance;
let port: number;

beforeEach(async () => {
  parsed = [];
  authenticated = 0;
  outage = null;
  app = Fastify({ bodyLimit: maxBulkBodyBytes });
  app.setErrorHandler((error, _request, reply) => {
    const code = error instanceof PlatformError ? error.code : (error as { code?: string }).code;
    void reply.code(error instanceof PlatformError ? error.status : 413).send({ code });
  });
  registerBodyGate(app, {
    maxBodyBytes,
    authenticate({ headers: { authorization } }) {
      authenticated += 1;
      if (outage) throw outage;
      if (authorization !== 'Bearer good') throw new PlatformError('UNAUTHENTICATED', 'who asks?');
    },
  });
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('application/json', { parseAs: 'buffer' }, (_request, body, done) => {
    parsed.push(body.length);
    done(null, body);
  });
  app.addContentTypeParser('text/csv', (_request, payload, done) => done(null, payload));
  app.post('/graphql', async ({ body }) => ({ bytes: (body as Buffer).length }));
  app.post('/import', { config: { streamsBody: true } }, async ({ body }) => {
    let bytes = 0;
    for await (const chunk of body as AsyncIterable<Buffer>) bytes += chunk.length;
    return { bytes };
  });
  await app.listen({ host: '127.0.0.1', port: 0 });
  port = (app.server.address() as AddressInfo).port;
});
afterEach(() => app.close());

interface Sent {
  readonly bytes: number;
  readonly path?: string;
  readonly token?: string;
  readonly type?: string;
  /** Sent in pieces, without a word on its length. */
  readonly chunked?: boolean;
}

async function send({ bytes, path = '/graphql', token, type = 'application/json', chunked = false }: Sent) {
  const headers = {
    'content-type': type,
    ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
    ...(chunked ? {} : { 'content-length': bytes }),
  };
  const sent = openRequest({ host: '127.0.0.1', port, path, method: 'POST', headers });
  sent.on('error', () => {});
  const answered = once(sent, 'response') as Promise<[IncomingMessage]>;
  for (let left = bytes; left > 0; left -= 700) sent.write(Buffer.alloc(Math.min(left, 700), 'x'));
  sent.end();
  const [response] = await answered;
  let text = '';
  for await (const part of response) text += String(part);
  return [response.statusCode, JSON.parse(text)];
}

it.each([
  ['a length', false],
  ['pieces', true],
])('of nobody known takes no more than everybody may send, by %s', async (_name, chunked) => {
  expect(await send({ bytes: 1_000, chunked })).toEqual([200, { bytes: 1_000 }]);
  expect(await send({ bytes: 1_001, chunked })).toEqual([413, { code: 'BODY_TOO_LARGE' }]);
  expect(await send({ bytes: 49_000, chunked })).toEqual([413, { code: 'BODY_TOO_LARGE' }]);
  expect(await send({ bytes: 49_000, chunked, token: 'forged' })).toEqual([413, { code: 'BODY_TOO_LARGE' }]);
  expect(parsed).toEqual([1_000]);
});

it.each([
  ['a length', false],
  ['pieces', true],
])('of who is known takes what its parser takes, by %s', async (_name, chunked) => {
  expect(await send({ bytes: 49_000, chunked, token: 'good' })).toEqual([200, { bytes: 49_000 }]);
  const [status] = await send({ bytes: 50_001, chunked, token: 'good' });
  expect(status).toBe(413);
  expect(parsed).toEqual([49_000]);
});

it('asks nobody who they are for what everybody may send', async () => {
  await send({ bytes: 1_000 });
  await send({ bytes: 1_000, chunked: true });
  expect(authenticated).toBe(0);
  await send({ bytes: 1_001 });
  await send({ bytes: 9_000, chunked: true, token: 'good' });
  expect(authenticated).toBe(2);
});

it('says what else keeps it from knowing them', async () => {
  outage = new PlatformError('UNAVAILABLE', 'tokens cannot be verified');
  expect(await send({ bytes: 2_000, token: 'good' })).toEqual([503, { code: 'UNAVAILABLE' }]);
  expect(await send({ bytes: 2_000, token: 'good', chunked: true })).toEqual([503, { code: 'UNAVAILABLE' }]);
  expect(parsed).toEqual([]);
});

it('leaves alone what a handler reads by itself', async () => {
  expect(await send({ bytes: 90_000, path: '/import', type: 'text/csv' })).toEqual([200, { bytes: 90_000 }]);
  expect(authenticated).toBe(0);
});
