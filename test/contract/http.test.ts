import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { type IncomingMessage, request } from 'node:http';
import { type AuditResult, auditServer } from 'graphql-http';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isErrorCode } from '#shared/errors.ts';
import { modes, type Platform, sharePlatform } from '../support/platform.ts';

const noPreflight = 'GET without a preflight header is refused: another site could send it from a visitor (CSRF)';
const honestStatus =
  'a document that cannot run answers 400 whatever the accept header: proxies and clients without GraphQL see the failure';

/** Audits that only recommend or allow something, and why we do otherwise. Any other that is not ok fails the test. */
const declined: Readonly<Record<string, string>> = {
  '5A70': noPreflight,
  D6D5: noPreflight,
  '6A70': noPreflight,
  '572B': honestStatus,
  FDE2: honestStatus,
  '7B9B': honestStatus,
};

const json = { 'content-type': 'application/json' };
const preflighted = { 'apollo-require-preflight': 'true' };
const query = '{ me { subject } }';
const otherHash = createHash('sha256').update('{ other }').digest('hex');
const searchOf = (parameters: Readonly<Record<string, string>>) => `?${new URLSearchParams(parameters)}`;

interface Case {
  readonly name: string;
  readonly search?: string;
  readonly init: RequestInit;
  readonly status: number;
  readonly code: string;
}

const post = (body: unknown, headers: Readonly<Record<string, string>> = json): RequestInit => ({
  method: 'POST',
  headers,
  body: typeof body === 'string' ? body : JSON.stringify(body),
});

const postBytes = (before: string, bytes: readonly number[], after: string): RequestInit => ({
  method: 'POST',
  headers: json,
  body: new Uint8Array(Buffer.concat([Buffer.from(before), Buffer.from(bytes), Buffer.from(after)])),
});

