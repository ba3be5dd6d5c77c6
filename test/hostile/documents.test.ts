import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { brotliCompressSync, constants, deflateSync, gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isErrorCode } from '#shared/errors.ts';
import { type OwnPlatform, startPlatform } from '../support/platform.ts';

let platform: OwnPlatform;
let token: string;
beforeAll(async () => {
  platform = await startPlatform({ env: { RATE_LIMIT_SUBJECT: '100000000', RATE_LIMIT_ADDRESS: '100000000' } });
  token = await platform.token({ subject: 'mallory', tenant: 'hostile' });
}, 240_000);
afterAll(() => platform?.close());

interface Answer {
  readonly status: number;
  readonly bytes: number;
  readonly codes: readonly string[];
  readonly data: Readonly<Record<string, unknown>> | null;
  readonly text: string;
}

/** Sends a body as it stands, which JSON.stringify might not write. */
async function send(body: string, headers: Readonly<Record<string, string>> = {}): Promise<Answer> {
  const response = await fetch(`${platform.url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${token}`, ...headers },
    body,
  });
  const text = await response.text();
  const { data = null, errors = [] } = JSON.parse(text) as {
    data?: Record<string, unknown> | null;
    errors?: { extensions: { code: string } }[];
  };
  const payloads = Object.values(data ?? {}) as ({ userErrors?: { code: string }[] } | null)[];
  const codes = [...errors.map(({ extensions }) => extensions.code)];
  for (const payload of payloads) codes.push(...(payload?.userErrors ?? []).map(({ code }) => code));
  return { status: response.status, bytes: text.length, codes, data, text };
}

const ask = (query: string, variables = '{}'): Promise<Answer> =>
  send(`{"query":${JSON.stringify(query)},"variables":${variables}}`);
const many = <T>(count: number, part: (index: number) => T): T[] => Array.from({ length: count }, (_, at) => part(at));

async function residentBytes(): Promise<number> {
  const status = await readFile(`/proc/${platform.gateway.pid}/status`, 'utf8');
  return Number(/VmRSS:\s+(\d+) kB/.exec(status)![1]) * 1_024;
}

/** Refused with codes of the table, in few bytes, and the next request finds everything as it was. */
async function expectRefused(answer: Answer, codes: readonly string[]): Promise<void> {
  expect(answer.codes.length).toBeGreaterThan(0);
  expect(answer.codes.filter((code) => !isErrorCode(code))).toEqual([]);
  expect(answer.codes.filter((code) => !codes.includes(code))).toEqual([]);
  expect(answer.bytes).toBeLessThan(65_536);
  expect(answer.text).not.toMatch(/Did you mean|node_modules|\bat .+:\d+:\d+/);
  const next = await ask('{ me { subject } }');
  expect(next).toMatchObject({ status: 200, codes: [], data: { me: { subject: 'mallory' } } });
}

const tooLarge = ['GRAPHQL_PARSE_FAILED', 'GRAPHQL_VALIDATION_FAILED', 'QUERY_LIMIT_EXCEEDED'];

