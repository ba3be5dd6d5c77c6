import { once } from 'node:events';
import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Platform, sharePlatform } from '../support/platform.ts';

interface Answer {
  readonly status: number;
  readonly contentType: string | null;
  readonly codes: readonly string[];
}

const post = (body: string, length = Buffer.byteLength(body)) =>
  `POST /graphql HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: ${length}\r\n\r\n${body}`;
const good = post('{"query":"{ me { subject } }"}');
const upgrade = (path: string, more = '') =>
  `GET ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n${more}\r\n`;

let platform: Platform;
beforeAll(async () => {
  platform = await sharePlatform({ mode: 'one process' });
});
afterAll(() => platform?.close());

/** Writes bytes to a fresh connection and reads until the other side closes it or `count` answers are there. */
async function send(bytes: string, count = Number.POSITIVE_INFINITY): Promise<Answer[]> {
  const { hostname, port } = new URL(platform.url);
  const socket = connect(Number(port), hostname);
  let text = '';
  const closed = once(socket, 'close');
  socket.on('error', () => {});
  socket.on('data', (chunk: Buffer) => {
    text += chunk.toString('latin1');
    if (readAnswers(text).length >= count) socket.destroy();
  });
  socket.write(bytes, 'latin1');
  await closed;
  return readAnswers(text);
}

function readAnswers(text: string): Answer[] {
  const answers: Answer[] = [];
  let rest = text;
  for (;;) {
    const end = rest.indexOf('\r\n\r\n');
    if (end < 0) return answers;
    const head = rest.slice(0, end);
    const length = Number(/^content-length: (\d+)$/im.exec(head)?.[1] ?? 0);
    const body = rest.slice(end + 4, end + 4 + length);
    if (body.length < length) return answers;
    const errors = length === 0 ? [] : ((JSON.parse(body) as { errors?: ErrorShape[] }).errors ?? []);
    answers.push({
      status: Number(/^HTTP\/1\.1 (\d+)/.exec(head)?.[1]),
      contentType: /^content-type: ([^\r;]+)/im.exec(head)?.[1] ?? null,
      codes: errors.map((error) => error.extensions.code),
    });
    rest = rest.slice(end + 4 + length);
  }
}

interface ErrorShape {
  readonly extensions: { readonly code: string };
}

const refusal = (status: number, code: string): Answer => ({ status, contentType: 'application/json', codes: [code] });
const served: Answer = { status: 200, contentType: 'application/json', codes: [] };

describe('bytes that are no request are answered as JSON with a code', () => {
  it.each([
    ['no HTTP at all', 'GARBAGE\r\n\r\n', refusal(400, 'BAD_REQUEST')],
    ['an unknown method', 'FOO /graphql HTTP/1.1\r\nHost: localhost\r\n\r\n', refusal(400, 'BAD_REQUEST')],
    [
      'two lengths',
      'POST /graphql HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
      refusal(400, 'BAD_REQUEST'),
    ],
    ['large headers', `GET /live HTTP/1.1\r\nX: ${'x'.repeat(40_000)}\r\n\r\n`, refusal(431, 'HEADERS_TOO_LARGE')],
    ['a path that does not decode', 'GET /%zz HTTP/1.1\r\nHost: localhost\r\n\r\n', refusal(400, 'BAD_REQUEST')],
    ['an upgrade elsewhere', upgrade('/nowhere'), refusal(404, 'NOT_ROUTED')],
    ['an upgrade without a key', upgrade('/graphql'), refusal(400, 'BAD_REQUEST')],
    [
      'an upgrade of another page',
      upgrade('/graphql', 'Origin: https://elsewhere.example\r\n'),
      refusal(403, 'PERMISSION_DENIED'),
    ],
  ])('%s', async (_name, bytes, expected) => {
    expect(await send(bytes, 1)).toEqual([expected]);
  });
});

describe('pipelined requests', () => {
  it('are each answered, in order, whether they are good or bad', async () => {
    expect(await send(good + post('{"query":"{ me') + good + post('{"query":"{"}') + good, 5)).toEqual([
      served,
      refusal(400, 'BAD_REQUEST'),
      served,
      refusal(400, 'GRAPHQL_PARSE_FAILED'),
      served,
    ]);
  });

  it('before bytes that are no request get their answers first', async () => {
    expect(await send(`${good}GARBAGE\r\n\r\n`)).toEqual([served, refusal(400, 'BAD_REQUEST')]);
  });

  it('with a length that is too short do not become another request', async () => {
    expect(await send(post('{"query":"{ me { subject } }"}', 5) + good)).toEqual([
      refusal(400, 'BAD_REQUEST'),
      refusal(400, 'BAD_REQUEST'),
    ]);
  });
});

describe('a page of another site', () => {
  const create =
    'mutation { createContext(input: { title: "forged", root: { domain: "forged", environment: "e" } }) { context { id } } }';
  const accepts = ['text/event-stream', 'multipart/mixed;subscriptionSpec="1.0"'];
  /** Requests that a browser sends without a preflight. */
  const simple = accepts.flatMap((accept): [string, RequestInit, string][] => [
    [
      `POST of nothing, ${accept}`,
      { method: 'POST', headers: { accept } },
      `?${new URLSearchParams({ query: create })}`,
    ],
    [
      `POST of text, ${accept}`,
      { method: 'POST', headers: { accept, 'content-type': 'text/plain' }, body: JSON.stringify({ query: create }) },
      `?${new URLSearchParams({ query: create })}`,
    ],
    [
      `POST of JSON with its origin, ${accept}`,
      {
        method: 'POST',
        headers: { accept, 'content-type': 'application/json', origin: 'https://elsewhere.example' },
        body: JSON.stringify({ query: create }),
      },
      '',
    ],
    [
      `GET, ${accept}`,
      { headers: { accept, 'sec-fetch-site': 'cross-site' } },
      `?${new URLSearchParams({ query: '{ me { subject } }' })}`,
    ],
  ]);

  it.each(simple)('cannot use a stream: %s', async (_name, init, search) => {
    const response = await fetch(`${platform.url}/graphql${search}`, init);
    const body = (await response.json()) as { errors: ErrorShape[] };
    expect([400, 403]).toContain(response.status);
    expect(['BAD_REQUEST', 'PERMISSION_DENIED']).toContain(body.errors[0]!.extensions.code);
    const stored = await platform.query<{ contexts: { totalCount: number } }>(
      '{ contexts(filter: { domain: "forged" }) { totalCount } }',
    );
    expect(stored.data ?? stored.errors).toEqual({ contexts: { totalCount: 0 } });
  });

  it('of the same origin can', async () => {
    const response = await fetch(`${platform.url}/graphql?${new URLSearchParams({ query: '{ me { subject } }' })}`, {
      headers: { accept: 'text/event-stream', origin: platform.url, 'sec-fetch-site': 'same-origin' },
    });
    expect([response.status, await response.text()]).toEqual([
      200,
      ':\n\nevent: next\ndata: {"data":{"me":{"subject":"demo"}},"extensions":{"cost":{"requested":1,"limit":20000}}}\n\nevent: complete\ndata:\n\n',
    ]);
  });
});
