import { composeServices } from '@apollo/composition';
import { ApolloGateway, type GraphQLDataSource } from '@apollo/gateway';
import { ApolloServer } from '@apollo/server';
import type { GatewayGraphQLResponse } from '@apollo/server-gateway-interface';
import { buildSubgraphSchema } from '@apollo/subgraph';
import { type DocumentNode, type GraphQLSchema, graphql, parse } from 'graphql';
import { createScopeAuthorizer } from '#shared/auth.ts';
import { createTaggedCache, type TaggedCache } from '#shared/cache.ts';
import { createPrincipal, type Principal } from '#shared/principal.ts';
import {
  createCachedDataSource,
  createFieldPolicies,
  createRequestReadsRegistry,
  createResponseCache,
} from '../../../gateway/execution/responseCache/index.ts';
import type { RequestIdentity } from '../../../gateway/execution/responseCache/requestReads.ts';

export const shared = /* GraphQL */ `
  extend schema @link(url: "https://specs.apollo.dev/federation/v2.9", import: ["@key", "@shareable", "@external"])
  directive @auth(requires: [String!]!, scope: AuthScope! = TENANT) on FIELD_DEFINITION | OBJECT
  enum AuthScope { TENANT ROLE SUBJECT }
  directive @cacheControl(maxAge: Int, scope: CacheControlScope, inheritMaxAge: Boolean) on FIELD_DEFINITION | OBJECT | INTERFACE | UNION
  enum CacheControlScope { PUBLIC PRIVATE }
`;

export const contextSdl = parse(/* GraphQL */ `
  ${shared}
  type Query {
    context(id: ID!): Context @auth(requires: ["context:read"])
    contextsOfRole: [Context!]! @auth(requires: ["context:read"], scope: ROLE)
    mine: [Context!]! @auth(requires: ["context:read"], scope: SUBJECT)
    clock: String! @auth(requires: [])
    broken: String @auth(requires: []) @cacheControl(maxAge: 60)
    untagged: String @auth(requires: []) @cacheControl(maxAge: 60)
  }
  type Mutation { rename(id: ID!, name: String!): Context @auth(requires: ["context:write"]) }
  type Context @key(fields: "id") @auth(requires: ["context:read"]) @cacheControl(maxAge: 60) { id: ID! name: String! owner: Owner }
  type Owner @shareable @cacheControl(inheritMaxAge: true) { name: String! }
`);

export const dialogSdl = parse(/* GraphQL */ `
  ${shared}
  type Query {
    dialog(id: ID!): Dialog @auth(requires: []) @cacheControl(maxAge: 60)
    plain: String @auth(requires: []) @cacheControl(maxAge: 60)
  }
  type Dialog @key(fields: "id") @auth(requires: []) @cacheControl(maxAge: 30) {
    id: ID!
    title: String!
    context: Context
    unread: Int! @auth(requires: [], scope: SUBJECT)
  }
  type Context @key(fields: "id") @auth(requires: []) {
    id: ID!
    dialogs: [Dialog!]!
    risky: String
  }
`);

export interface World {
  /** By tenant and id. */
  readonly names: Map<string, string>;
  readonly titles: Map<string, string>;
  failing: boolean;
}

interface SubgraphContext {
  readonly principal: Principal;
  readonly world: World;
  readonly tags: Set<string>;
}

type Args = { id: string; name: string };

function contextSchema(): GraphQLSchema {
  const find = (id: string, { principal, world, tags }: SubgraphContext) => {
    tags.add(`Context:${id}`);
    const name = world.names.get(`${principal.tenantId}/${id}`);
    return name === undefined ? null : { __typename: 'Context', id, name, owner: { name: `owner of ${name}` } };
  };
  const list = (context: SubgraphContext) => {
    context.tags.add('Context:all');
    return ['c1', 'c2'].map((id) => find(id, context));
  };
  return buildSubgraphSchema([
    {
      typeDefs: contextSdl,
      resolvers: {
        Query: {
          context: (_: unknown, { id }: Args, context: SubgraphContext) => find(id, context),
          contextsOfRole: (_: unknown, _args: unknown, context: SubgraphContext) => list(context),
          mine: (_: unknown, _args: unknown, context: SubgraphContext) => list(context),
          clock: () => String(performance.now()),
          broken(_: unknown, _args: unknown, { world, tags }: SubgraphContext) {
            tags.add('Broken:1');
            if (world.failing) throw new Error('broken');
            return 'whole';
          },
          untagged: () => 'x',
        },
        Mutation: {
          rename(_: unknown, { id, name }: Args, context: SubgraphContext) {
            context.world.names.set(`${context.principal.tenantId}/${id}`, name);
            return find(id, context);
          },
        },
        Context: { __resolveReference: ({ id }: Args, context: SubgraphContext) => find(id, context) },
      },
    },
  ]);
}