const documents: readonly (readonly [string, string])[] = [
  ['3,000 nested braces', '{a'.repeat(3_000)],
  ['12,000 nested lists', `{ context(id: ${'['.repeat(12_000)}${']'.repeat(12_000)}) { id } }`],
  ['12,000 nested objects', `{ context(id: ${'{a:'.repeat(12_000)}1${'}'.repeat(12_000)}) { id } }`],
  ['6,000 unknown fields', `{ ${many(6_000, (at) => `nothing${at}`).join(' ')} }`],
  ['400 unknown fields', `{ ${many(400, (at) => `nothing${at}`).join(' ')} }`],
  ['10,000 directives', `{ me { subject ${'@include(if: true) '.repeat(10_000)} } }`],
  ['150 directives', `{ me { subject ${'@include(if: true) '.repeat(150)} } }`],
  ['8,000 repeats of a field', `{ me { ${'subject '.repeat(8_000)} } }`],
  ['101 aliases', `{ ${many(101, (at) => `a${at}: me { subject }`).join(' ')} }`],
  ['101 aliases of __typename', `{ ${many(101, (at) => `a${at}: __typename`).join(' ')} }`],
  ['a fragment that holds itself', 'query { me { ...A } } fragment A on PlatformPrincipal { subject ...A }'],
  [
    'fragments in a circle',
    'query { me { ...A } } fragment A on PlatformPrincipal { ...B } fragment B on PlatformPrincipal { ...A }',
  ],
  ['circular introspection', `{ __schema { types { ${'fields { type { '.repeat(8)} name ${'} } '.repeat(8)} } } }`],
  ['a misspelt field', '{ contxts { nodes { id } } }'],
  ['a misspelt argument', '{ context(idd: "x") { id } }'],
  ['a thousand variables', `query (${many(330, (at) => `$v${at}: Int`).join(' ')}) { me { subject } }`],
  [
    'a billion by lists in lists',
    '{ contexts(first: 100) { nodes { dialogs(first: 100) { nodes { messages(first: 100) { nodes { id } } } } } } }',
  ],
];

describe('documents', () => {
  it.each(documents)('%s', async (_name, document) => {
    await expectRefused(await ask(document), tooLarge);
  });
});

const search =
  'query ($filter: ContextFilter, $first: Int) { contexts(filter: $filter, first: $first) { nodes { id } } }';
const create = `mutation ($input: CreateContextInput!) {
  createContext(input: $input) { context { id title } userErrors { code path } } }`;
const context = (fields: string) => `{"input":{"title":"t","root":{"domain":"d","environment":"e"},${fields}}}`;

const variables: readonly (readonly [string, string, string])[] = [
  ['Int 2^31', search, '{"first":2147483648}'],
  ['1e400', search, '{"first":1e400}'],
  ['first -1', search, '{"first":-1}'],
  ['first 10^9', search, '{"first":1000000000}'],
  ['12,000 nested lists', search, `{"first":${'['.repeat(12_000)}${']'.repeat(12_000)}}`],
  ['a year after time', search, '{"filter":{"createdAfter":"+275761-01-01T00:00:00.000Z"}}'],
  ['NUL', create, context('"summary":"a\\u0000b"')],
  ['a lone surrogate', create, context('"summary":"a\\ud800"')],
  ['__proto__ as a field of an input', create, context('"__proto__":{"polluted":true}')],
  ['constructor as a field of an input', create, context('"constructor":{"prototype":{"polluted":true}}')],
  [
    'a foreign cursor',
    'query ($after: String) { contexts(after: $after) { nodes { id } } }',
    '{"after":"bm90IG91cnM"}',
  ],
];

describe('a fan-out of 2^20 by fragments', () => {
  const fragments = many(20, (at) => `fragment F${at} on PlatformPrincipal { ...F${at + 1} ...F${at + 1} }`).join(' ');

  it('that asks for one field is one field', async () => {
    const answer = await ask(`{ me { ...F0 } } ${fragments} fragment F20 on PlatformPrincipal { subject }`);
    expect(answer).toMatchObject({ status: 200, data: { me: { subject: 'mallory' } } });
  });
});

describe('variables', () => {
  it.each(variables)('%s', async (_name, document, values) => {
    await expectRefused(await ask(document, values), [
      'BAD_USER_INPUT',
      'VALIDATION_FAILED',
      'CURSOR_INVALID',
      'BAD_REQUEST',
    ]);
  });

  it('__proto__ within free JSON is data, and changes no object', async () => {
    const made = await ask(
      create,
      context('"customData":{"__proto__":{"polluted":true},"constructor":{"prototype":{"polluted":true}}}'),
    );
    expect(made.codes.filter((code) => !isErrorCode(code))).toEqual([]);
    const plain = await ask('{ platform { version } me { subject scopes } }');
    expect(plain.codes).toEqual([]);
    expect(plain.text).not.toContain('polluted');
  });
});

