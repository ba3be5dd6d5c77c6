import type { GraphQLDataSource } from '@apollo/gateway';
import type { GatewayGraphQLResponse } from '@apollo/server-gateway-interface';
import { buildSubgraphSchema } from '@apollo/subgraph';
import fc from 'fast-check';
import { graphql, parse } from 'graphql';
import { describe, expect, it } from 'vitest';
import { createScopeAuthorizer } from '#shared/auth.ts';
import { createTaggedCache } from '#shared/cache.ts';
import { subjectBoundTag } from '#shared/context.ts';
import type { Principal } from '#shared/principal.ts';
import {
  createCachedDataSource,
  createFieldPolicies,
  createRequestReadsRegistry,
} from '../../../gateway/execution/responseCache/index.ts';
import { findListPlan } from '../../../gateway/execution/responseCache/listPlan.ts';
import { processOptions } from '../execution/processOptions.ts';
import { principal, shared } from './rig.ts';

const typeDefs = parse(/* GraphQL */ `
  ${shared}
  directive @keptByRow(fields: String!) on OBJECT
  type Query {
    items(group: Int!): ItemConnection! @auth(requires: ["item:read"]) @cacheControl(maxAge: 60)
    plainItems(group: Int!): [Item]! @auth(requires: ["item:read"])
    first: Item @auth(requires: ["item:read"])
    own(group: Int!): [Item!]! @auth(requires: ["item:read"], scope: SUBJECT)
    free(group: Int!): [Item!]! @auth(requires: [])
  }
  type ItemConnection @cacheControl(inheritMaxAge: true) { nodes: [Item!]! edges: [ItemEdge!]! totalCount: Int! }
  type ItemEdge @cacheControl(inheritMaxAge: true) { cursor: String! node: Item! }
  type Item @key(fields: "id") @auth(requires: ["item:read"]) @cacheControl(maxAge: 60) @keptByRow(fields: "id group version") {
    id: ID!
    group: Int!
    version: Int!
    neighbours: Int!
  }
`);
const policies = createFieldPolicies([{ name: 'items', typeDefs }]);

interface Row {
  readonly id: string;
  group: number;
  version: number;
  /** Who alone sees it; null: everybody. */
  owner: string | null;
}
interface Scope {
  readonly principal: Principal;
  readonly tags: Set<string>;
}

/** A table of rows by tenant, a data source over it, and the same behind a cache. */
function createTable(delayOf: () => number = () => 0) {
  const tables = new Map<string, Map<string, Row>>();
  const rowsOf = (tenantId: string) => {
    const known = tables.get(tenantId) ?? new Map<string, Row>();
    tables.set(tenantId, known);
    return known;
  };
  const see = (rows: Iterable<Row>, { principal: { subject }, tags }: Scope) =>
    [...rows].filter((row) => {
      tags.add(`Item:${row.id}`);
      if (row.owner !== null) tags.add(subjectBoundTag);
      return row.owner === null || row.owner === subject;
    });
  const list = (group: number, scope: Scope) => {
    scope.tags.add(`Group:${group}`);
    const rows = [...rowsOf(scope.principal.tenantId).values()].filter((row) => row.group === group);
    return see(rows, scope).map((row) => ({ ...row }));
  };
  const resolvers = {
    Query: {
      items(_: unknown, { group }: { group: number }, scope: Scope) {
        const nodes = list(group, scope);
        return { nodes, totalCount: nodes.length, edges: nodes.map((node) => ({ node, cursor: `at ${node.id}` })) };
      },
      plainItems: (_: unknown, { group }: { group: number }, scope: Scope) => list(group, scope),
      free: (_: unknown, { group }: { group: number }, scope: Scope) => list(group, scope),
      own: (_: unknown, { group }: { group: number }, scope: Scope) => list(group, scope),
    },
    Item: {
      __resolveReference({ id }: { id: string }, scope: Scope) {
        scope.tags.add(`Item:${id}`);
        const row = rowsOf(scope.principal.tenantId).get(id);
        return row ? (see([{ ...row }], scope)[0] ?? null) : null;
      },
      neighbours({ group }: Row, _: unknown, scope: Scope) {
        scope.tags.add(`Group:${group}`);
        return [...rowsOf(scope.principal.tenantId).values()].filter((row) => row.group === group).length;
      },
    },
  };
  const schema = buildSubgraphSchema([{ typeDefs, resolvers }]);
  const fetches: { query: string; variables: unknown }[] = [];
  const direct: GraphQLDataSource = {
    async process({ request, context }): Promise<GatewayGraphQLResponse> {
      const scope: Scope = { principal: (context as { scope: Scope }).scope.principal, tags: new Set() };
      fetches.push({ query: request.query ?? '', variables: request.variables });
      const { data, errors } = await graphql({
        schema,
        source: request.query ?? '',
        variableValues: request.variables,
        contextValue: scope,
      });
      for (let turns = delayOf(); turns > 0; turns -= 1) await new Promise((resolve) => setImmediate(resolve));
      return {
        data: JSON.parse(JSON.stringify(data)) as Record<string, unknown>,
        ...(errors ? { errors: errors.map((error) => error.toJSON()) } : {}),
        extensions: { cacheTags: [...scope.tags] },
      };
    },
  };
  const cache = createTaggedCache({ l1: { maxEntries: 40, maxBytes: 10_000_000, ttlMs: 60_000 } });
  const cached = createCachedDataSource(direct, {
    subgraph: 'items',
    cache,
    policies,
    authorizer: createScopeAuthorizer(),
    reads: createRequestReadsRegistry(cache),
    requestOf: (context) => context['scope'] as { principal: Principal },
  });
  const ask = async (source: GraphQLDataSource, who: Principal, query: string, variables: Record<string, unknown>) => {
    const options = processOptions({ query, variables });
    const { data, errors } = await source.process({ ...options, context: { scope: { principal: who } } });
    return { data: JSON.parse(JSON.stringify(data)) as Record<string, unknown>, errors };
  };
  return {
    fetches,
    rowsOf,
    cache,
    cached: (who: Principal, query: string, variables: Record<string, unknown>) => ask(cached, who, query, variables),
    direct: (who: Principal, query: string, variables: Record<string, unknown>) => ask(direct, who, query, variables),
    /** Changes a row as its module would: with the tags of the lists that it leaves and comes to. */
    async change(tenantId: string, id: string, change: (row: Row | undefined) => Row | undefined): Promise<void> {
      const rows = rowsOf(tenantId);
      const before = rows.get(id);
      const after = change(before && { ...before });
      if (after) rows.set(id, after);
      else rows.delete(id);
      const isMoved = before?.group !== after?.group || before?.owner !== after?.owner;
      const groups = isMoved ? [before?.group, after?.group].filter((group) => group !== undefined) : [];
      await cache.invalidate(
        [`Item:${id}`, ...groups.map((group) => `Group:${group}`)].map((tag) => `${tenantId}/${tag}`),
      );
    },
  };
}