function dialogSchema(): GraphQLSchema {
  const find = (id: string, { principal, world, tags }: SubgraphContext) => {
    tags.add(`Dialog:${id}`);
    const title = world.titles.get(`${principal.tenantId}/${id}`);
    const unread = principal.subject.length;
    return title === undefined
      ? null
      : { __typename: 'Dialog', id, title, context: { __typename: 'Context', id: 'c1' }, unread };
  };
  return buildSubgraphSchema([
    {
      typeDefs: dialogSdl,
      resolvers: {
        Query: {
          dialog: (_: unknown, { id }: Args, context: SubgraphContext) => find(id, context),
          plain: () => 'x',
        },
        Dialog: { __resolveReference: ({ id }: Args, context: SubgraphContext) => find(id, context) },
        Context: {
          dialogs({ id }: Args, _: unknown, context: SubgraphContext) {
            context.tags.add(`Context:${id}:dialogs`);
            return ['d1', 'd2'].map((dialog) => find(dialog, context));
          },
          risky({ id }: Args, _: unknown, { world, tags }: SubgraphContext) {
            tags.add(`Context:${id}`);
            if (world.failing && id === 'c2') throw new Error('c2 fails');
            return `risk of ${id}`;
          },
        },
      },
    },
  ]);
}

export interface Fetch {
  readonly subgraph: string;
  readonly variables: Record<string, unknown>;
}

/** A gateway over two subgraphs, with the cache between, and a count of what reaches the subgraphs. */
export async function createGraphRig(
  options: { cache?: TaggedCache; subjectScope?: 'key' | 'bypass'; delayMs?: number } = {},
) {
  const cache = options.cache ?? createTaggedCache({ l1: { maxEntries: 10_000, maxBytes: 10_000_000, ttlMs: 60_000 } });
  const subgraphs: { name: string; typeDefs: DocumentNode; schema: GraphQLSchema }[] = [
    { name: 'context', typeDefs: contextSdl, schema: contextSchema() },
    { name: 'dialog', typeDefs: dialogSdl, schema: dialogSchema() },
  ];
  const world: World = {
    names: new Map(['a/c1', 'a/c2', 'a/c3', 'b/c1', 'b/c2'].map((key) => [key, `name of ${key}`])),
    titles: new Map(['a/d1', 'a/d2', 'b/d1', 'b/d2'].map((key) => [key, `title of ${key}`])),
    failing: false,
  };
  const fetches: Fetch[] = [];
  const policies = createFieldPolicies(subgraphs);
  const reads = createRequestReadsRegistry(cache);
  const authorizer = createScopeAuthorizer();
  const subject = options.subjectScope ? { subjectScope: options.subjectScope } : {};

  const inner = (name: string, schema: GraphQLSchema): GraphQLDataSource => ({
    async process({ request, context }): Promise<GatewayGraphQLResponse> {
      fetches.push({ subgraph: name, variables: structuredClone({ ...request.variables }) });
      const principal = (context as { scope: RequestIdentity }).scope.principal;
      const contextValue: SubgraphContext = { principal, world, tags: new Set() };
      const { data, errors } = await graphql({
        schema,
        source: request.query ?? '',
        variableValues: request.variables,
        contextValue,
      });
      if (options.delayMs) await new Promise((resolve) => setTimeout(resolve, options.delayMs));
      return {
        data: data as Record<string, unknown>,
        ...(errors ? { errors: errors.map((error) => error.toJSON()) } : {}),
        extensions: { cacheTags: [...contextValue.tags] },
      };
    },
  });

  const composed = composeServices(subgraphs.map((subgraph) => ({ ...subgraph, url: 'http://nowhere.invalid' })));
  if (!composed.supergraphSdl) throw new Error(String(composed.errors));
  const gateway = new ApolloGateway({
    supergraphSdl: composed.supergraphSdl,
    buildService: ({ name }) =>
      createCachedDataSource(inner(name, subgraphs.find((subgraph) => subgraph.name === name)!.schema), {
        subgraph: name,
        cache,
        policies,
        authorizer,
        reads,
        requestOf: (context) => context['scope'] as RequestIdentity,
        ...subject,
      }),
  });
  const server = new ApolloServer<{ scope: RequestIdentity }>({ gateway });
  await server.start();

  async function ask(query: string, principal: Principal, variables: Record<string, unknown> = {}) {
    const { body } = await server.executeOperation({ query, variables }, { contextValue: { scope: { principal } } });
    if (body.kind !== 'single') throw new Error('incremental');
    return JSON.parse(JSON.stringify(body.singleResult)) as {
      data: Record<string, unknown>;
      errors?: { message: string; path?: unknown[] }[];
    };
  }

  const responses = createResponseCache({ cache, policies, authorizer, reads, ...subject });

  /** As a server would: by the response cache, else through the gateway. */
  async function serve(query: string, principal: Principal, variables: Record<string, unknown> = {}) {
    const contextValue = { scope: { principal } };
    const request = {
      document: parse(query),
      source: query,
      operationName: null,
      variables,
      scope: contextValue.scope,
    };
    const served = await responses.serve(request, async () => {
      const { body } = await server.executeOperation({ query, variables }, { contextValue });
      if (body.kind !== 'single') throw new Error('incremental');
      const { data, errors } = body.singleResult;
      return { response: body.singleResult, data: errors ? null : JSON.stringify(data) };
    });
    const data =
      'data' in served ? JSON.parse(String(served.data)) : JSON.parse(JSON.stringify(served.response.data ?? null));
    return { hit: served.hit, data: data as Record<string, unknown> };
  }

  return {
    cache,
    world,
    fetches,
    ask,
    serve,
    policies,
    reads,
    close: () => Promise.all([server.stop(), cache.close()]),
  };
}

export function principal(tenantId: string, subject = 'ann', scopes: string[] = ['*']): Principal {
  return createPrincipal({ tenantId, subject, scopes });
}
