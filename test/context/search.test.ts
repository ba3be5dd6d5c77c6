import fc from 'fast-check';
import { graphql } from 'graphql';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readConfig } from '#shared/config.ts';
import { listOfCursor } from '#shared/connection.ts';
import { createRequestScope } from '#shared/context.ts';
import { newId } from '#shared/ids.ts';
import type { Principal } from '#shared/principal.ts';
import type { OpenSubgraph } from '#shared/subgraph.ts';
import { contextSubgraph } from '../../subgraphs/context/index.ts';
import type { ContextService } from '../../subgraphs/context/service.ts';
import { admin, alice, bob, type ContextRig, openContextRig, principal } from './rig.ts';

const searchQuery = `query ($query: String, $filter: ContextFilter, $sort: ContextSort, $first: Int, $after: String) {
  searchContexts(query: $query, filter: $filter, sort: $sort, first: $first, after: $after) {
    totalCount edges { cursor score node { id title } } pageInfo { hasNextPage endCursor } } }`;
const facetQuery = `query ($query: String, $filter: ContextFilter) {
  searchContexts(query: $query, filter: $filter, first: 1) { totalCount facets { field values { value count } } } }`;

interface Found {
  readonly totalCount: number;
  readonly edges: readonly {
    readonly cursor: string;
    readonly score: number;
    readonly node: { readonly id: string; readonly title: string };
  }[];
  readonly pageInfo: { readonly hasNextPage: boolean; readonly endCursor: string };
}

let rig: ContextRig;
let withoutIndex: OpenSubgraph;
beforeAll(async () => {
  rig = await openContextRig({ QUOTA_CONTEXTS_PER_USER: '100000' });
  withoutIndex = await contextSubgraph.open({
    ...rig.runtime,
    config: readConfig({ NODE_ENV: 'test', CONTEXT_SEARCH_INDEX_MB: '0' }),
  });
});
afterAll(() => rig[Symbol.asyncDispose]());

const scopeOf = (who: Principal) =>
  createRequestScope({
    principal: who,
    correlationId: newId(),
    traceparent: '00-11111111111111111111111111111111-2222222222222222-01',
  });

async function ask<Data>(
  subgraph: OpenSubgraph,
  who: Principal,
  source: string,
  variables: Readonly<Record<string, unknown>>,
): Promise<Data> {
  const { data, errors } = await graphql({
    schema: subgraph.schema,
    source,
    variableValues: { ...variables },
    contextValue: subgraph.contextFor(scopeOf(who)),
  });
  if (errors) throw errors[0]!;
  return JSON.parse(JSON.stringify(data)) as Data;
}

async function search(
  subgraph: OpenSubgraph,
  who: Principal,
  variables: Readonly<Record<string, unknown>>,
): Promise<Found> {
  return (await ask<{ searchContexts: Found }>(subgraph, who, searchQuery, variables)).searchContexts;
}

/** Every page of a search. */
async function searchAll(
  subgraph: OpenSubgraph,
  who: Principal,
  variables: Readonly<Record<string, unknown>>,
  first = 7,
) {
  const ids: string[] = [];
  const scores: number[] = [];
  let after: string | null = null;
  for (;;) {
    const { edges, totalCount, pageInfo } = await search(subgraph, who, { ...variables, first, after });
    ids.push(...edges.map(({ node }) => node.id));
    scores.push(...edges.map(({ score }) => score));
    if (!pageInfo.hasNextPage) return { ids, scores, totalCount };
    after = pageInfo.endCursor;
  }
}

/** Waits until the tenant's searches are answered from memory. */
async function warm(subgraph: OpenSubgraph, who: Principal): Promise<void> {
  const { search: index } = subgraph.contextFor(scopeOf(who)).service as ContextService;
  await index.page(
    scopeOf(who),
    { filter: {}, query: 'warm' },
    { limit: 1, reversed: false, after: null },
    { mustWait: true },
  );
}

