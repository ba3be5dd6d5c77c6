import { createHash } from 'node:crypto';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { hostPlatform, type Platform } from '../support/platform.ts';

let platform: Platform;
let viewer = '';
beforeAll(async () => {
  platform = await hostPlatform({ env: { CACHE: 'off' } });
  viewer = await platform.token({ tenant: 'demo', subject: 'eve', roles: ['viewer'] });
});
afterAll(async () => {
  await platform.close();
});

const unknownId = '00000000-0000-4000-8000-000000000000';

const cases: readonly [name: string, query: string, variables: Record<string, unknown>, token?: () => string][] = [
  ['null', 'query A($id: ID!) { context(contextId: $id) { id title } }', { id: unknownId }],
  ['a list', 'query B { contexts(first: 2) { totalCount nodes { id __typename } pageInfo { hasNextPage } } }', {}],
  ['an error beside data', 'query C($n: Int) { one: contexts(first: $n) { totalCount } me { subject } }', { n: 101 }],
  ['an error of a required field', 'query D($id: ID!) { dialogInbox(dialogId: $id) { unread } }', { id: unknownId }],
  ['variables that do not fit', 'query E($id: ID!) { context(contextId: $id) { id } }', { id: null }],
  [
    'userErrors',
    'mutation F($id: ID!) { deleteContext(contextId: $id) { userErrors { code path } } }',
    { id: unknownId },
  ],
  [
    'a refusal',
    'mutation G($id: ID!) { deleteContext(contextId: $id) { userErrors { code } } }',
    { id: unknownId },
    () => viewer,
  ],
];

// The first request of a text goes through Apollo Server, which validates it; those after it go past it.
it.each(cases)('answers the same the second time: %s', async (_name, query, variables, token) => {
  const ask = async () => {
    const response = await fetch(`${platform.url}/graphql`, {
      method: 'POST',
      // Errors name the request they arose in.
      headers: {
        'content-type': 'application/json',
        'x-correlation-id': 'the-same',
        ...(token ? { authorization: `Bearer ${token()}` } : {}),
      },
      body: JSON.stringify({ query, variables }),
    });
    return [response.status, response.headers.get('content-type'), await response.text()];
  };
  const first = await ask();
  expect(await ask()).toEqual(first);
  expect(await ask()).toEqual(first);
});

it('tells of a write in the body and the header both ways', async () => {
  const query =
    'mutation H($title: String!) { createContext(input: { title: $title, root: { domain: "d", environment: "e" } }) { context { title } userErrors { code } } }';
  for (const title of ['through Apollo Server', 'past it', 'past it again']) {
    const answer = await platform.query(query, { title });
    expect(answer.data).toEqual({ createContext: { context: { title }, userErrors: [] } });
    expect(answer.extensions['consistencyToken']).toEqual(expect.any(String));
    expect(answer.headers.get('x-mplp-consistency')).toBe(answer.extensions['consistencyToken']);
  }
});

it('answers a document that is named by its hash as one that is sent', async () => {
  const query = 'query I($n: Int) { contexts(first: $n) { totalCount nodes { title } } me { subject } }';
  const persistedQuery = { version: 1, sha256Hash: createHash('sha256').update(query).digest('hex') };
  const ask = async (body: object) => {
    const response = await fetch(`${platform.url}/graphql`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'x-correlation-id': 'the-same' },
      body: JSON.stringify(body),
    });
    return [response.status, response.headers.get('content-type'), await response.text()];
  };
  const byHash = { extensions: { persistedQuery } };
  expect((await ask(byHash))[2]).toContain('PERSISTED_QUERY_NOT_FOUND');
  for (const variables of [{ n: 1 }, { n: 101 }, { n: 'one' }]) {
    const sent = await ask({ query, variables, extensions: { persistedQuery } });
    for (let time = 1; time <= 2; time += 1) expect(await ask({ ...byHash, variables })).toEqual(sent);
    expect(await ask({ query, variables })).toEqual(sent);
  }
});
