import { once } from 'node:events';
import { createServer as createHttpServer, type IncomingMessage, type RequestListener } from 'node:http';
import { type AddressInfo, createServer as createTcpServer, type Server, type Socket } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { Cancellation } from '#shared/cancellation.ts';
import type { FetchReport } from '../../../gateway/execution/fetchHooks.ts';
import { createHttpDataSource, type HttpDataSourceOptions } from '../../../gateway/execution/http.ts';
import { healthCheckOptions, processOptions } from './processOptions.ts';

interface Context {
  readonly user?: string;
}

const cleanup: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of cleanup.splice(0).reverse()) await close();
});

async function listen(server: Server): Promise<string> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket) => void sockets.add(socket));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  cleanup.push(async () => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/graphql`;
}

const serve = (listener: RequestListener) => listen(createHttpServer(listener));

async function bodyOf(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return JSON.parse(Buffer.concat(chunks).toString());
}

function open(url: string, options: Partial<HttpDataSourceOptions<Context>> = {}) {
  const source = createHttpDataSource<Context>({
    name: 'far',
    url,
    timeoutMs: 2_000,
    headersFor: () => ({}),
    ...options,
  });
  cleanup.push(() => source.close());
  return source;
}

/** A TCP server that does what the list says, connection after connection or request after request. */
async function unreliable(onRequest: (count: number, socket: Socket) => void) {
  let count = 0;
  const url = await listen(
    createTcpServer((socket) => {
      socket.on('error', () => {});
      socket.on('data', () => {
        count += 1;
        onRequest(count, socket);
      });
    }),
  );
  return { url, requests: () => count };
}

const ok = (data: object) => {
  const body = JSON.stringify({ data });
  return `HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;
};

test('the question travels as JSON with the headers of the request and its trace', async () => {
  const seen: { body: unknown; headers: IncomingMessage['headers']; url: string | undefined }[] = [];
  const url = await serve(async (request, response) => {
    seen.push({ body: await bodyOf(request), headers: request.headers, url: request.url });
    response.end('{"data":{"a":1}}');
  });
  const source = open(`${url}?x=1`, { headersFor: ({ user }) => ({ 'x-user': user ?? 'nobody' }) });
  const trace = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
  const response = await source.process(
    processOptions({
      query: 'query Q($v: Int) { a }',
      variables: { v: 1 },
      operationName: 'Q',
      context: { user: 'ada' },
      headers: { traceparent: trace, cookie: 'secret' },
    }),
  );
  expect(response).toEqual({ data: { a: 1 } });
  expect(seen[0]?.body).toEqual({ query: 'query Q($v: Int) { a }', variables: { v: 1 }, operationName: 'Q' });
  expect(seen[0]?.url).toBe('/graphql?x=1');
  expect(seen[0]?.headers).toMatchObject({ 'content-type': 'application/json', 'x-user': 'ada', traceparent: trace });
  expect(seen[0]?.headers['cookie']).toBeUndefined();
  expect(await source.process(healthCheckOptions('{ __typename }'))).toEqual({ data: { a: 1 } });
  expect(seen[1]?.headers['x-user']).toBeUndefined();
});

test('errors, extensions and reports come through', async () => {
  const url = await serve((_request, response) =>
    response.end(
      JSON.stringify({
        data: null,
        errors: [{ message: 'no', path: ['a'], extensions: { code: 'NOT_FOUND' } }],
        extensions: { cacheTags: ['A:1'] },
      }),
    ),
  );
  const reports: FetchReport[] = [];
  const extensions: unknown[] = [];
  const source = open(url, {
    onFetch: (report) => reports.push(report),
    onExtensions: (context, value) => extensions.push([context, value]),
  });
  const response = await source.process(processOptions({ query: '{ a }', context: { user: 'ada' } }));
  expect(response.errors).toEqual([{ message: 'no', path: ['a'], extensions: { code: 'NOT_FOUND' } }]);
  expect(extensions).toEqual([[{ user: 'ada' }, { cacheTags: ['A:1'] }]]);
  expect(reports).toMatchObject([{ subgraph: 'far', kind: 'incoming operation', errors: 1 }]);
});

test('a GraphQL body counts whatever the status', async () => {
  const url = await serve((_request, response) => {
    response.statusCode = 400;
    response.end('{"errors":[{"message":"bad variable","extensions":{"code":"BAD_USER_INPUT"}}]}');
  });
  expect((await open(url).process(processOptions({ query: '{ a }' }))).errors).toEqual([
    { message: 'bad variable', extensions: { code: 'BAD_USER_INPUT' } },
  ]);
});