const isIndexed = ({ edges }: Found) => edges.length > 0 && listOfCursor(edges[0]!.cursor)!.endsWith(':index');

describe('the same corpus, with the index and without', () => {
  const dora = principal('dora', { tenantId: 'corpus' });
  const words = ['orbit', 'ledger', 'part-time', 'meadow', "o'clock", 'Übung', 'x1', 'copper', 'a.b', 'lantern'];
  const text = (seed: number, length: number) =>
    Array.from({ length }, (_, at) => words[(seed * 7 + at * at * 3 + at) % words.length]!).join(' ');

  beforeAll(async () => {
    for (let n = 0; n < 60; n += 1)
      await rig.createContext(n % 3 === 0 ? principal('emil', { tenantId: 'corpus' }) : dora, {
        title: text(n, 1 + (n % 3)),
        ...(n % 4 === 0 ? {} : { summary: text(n + 5, n % 13) }),
        tags: [words[n % 3]!, `t${n % 5}`],
        root: { domain: `d${n % 3}`, environment: n % 2 ? 'test' : 'live' },
        ...(n % 5 === 0 ? { language: 'de' } : {}),
        type: n % 4 === 0 ? 'PIPELINE' : 'PARALLEL',
        activate: n % 6 !== 0,
        accessControl: { visibility: n % 7 === 0 ? 'PRIVATE' : 'TENANT' },
      });
    const gone = await rig.createContext(dora, { title: 'orbit ledger meadow' });
    await rig.ask(dora, 'mutation ($id: ID!) { deleteContext(contextId: $id) { deleted userErrors { code } } }', {
      id: gone,
    });
    await warm(rig.subgraph, dora);
  });

  const word = fc.constantFrom(...words, 'nothing', 'ORBIT', 't1');
  const part = fc.oneof(
    { weight: 6, arbitrary: word },
    { weight: 2, arbitrary: word.map((given) => `-${given}`) },
    { weight: 1, arbitrary: fc.tuple(word, word).map((pair) => `"${pair.join(' ')}"`) },
    { weight: 2, arbitrary: fc.constant('or') },
    { weight: 1, arbitrary: fc.constantFrom('!', '&', "'", '(', ':*', '"', '\\') },
  );
  const query = fc.array(part, { minLength: 1, maxLength: 4 }).map((parts) => parts.join(' '));
  const some = <Value>(arbitrary: fc.Arbitrary<Value>) =>
    fc.oneof({ weight: 19, arbitrary: fc.constant(undefined) }, { weight: 2, arbitrary });
  const filter = fc.record({
    type: some(fc.subarray(['PIPELINE', 'PARALLEL', 'BROADCAST'])),
    status: some(fc.subarray(['ACTIVE', 'DRAFT'])),
    lifecycleStage: some(fc.constant(['PLANNING'])),
    ownerId: some(fc.constantFrom('dora', 'emil', 'nobody')),
    tagsAny: some(fc.subarray(['orbit', 't1', 'none'])),
    tagsAll: some(fc.subarray(['orbit', 't1'])),
    domain: some(fc.constantFrom('d0', 'd1')),
    environment: some(fc.constantFrom('test', 'live')),
    language: some(fc.constantFrom('de', 'fr')),
    createdAt: some(fc.constantFrom({ from: '2020-01-01T00:00:00Z' }, { to: '2020-01-01T00:00:00Z' })),
    namePattern: some(fc.constant('*o*')),
  });
  const who = fc.constantFrom(
    dora,
    principal('emil', { tenantId: 'corpus' }),
    principal('frida', { tenantId: 'corpus' }),
    principal('root', { tenantId: 'corpus', scopes: ['*'] }),
  );

  test('the same contexts, totals and facets for any query, filter and caller', async () => {
    await fc.assert(
      fc.asyncProperty(query, filter, who, async (asked, filtered, caller) => {
        const variables = { query: asked, filter: JSON.parse(JSON.stringify(filtered)) as object };
        const here = await searchAll(rig.subgraph, caller, variables, 20);
        const there = await searchAll(withoutIndex, caller, variables, 100);
        expect([...here.ids].sort()).toEqual([...there.ids].sort());
        expect([here.totalCount, there.totalCount]).toEqual([here.ids.length, here.ids.length]);
        expect(here.scores).toEqual([...here.scores].sort((a, b) => b - a));
        expect(await ask(rig.subgraph, caller, facetQuery, variables)).toEqual(
          await ask(withoutIndex, caller, facetQuery, variables),
        );
      }),
      { numRuns: 100 },
    );
    expect(isIndexed(await search(rig.subgraph, dora, { query: 'orbit or -ledger' }))).toBe(true);
  }, 240_000);

  test('upside down and by other sorts', async () => {
    const best = await searchAll(rig.subgraph, dora, { query: 'orbit or meadow' });
    const worst = await searchAll(rig.subgraph, dora, {
      query: 'orbit or meadow',
      sort: { field: 'RELEVANCE', direction: 'ASC' },
    });
    expect(worst.ids).toEqual([...best.ids].reverse());
    for (const field of ['CREATED_AT', 'TITLE', 'LAST_ACTIVITY_AT']) {
      const variables = { query: 'orbit', sort: { field, direction: 'ASC' } };
      expect(await searchAll(rig.subgraph, dora, variables)).toEqual(await searchAll(withoutIndex, dora, variables));
    }
  });

  test('a page is two statements at most, a total none', async () => {
    rig.statements.length = 0;
    await search(rig.subgraph, principal('root', { tenantId: 'corpus', scopes: ['*'] }), {
      query: 'orbit copper',
      first: 5,
    });
    expect(rig.statements).toHaveLength(1);
    rig.statements.length = 0;
    // Somebody who does not see all private contexts: which of them is asked beside the page.
    await search(rig.subgraph, dora, { query: 'orbit copper', first: 5 });
    expect(rig.statements).toHaveLength(2);
  });
});