const refused: readonly Case[] = [
  { name: 'GET without a preflight header', search: searchOf({ query }), init: {}, status: 400, code: 'BAD_REQUEST' },
  {
    name: 'mutation by GET',
    search: searchOf({ query: 'mutation { __typename }' }),
    init: { headers: preflighted },
    status: 405,
    code: 'METHOD_NOT_ALLOWED',
  },
  {
    name: 'subscription by GET',
    search: searchOf({ query: 'subscription { contextUpdates(contextId: "x") { type } }' }),
    init: { headers: preflighted },
    status: 405,
    code: 'METHOD_NOT_ALLOWED',
  },
  { name: 'GET without a query', search: '', init: { headers: preflighted }, status: 400, code: 'BAD_REQUEST' },
  {
    name: 'GET with variables that are not JSON',
    search: searchOf({ query, variables: '{' }),
    init: { headers: preflighted },
    status: 400,
    code: 'BAD_REQUEST',
  },
  { name: 'PUT', init: { ...post({ query }), method: 'PUT' }, status: 405, code: 'METHOD_NOT_ALLOWED' },
  { name: 'DELETE', init: { method: 'DELETE' }, status: 405, code: 'METHOD_NOT_ALLOWED' },
  {
    name: 'POST without a content type',
    init: { method: 'POST', body: new Uint8Array(Buffer.from(JSON.stringify({ query }))) },
    status: 400,
    code: 'BAD_REQUEST',
  },
  {
    name: 'POST of a form',
    init: { method: 'POST', body: new URLSearchParams({ query }) },
    status: 400,
    code: 'BAD_REQUEST',
  },
  {
    name: 'POST of plain text',
    init: post({ query }, { 'content-type': 'text/plain' }),
    status: 400,
    code: 'BAD_REQUEST',
  },
  { name: 'POST without a body', init: { method: 'POST', headers: json }, status: 400, code: 'BAD_REQUEST' },
  { name: 'truncated JSON', init: post('{"query":"{ me { sub'), status: 400, code: 'BAD_REQUEST' },
  { name: 'a JSON list', init: post([{ query }]), status: 400, code: 'BAD_REQUEST' },
  {
    name: 'UTF-8 that is none',
    init: postBytes('{"query":"{ me { subject } }","variables":{"a":"', [0xff, 0xfe], '"}}'),
    status: 400,
    code: 'BAD_REQUEST',
  },
  {
    name: 'another charset',
    init: post({ query }, { 'content-type': 'application/json; charset=utf-16' }),
    status: 400,
    code: 'BAD_REQUEST',
  },
  {
    name: 'a compressed body',
    init: post({ query }, { ...json, 'content-encoding': 'gzip' }),
    status: 400,
    code: 'BAD_REQUEST',
  },
  { name: 'OPTIONS', init: { method: 'OPTIONS' }, status: 405, code: 'METHOD_NOT_ALLOWED' },
  { name: 'JSON null', init: post('null'), status: 400, code: 'BAD_REQUEST' },
  { name: 'a query that is a number', init: post({ query: 7 }), status: 400, code: 'BAD_REQUEST' },
  { name: 'variables that are a list', init: post({ query, variables: [] }), status: 400, code: 'BAD_REQUEST' },
  { name: 'no document but an empty one', init: post({ query: '' }), status: 400, code: 'BAD_REQUEST' },
  { name: 'a syntax error', init: post({ query: '{' }), status: 400, code: 'GRAPHQL_PARSE_FAILED' },
  { name: 'an unknown field', init: post({ query: '{ nothing }' }), status: 400, code: 'GRAPHQL_VALIDATION_FAILED' },
  {
    name: 'an unknown operation name',
    init: post({ query: 'query A { me { subject } }', operationName: 'B' }),
    status: 400,
    code: 'OPERATION_RESOLUTION_FAILURE',
  },
  {
    name: 'two operations without a name',
    init: post({ query: 'query A { me { subject } } query B { me { subject } }' }),
    status: 400,
    code: 'OPERATION_RESOLUTION_FAILURE',
  },
  {
    name: 'a variable of a wrong type',
    init: post({ query: 'query ($id: ID!) { context(contextId: $id) { id } }', variables: { id: {} } }),
    status: 400,
    code: 'BAD_USER_INPUT',
  },
  {
    name: 'an unknown persisted query',
    init: post({ extensions: { persistedQuery: { version: 1, sha256Hash: otherHash } } }),
    status: 200,
    code: 'PERSISTED_QUERY_NOT_FOUND',
  },
  {
    name: 'a persisted query under a wrong hash',
    init: post({ query, extensions: { persistedQuery: { version: 1, sha256Hash: otherHash } } }),
    status: 400,
    code: 'PERSISTED_QUERY_MISMATCH',
  },
  {
    name: 'a persisted query of another version',
    init: post({ extensions: { persistedQuery: { version: 2, sha256Hash: otherHash } } }),
    status: 400,
    code: 'BAD_REQUEST',
  },
  {
    name: 'a persisted query that is a text',
    init: post({ extensions: { persistedQuery: otherHash } }),
    status: 400,
    code: 'BAD_REQUEST',
  },
  {
    name: 'a subscription by plain POST',
    init: post({ query: 'subscription { contextUpdates(contextId: "x") { type } }' }),
    status: 400,
    code: 'SUBSCRIPTION_TRANSPORT_REQUIRED',
  },
  {
    name: 'a forged token',
    init: post({ query }, { ...json, authorization: 'Bearer a.b.c' }),
    status: 401,
    code: 'UNAUTHENTICATED',
  },
  {
    name: 'another scheme',
    init: post({ query }, { ...json, authorization: 'Basic YTpi' }),
    status: 401,
    code: 'UNAUTHENTICATED',
  },
  {
    name: 'an identity that the gateway has not signed',
    init: post({ query }, { ...json, 'x-mplp-identity': 'e30.e30' }),
    status: 401,
    code: 'UNAUTHENTICATED',
  },
  { name: 'a body over 1 MiB', init: post({ query, pad: 'x'.repeat(1_048_576) }), status: 413, code: 'BODY_TOO_LARGE' },
  {
    name: 'a body over 1 MiB of nobody known, before it is read as JSON',
    init: post(`{"query": ${'x'.repeat(1_048_576)}`, { ...json, authorization: 'Bearer a.b.c' }),
    status: 413,
    code: 'BODY_TOO_LARGE',
  },
  {
    name: 'a body over 1 MiB that is no JSON, of somebody known',
    init: post(`{"query": ${'x'.repeat(1_048_576)}`),
    status: 400,
    code: 'BAD_REQUEST',
  },
  {
    name: 'a large body whose bulk field hides others in a fragment',
    init: post({
      query: 'mutation ($o: JSON!) { importProtocolObject(module: CONTEXT, object: $o) { ok } ...{ __typename } }',
      variables: { o: { pad: 'x'.repeat(1_048_576) } },
    }),
    status: 413,
    code: 'BODY_TOO_LARGE',
  },
  {
    name: 'a body over 16 MiB, to a client that sends all of it',
    init: post({ query, pad: 'x'.repeat(17_000_000) }),
    status: 413,
    code: 'BODY_TOO_LARGE',
  },
  {
    name: 'headers over 16 KiB',
    init: post({ query }, { ...json, 'x-long': 'x'.repeat(17_000) }),
    status: 431,
    code: 'HEADERS_TOO_LARGE',
  },
  {
    name: 'a thousand aliases',
    init: post({ query: `{ ${Array.from({ length: 1_000 }, (_, index) => `a${index}: __typename`).join(' ')} }` }),
    status: 400,
    code: 'GRAPHQL_PARSE_FAILED',
  },
  { name: 'a deep document', init: post({ query: '{a'.repeat(3_000) }), status: 400, code: 'GRAPHQL_PARSE_FAILED' },
  {
    name: 'an answer in a type that is not offered',
    init: post({ query }, { ...json, accept: 'text/csv' }),
    status: 406,
    code: 'BAD_REQUEST',
  },
];