test.each([
  ['HTML with status 502', 502, '<html>bad gateway</html>', 'UNAVAILABLE', 'subgraph far answered with status 502'],
  ['nothing with status 503', 503, '', 'UNAVAILABLE', 'subgraph far answered with status 503'],
  [
    'HTML with status 401',
    401,
    '<html>who are you</html>',
    'INTERNAL_ERROR',
    "subgraph far refused the gateway's request with status 401",
  ],
  ['truncated JSON', 200, '{"data":{"a":', 'UNAVAILABLE', 'subgraph far answered with something that is not GraphQL'],
  ['a JSON array', 200, '[]', 'UNAVAILABLE', 'subgraph far answered with something that is not GraphQL'],
  ['JSON without data', 200, '{"result":1}', 'UNAVAILABLE', 'subgraph far answered with something that is not GraphQL'],
  [
    'errors that are no list',
    200,
    '{"errors":"no"}',
    'UNAVAILABLE',
    'subgraph far answered with something that is not GraphQL',
  ],
  [
    'more than is allowed',
    200,
    JSON.stringify({ data: { a: 'x'.repeat(5_000) } }),
    'UNAVAILABLE',
    'the answer of subgraph far is over its size limit',
  ],
])('%s is a typed error', async (_name, status, body, code, message) => {
  const url = await serve((_request, response) => {
    response.statusCode = status;
    response.end(body);
  });
  const reports: FetchReport[] = [];
  const source = open(url, { maxResponseBytes: 4_096, onFetch: (report) => reports.push(report) });
  await expect(source.process(processOptions({ query: '{ a }' }))).rejects.toMatchObject({
    message,
    extensions: { code, retryable: true },
  });
  expect(reports).toMatchObject([{ errors: 1 }]);
});

test('a port nobody listens on is UNAVAILABLE, without its address in the message', async () => {
  const server = createTcpServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  await expect(
    open(`http://127.0.0.1:${port}/graphql`).process(processOptions({ query: '{ a }' })),
  ).rejects.toMatchObject({ message: 'subgraph far cannot be reached', extensions: { code: 'UNAVAILABLE' } });
});

test.each(['before the headers', 'within the body'])('an answer that hangs %s is DEADLINE_EXCEEDED', async (where) => {
  const url = await serve((_request, response) => {
    if (where === 'within the body') response.write('{"data":');
  });
  await expect(open(url, { timeoutMs: 150 }).process(processOptions({ query: '{ a }' }))).rejects.toMatchObject({
    message: 'subgraph far did not answer within 150 ms',
    extensions: { code: 'DEADLINE_EXCEEDED' },
  });
});

test('a client that goes away ends the fetch at the subgraph too', async () => {
  let closed: (() => void) | undefined;
  const gone = new Promise<void>((resolve) => {
    closed = resolve;
  });
  let arrived: (() => void) | undefined;
  const asked = new Promise<void>((resolve) => {
    arrived = resolve;
  });
  const url = await serve((request) => {
    request.on('close', () => closed?.());
    arrived?.();
  });
  const client = new Cancellation();
  const fetch = open(url, { cancellationFor: () => client }).process(processOptions({ query: '{ a }' }));
  const outcome = expect(fetch).rejects.toMatchObject({ extensions: { code: 'DEADLINE_EXCEEDED' } });
  await asked;
  client.cancel();
  await outcome;
  await gone;
});

test('a client that has gone already is not asked for', async () => {
  const { url, requests } = await unreliable((_count, socket) => socket.write(ok({ a: 1 })));
  const client = new Cancellation();
  client.cancel();
  await expect(
    open(url, { cancellationFor: () => client }).process(processOptions({ query: '{ a }' })),
  ).rejects.toMatchObject({ extensions: { code: 'DEADLINE_EXCEEDED' } });
  expect(requests()).toBe(0);
});

test.each(['query { a }', '{ a }'])('%s on a connection that breaks is asked once more', async (query) => {
  const { url, requests } = await unreliable((count, socket) =>
    count === 2 ? socket.destroy() : socket.write(ok({ a: count })),
  );
  const source = open(url, { pool: { connections: 1 } });
  expect(await source.process(processOptions({ query }))).toEqual({ data: { a: 1 } });
  expect(await source.process(processOptions({ query }))).toEqual({ data: { a: 3 } });
  expect(requests()).toBe(3);
});

test('a query is asked no more than twice', async () => {
  const { url, requests } = await unreliable((_count, socket) => socket.destroy());
  await expect(open(url).process(processOptions({ query: '{ a }' }))).rejects.toMatchObject({
    extensions: { code: 'UNAVAILABLE' },
  });
  expect(requests()).toBe(2);
});

test('an answer that breaks off is not asked for again', async () => {
  const { url, requests } = await unreliable((_count, socket) =>
    socket.end('HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{"data":'),
  );
  await expect(open(url).process(processOptions({ query: '{ a }' }))).rejects.toMatchObject({
    extensions: { code: 'UNAVAILABLE' },
  });
  expect(requests()).toBe(1);
});

test('a mutation is never asked twice', async () => {
  const { url, requests } = await unreliable((_count, socket) => socket.destroy());
  await expect(open(url).process(processOptions({ query: 'mutation { a }' }))).rejects.toMatchObject({
    message: 'subgraph far cannot be reached',
    extensions: { code: 'UNAVAILABLE' },
  });
  expect(requests()).toBe(1);
});

test('connections are kept and bounded', async () => {
  const sockets = new Set<Socket>();
  const url = await serve((request, response) => {
    sockets.add(request.socket);
    setTimeout(() => response.end('{"data":{"a":1}}'), 5);
  });
  const source = open(url, { pool: { connections: 3 } });
  await Promise.all(Array.from({ length: 40 }, () => source.process(processOptions({ query: '{ a }' }))));
  expect(sockets.size).toBe(3);
});

test('close waits for what is under way', async () => {
  const url = await serve((_request, response) => void setTimeout(() => response.end('{"data":{"a":1}}'), 50));
  const source = createHttpDataSource({ name: 'far', url, timeoutMs: 2_000, headersFor: () => ({}) });
  const fetch = source.process(processOptions({ query: '{ a }' }));
  await source.close();
  expect(await fetch).toEqual({ data: { a: 1 } });
});