describe('cursors name their ranking', () => {
  const greta = principal('greta', { tenantId: 'cursors' });
  beforeAll(async () => {
    for (let n = 0; n < 12; n += 1)
      await rig.createContext(greta, { title: `harbour ${n}`, summary: 'harbour '.repeat(n) });
    await warm(rig.subgraph, greta);
  });

  test('one of PostgreSQL goes on in PostgreSQL', async () => {
    const first = await search(withoutIndex, greta, { query: 'harbour', first: 5 });
    const second = await search(rig.subgraph, greta, { query: 'harbour', first: 20, after: first.pageInfo.endCursor });
    expect(isIndexed(second)).toBe(false);
    expect(new Set([...first.edges, ...second.edges].map(({ node }) => node.id)).size).toBe(12);
  });

  test('one of the index goes on behind the same context where there is no index', async () => {
    const first = await search(rig.subgraph, greta, { query: 'harbour', first: 5 });
    expect(isIndexed(first)).toBe(true);
    const order = (await searchAll(withoutIndex, greta, { query: 'harbour' })).ids;
    const second = await search(withoutIndex, greta, { query: 'harbour', first: 20, after: first.pageInfo.endCursor });
    const last = first.edges.at(-1)!.node.id;
    expect(second.edges.map(({ node }) => node.id)).toEqual(order.slice(order.indexOf(last) + 1));
  });

  test('one of the index waits for an index that is being built', async () => {
    const first = await search(rig.subgraph, greta, { query: 'harbour', first: 5 });
    const fresh = await contextSubgraph.open(rig.runtime);
    const second = await search(fresh, greta, { query: 'harbour', first: 20, after: first.pageInfo.endCursor });
    expect(isIndexed(second)).toBe(true);
    expect(new Set([...first.edges, ...second.edges].map(({ node }) => node.id)).size).toBe(12);
  });

  test.each([
    ['{}'],
    ['["contexts:RELEVANCE:DESC:index",1]'],
    ['["contexts:RELEVANCE:DESC:index","x","y",1]'],
    ['["contexts:TITLE:ASC:index",1,"6f9619ff-8b86-4011-b42d-00cf4fc964ff",1]'],
  ])('refuses %s', async (content) => {
    const after = Buffer.from(content).toString('base64url');
    expect((await rig.run(greta, searchQuery, { query: 'harbour', after })).errors).toMatchObject([
      { code: 'CURSOR_INVALID' },
    ]);
  });
});