describe.each(modes)('GraphQL over HTTP, %s', (mode) => {
  let platform: Platform;
  let results: readonly AuditResult[];
  beforeAll(async () => {
    platform = await sharePlatform({ mode });
    results = await auditServer({ url: `${platform.url}/graphql` });
  });
  afterAll(async () => {
    await platform?.close();
  });

  it('passes every audit of graphql-http but the recommendations it declines with a reason', () => {
    expect(results.length).toBeGreaterThan(50);
    const failed = results.flatMap((result) => (result.status === 'ok' ? [] : [result]));
    const told = failed.map(
      ({ id, status, name, reason }) => `${id} ${status} ${name}: ${reason}; ${declined[id] ?? 'NOT EXPLAINED'}`,
    );
    if (mode === 'one process') console.log(`graphql-http: ${results.length} audits\n  ${told.join('\n  ')}`);
    expect(
      failed.filter((result) => result.status === 'error').map(({ id, name, reason }) => `${id} ${name}: ${reason}`),
    ).toEqual([]);
    expect(failed.map((result) => result.id).sort()).toEqual(Object.keys(declined).sort());
  });

  it.each(refused)('refuses $name with $status and a typed JSON error', async ({ search = '', init, status, code }) => {
    const response = await fetch(`${platform.url}/graphql${search}`, init);
    const text = await response.text();
    expect([response.status, text.slice(0, 500)]).toEqual([status, expect.stringMatching(/^\{/)]);
    expect(response.headers.get('content-type')).toMatch(/^application\/(graphql-response\+)?json/);
    const { errors, data } = JSON.parse(text) as {
      data?: unknown;
      errors: { message: string; extensions: Record<string, unknown> }[];
    };
    expect(data ?? null).toBeNull();
    expect(errors.map((error) => error.extensions['code'])).toEqual([code]);
    expect(isErrorCode(errors[0]!.extensions['code'])).toBe(true);
    expect(errors[0]!.extensions).toMatchObject({ category: 'client', retryable: expect.any(Boolean) });
    expect(errors[0]!.message).not.toMatch(/node_modules|\.ts\b|\n\s+at /);
  });

  const answered = { data: { me: { subject: 'demo' } }, extensions: { cost: { requested: 1, limit: 20_000 } } };

  it('answers GET with a preflight header, and POST in the media type asked for', async () => {
    const got = await fetch(`${platform.url}/graphql${searchOf({ query, variables: '{}' })}`, { headers: preflighted });
    expect([got.status, await got.json()]).toEqual([200, answered]);
    for (const type of ['application/json', 'application/graphql-response+json']) {
      const posted = await fetch(`${platform.url}/graphql`, post({ query }, { ...json, accept: type }));
      expect([posted.status, posted.headers.get('content-type')]).toEqual([200, `${type}; charset=utf-8`]);
      expect(await posted.json()).toEqual(answered);
    }
  });

  it('refuses a bulk body over 16 MiB from its length alone', async () => {
    const sent = request(`${platform.url}/graphql`, {
      method: 'POST',
      headers: { ...json, 'content-length': 17_000_000 },
    });
    sent.on('error', () => {});
    sent.write('{"query":"mutation { importProtocolBundle(objects: [');
    const [response] = (await once(sent, 'response')) as [IncomingMessage];
    let text = '';
    for await (const chunk of response) text += String(chunk);
    expect([response.statusCode, JSON.parse(text)]).toMatchObject([
      413,
      { errors: [{ extensions: { code: 'BODY_TOO_LARGE' } }] },
    ]);
    sent.destroy();
  });

  it('names the methods it takes when it refuses one', async () => {
    const response = await fetch(`${platform.url}/graphql`, { method: 'PATCH', headers: json, body: '{}' });
    expect([response.status, response.headers.get('allow')]).toEqual([405, 'GET, POST']);
  });
});