describe('bodies', () => {
  const bodies: readonly (readonly [string, () => RequestInit, number, string])[] = [
    [
      'of 2 MB',
      () => ({ body: JSON.stringify({ query: '{ __typename }', pad: 'x'.repeat(2_000_000) }) }),
      413,
      'BODY_TOO_LARGE',
    ],
    [
      'of 60 MB',
      () => ({ body: JSON.stringify({ query: '{ __typename }', pad: 'x'.repeat(60_000_000) }) }),
      413,
      'BODY_TOO_LARGE',
    ],
    ...(
      [
        ['gzip', gzipSync],
        ['deflate', deflateSync],
        ['br', (bytes: Buffer) => brotliCompressSync(bytes, { params: { [constants.BROTLI_PARAM_QUALITY]: 1 } })],
      ] as const
    ).map(
      ([encoding, compress]) =>
        [
          `that ${encoding} makes 100 MB of`,
          () => ({
            headers: { 'content-encoding': encoding },
            body: new Uint8Array(compress(Buffer.alloc(100_000_000, 0x20))),
          }),
          400,
          'BAD_REQUEST',
        ] as const,
    ),
  ];

  it.each(bodies)('%s are refused, and memory stays', async (_name, bodyOf, status, code) => {
    const { headers, ...init } = bodyOf();
    const before = await residentBytes();
    for (let times = 0; times < 3; times += 1) {
      const response = await fetch(`${platform.url}/graphql`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', authorization: `Bearer ${token}`, ...headers },
        ...init,
      });
      const { errors } = (await response.json()) as { errors: { extensions: { code: string } }[] };
      expect([response.status, errors.map(({ extensions }) => extensions.code)]).toEqual([status, [code]]);
    }
    expect((await residentBytes()) - before).toBeLessThan(96 * 1_048_576);
    expect(await ask('{ me { subject } }')).toMatchObject({ status: 200, codes: [] });
  });
});

describe('tokens', () => {
  it('of 64 KB are headers too large, and of 12 KB no tokens', async () => {
    const of = (bytes: number) => ({ authorization: `Bearer ${'x'.repeat(bytes)}` });
    const large = await fetch(`${platform.url}/graphql`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...of(65_536) },
      body: '{"query":"{ __typename }"}',
    });
    expect(large.status).toBe(431);
    expect(await send('{"query":"{ me { subject } }"}', of(12_288))).toMatchObject({
      status: 401,
      codes: ['UNAUTHENTICATED'],
    });
  });
});

describe('memory', () => {
  it('stays where it was after ten thousand hashes and documents that nobody asks for twice', async () => {
    const hash = (text: string) => createHash('sha256').update(text).digest('hex');
    const persisted = (sha256Hash: string, query?: string) =>
      send(
        JSON.stringify({
          ...(query === undefined ? {} : { query }),
          extensions: { persistedQuery: { version: 1, sha256Hash } },
        }),
      );
    const burst = async (from: number, count: number) => {
      for (let at = from; at < from + count; at += 50) {
        await Promise.all(
          many(50, (offset) => {
            const query = `{ me { subject } } # ${at + offset}`;
            return (at + offset) % 4 === 0 ? persisted(hash(query), query) : persisted(hash(`unknown ${at + offset}`));
          }),
        );
      }
    };
    // What is kept is bounded: the bounds are reached first.
    await burst(0, 6_000);
    const before = await residentBytes();
    await burst(6_000, 6_000);
    const grownBytes = (await residentBytes()) - before;
    expect(grownBytes).toBeLessThan(64 * 1_048_576);
    expect((await persisted(hash('unknown'))).codes).toEqual(['PERSISTED_QUERY_NOT_FOUND']);
  }, 180_000);

  it('does not grow with refused documents', async () => {
    for (const [, document] of documents) await ask(document);
    const before = await residentBytes();
    for (let round = 0; round < 15; round += 1) await Promise.all(documents.map(([, document]) => ask(document)));
    expect((await residentBytes()) - before).toBeLessThan(64 * 1_048_576);
  }, 180_000);
});