const listed = 'query ($group: Int!) { items(group: $group) { nodes { id version } totalCount } }';
const edged = 'query ($group: Int!) { items(group: $group) { edges { cursor node { id version group } } } }';
const plain = 'query Plain($group: Int!) { all: plainItems(group: $group) { v: version id } }';
const counted = 'query ($group: Int!) { plainItems(group: $group) { id neighbours } }';
const byKey =
  'query Named($representations: [_Any!]!) { _entities(representations: $representations) { ... on Item { id version } } }';
const ann = principal('a', 'ann');

describe('which queries are lists of rows', () => {
  const plan = (query: string) => findListPlan(parse(query), policies, 'items')?.map(({ path }) => path) ?? null;
  it.each([
    [listed, [['items', 'nodes']]],
    [edged, [['items', 'edges', 'node']]],
    [plain, [['all']]],
    [
      '{ items(group: 1) { nodes { id } edges { node { id version } } } }',
      [
        ['items', 'nodes'],
        ['items', 'edges', 'node'],
      ],
    ],
    // Of more than its row, without an id, beside something else, alone, with a condition, for its subject.
    [counted, null],
    ['{ plainItems(group: 1) { version } }', null],
    ['{ plainItems(group: 1) { id } first { id } }', null],
    ['{ first { id version } }', null],
    ['query ($yes: Boolean!) { plainItems(group: 1) { id version @include(if: $yes) } }', null],
    ['{ plainItems(group: 1) { ...shown } } fragment shown on Item { id }', null],
    [byKey, null],
  ])('%s', (query, places) => {
    expect(plan(query)).toEqual(places);
  });
});