describe('what was written is found', () => {
  const hugo = principal('hugo', { tenantId: 'writes' });
  const titles = async (query: string, who = hugo) => {
    const found = await search(rig.subgraph, who, { query });
    expect(found.totalCount).toBe(found.edges.length);
    return found.edges.map(({ node }) => node.title).sort();
  };
  beforeAll(async () => {
    await rig.createContext(hugo, { title: 'first' });
    await warm(rig.subgraph, hugo);
  });

  test('at once: after creating, changing, deleting, restoring, and setting metadata', async () => {
    const id = await rig.createContext(hugo, { title: 'walrus' });
    expect(await titles('walrus')).toEqual(['walrus']);
    await rig.ask(
      hugo,
      'mutation ($id: ID!) { updateContext(contextId: $id, patch: { title: "narwhal" }) { userErrors { code } } }',
      { id },
    );
    expect([await titles('walrus'), await titles('narwhal')]).toEqual([[], ['narwhal']]);
    await rig.ask(
      hugo,
      'mutation ($id: ID!) { setMetadata(contextId: $id, entries: [{ key: "sea", value: "arctic" }]) { userErrors { code } } }',
      { id },
    );
    expect(await titles('arctic')).toEqual(['narwhal']);
    await rig.ask(hugo, 'mutation ($id: ID!) { deleteContext(contextId: $id) { userErrors { code } } }', { id });
    expect(await titles('narwhal')).toEqual([]);
    await rig.ask(hugo, 'mutation ($id: ID!) { restoreContext(contextId: $id) { userErrors { code } } }', { id });
    expect(await titles('narwhal')).toEqual(['narwhal']);
    expect(isIndexed(await search(rig.subgraph, hugo, { query: 'narwhal' }))).toBe(true);
  });

  test('a context that turns private is hidden at once, and found again by who joins it', async () => {
    const id = await rig.createContext(hugo, { title: 'grotto' });
    const ida = principal('ida', { tenantId: 'writes' });
    expect(await titles('grotto', ida)).toEqual(['grotto']);
    await rig.ask(
      hugo,
      'mutation ($id: ID!) { updateContext(contextId: $id, patch: { accessControl: { visibility: PRIVATE } }) { userErrors { code } } }',
      { id },
    );
    expect([await titles('grotto', ida), await titles('grotto')]).toEqual([[], ['grotto']]);
    await rig.ask(
      hugo,
      'mutation ($id: ID!) { addParticipant(input: { contextId: $id, agentId: "ida", type: AGENT }) { userErrors { code } } }',
      { id },
    );
    expect(await titles('grotto', ida)).toEqual(['grotto']);
  });

  test('by many at once, each its own', async () => {
    await Promise.all(
      Array.from({ length: 40 }, async (_, n) => {
        await rig.createContext(hugo, { title: `many word${'abcdefghij'[n % 10]}${'klmn'[Math.floor(n / 10)]}` });
        expect(await titles(`word${'abcdefghij'[n % 10]}${'klmn'[Math.floor(n / 10)]}`)).toHaveLength(1);
      }),
    );
    expect((await search(rig.subgraph, hugo, { query: 'many' })).totalCount).toBe(40);
  });

  test('another tenant and its administrator see none of it', async () => {
    for (const who of [alice, bob, admin]) expect(await titles('narwhal', who)).toEqual([]);
  });
});