describe('lists kept by the ids of their rows', () => {
  const rowOf = (id: string, group: number): Row => ({ id, group, version: 1, owner: null });

  async function filled() {
    const table = createTable();
    for (const id of ['1', '2', '3']) table.rowsOf('a').set(id, rowOf(id, 0));
    await table.cached(ann, listed, { group: 0 });
    table.fetches.length = 0;
    return table;
  }

  it('asks for the one row that has changed, and for none that another list or an entity has brought', async () => {
    const table = await filled();
    await table.change('a', '2', (row) => ({ ...row!, version: 2 }));
    expect((await table.cached(ann, listed, { group: 0 })).data).toEqual({
      items: {
        nodes: [
          { id: '1', version: 1 },
          { id: '2', version: 2 },
          { id: '3', version: 1 },
        ],
        totalCount: 3,
      },
    });
    expect(table.fetches.map(({ variables }) => variables)).toEqual([
      { representations: [{ __typename: 'Item', id: '2' }] },
    ]);
    await table.cached(ann, byKey, {
      representations: [
        { __typename: 'Item', id: '2' },
        { __typename: 'Item', id: '3' },
      ],
    });
    expect(table.fetches).toHaveLength(1);
  });

  it('asks for all of it when a row is gone that the list still names', async () => {
    const table = await filled();
    // As an event that has told of the row and not of the list.
    table.rowsOf('a').delete('2');
    await table.cache.invalidate(['a/Item:2']);
    expect((await table.cached(ann, listed, { group: 0 })).data).toMatchObject({ items: { totalCount: 2 } });
    expect(table.fetches).toHaveLength(2);
  });

  it('asks anew for who may not read, and keeps nothing of what depends on who asks', async () => {
    const table = await filled();
    await table.cached(principal('a', 'eve', ['other:read']), listed, { group: 0 });
    expect(table.fetches).toHaveLength(1);
    await table.cached(ann, 'query ($group: Int!) { own(group: $group) { id version } }', { group: 0 });
    await table.cached(ann, 'query ($group: Int!) { own(group: $group) { id version } }', { group: 0 });
    expect(table.fetches).toHaveLength(3);
    // Whoever may read it may not read its rows by their keys: it is kept as it is.
    await table.cached(ann, 'query ($group: Int!) { free(group: $group) { id version } }', { group: 0 });
    expect(table.fetches).toHaveLength(4);
  });
});

describe('against no cache', () => {
  const tenant = fc.constantFrom('a', 'b');
  const id = fc.integer({ min: 0, max: 7 }).map(String);
  const group = fc.integer({ min: 0, max: 2 });
  const owner = fc.constantFrom(null, null, null, 'ann', 'bob');
  const read = fc.record({
    kind: fc.constant('read' as const),
    tenant,
    subject: fc.constantFrom('ann', 'bob'),
    query: fc.constantFrom(listed, edged, plain, counted, byKey),
    group,
    ids: fc.array(id, { maxLength: 4 }),
  });
  const write = fc.record({
    kind: fc.constant('write' as const),
    tenant,
    id,
    what: fc.constantFrom('raise', 'raise', 'raise', 'put', 'remove'),
    group,
    owner,
  });
  const operations = fc.array(fc.oneof({ weight: 3, arbitrary: read }, { weight: 2, arbitrary: write }), {
    maxLength: 60,
  });
  type Read = {
    readonly subject: string;
    readonly tenant: string;
    readonly query: string;
    readonly group: number;
    readonly ids: string[];
  };
  const variablesOf = ({ query, group: of, ids }: Read) =>
    query === byKey ? { representations: ids.map((each) => ({ __typename: 'Item', id: each })) } : { group: of };
  type Write = { readonly what: string; readonly id: string; readonly group: number; readonly owner: string | null };
  const apply = (to: Write) => (row: Row | undefined) => {
    if (to.what === 'remove') return undefined;
    if (to.what === 'put') return { id: to.id, version: (row?.version ?? 0) + 1, group: to.group, owner: to.owner };
    return row && { ...row, version: row.version + 1 };
  };

  it('one after the other, every answer is that of the table', async () => {
    await fc.assert(
      fc.asyncProperty(operations, async (list) => {
        const table = createTable();
        for (const each of list) {
          if (each.kind === 'write') await table.change(each.tenant, each.id, apply(each));
          else {
            const who = principal(each.tenant, each.subject);
            const own = await table.cached(who, each.query, variablesOf(each));
            expect(own).toEqual(await table.direct(who, each.query, variablesOf(each)));
          }
        }
        await table.cache.close();
      }),
      { numRuns: 150 },
    );
  });

  it('at once, none shows what had been replaced before it was asked for', async () => {
    await fc.assert(
      fc.asyncProperty(operations, fc.infiniteStream(fc.nat({ max: 3 })), async (list, turns) => {
        const table = createTable(() => turns.next().value as number);
        const answers: Promise<void>[] = [];
        for (const each of list) {
          if (each.kind === 'write') {
            // What a client knows of its write it knows when the invalidation is done.
            await table.change(each.tenant, each.id, apply(each));
            continue;
          }
          const least = new Map([...table.rowsOf(each.tenant)].map(([key, { version }]) => [key, version]));
          const asked = table.cached(principal(each.tenant, each.subject), each.query, variablesOf(each));
          const check = asked.then(({ data, errors }) => {
            expect(errors).toBeUndefined();
            JSON.stringify(data, (_key, value: unknown) => {
              const shown = value as { id?: string; version?: number; v?: number } | null;
              const version = shown?.version ?? shown?.v;
              if (shown?.id !== undefined && version !== undefined)
                expect(version).toBeGreaterThanOrEqual(least.get(shown.id) ?? 0);
              return value;
            });
          });
          answers.push(check);
          await new Promise((resolve) => setImmediate(resolve));
        }
        await Promise.all(answers);
        await table.cache.close();
      }),
      { numRuns: 150 },
    );
  });
});
