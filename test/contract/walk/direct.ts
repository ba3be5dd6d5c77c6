import { buildSubgraphSchema } from '@apollo/subgraph';
import { type ConstDirectiveNode, type DocumentNode, type ExecutionResult, type GraphQLSchema, graphql } from 'graphql';
import { collectAuthRules } from '#shared/auth.ts';
import { readConfig } from '#shared/config.ts';
import { createRequestScope } from '#shared/context.ts';
import { createLateGraph } from '#shared/graph.ts';
import type { Principal } from '#shared/principal.ts';
import { readTypeDefs } from '#shared/subgraph.ts';
import { continueTrace, createLogger } from '#shared/telemetry.ts';
import { type SubgraphName, subgraphNames } from '../../../subgraphs/names.ts';
import { openConnections, openSubgraphs } from '../../../subgraphs/open.ts';

export interface DirectSubgraphs extends AsyncDisposable {
  /** Runs a document in a subgraph itself, as the gateway would, without the gateway. */
  ask(
    name: SubgraphName,
    principal: Principal,
    source: string,
    variables?: Readonly<Record<string, unknown>>,
  ): Promise<ExecutionResult>;
}

/** Opens all subgraphs over a platform's database, without their consumers and jobs. */
export async function openDirect(databaseUrl: string): Promise<DirectSubgraphs> {
  const config = readConfig({
    DATABASE_URL: databaseUrl,
    LOG_LEVEL: 'silent',
    DATABASE_POOL: '2',
    DATABASE_PRISMA_POOL: '2',
  });
  const logger = createLogger('silent');
  const connections = await openConnections({ config, databaseUrl, logger });
  const opened = await openSubgraphs({
    config,
    connections,
    names: subgraphNames,
    graph: createLateGraph(),
    logger,
    invalidator: null,
  });
  return {
    async ask(name, principal, source, variables = {}) {
      const subgraph = opened.subgraphs.get(name)!;
      const scope = createRequestScope({ principal, correlationId: 'walk', traceparent: continueTrace(undefined) });
      return await graphql({
        schema: subgraph.schema,
        source,
        variableValues: variables,
        contextValue: subgraph.contextFor(scope),
      });
    },
    async [Symbol.asyncDispose]() {
      await opened.close();
      await connections.close();
    },
  };
}

/** Entities by subgraph, as the SDL declares them. @throws {Error} naming every root field and entity without `@auth`. */
export async function readEntities(): Promise<ReadonlyMap<SubgraphName, readonly string[]>> {
  return new Map(
    await Promise.all(
      subgraphNames.map(async (name) => {
        const typeDefs = await readTypeDefs(name);
        const named = namedOnly(typeDefs);
        return [name, [...collectAuthRules(typeDefs).entities.keys()].filter((type) => !named.has(type))] as const;
      }),
    ),
  );
}

/** Types that a subgraph only names: nobody asks it for them, and it echoes the key it is given. */
function namedOnly({ definitions }: DocumentNode): ReadonlySet<string> {
  const isUnresolvable = ({ name, arguments: args = [] }: ConstDirectiveNode) =>
    name.value === 'key' &&
    args.some((arg) => arg.name.value === 'resolvable' && arg.value.kind === 'BooleanValue' && !arg.value.value);
  return new Set(
    definitions.flatMap((node) =>
      (node.kind === 'ObjectTypeDefinition' || node.kind === 'ObjectTypeExtension') &&
      node.directives?.some(isUnresolvable)
        ? [node.name.value]
        : [],
    ),
  );
}

/** Every subgraph's own schema, without resolvers. */
export async function readSubgraphSchemas(): Promise<ReadonlyMap<SubgraphName, GraphQLSchema>> {
  return new Map(
    await Promise.all(
      subgraphNames.map(async (name) => [name, buildSubgraphSchema([{ typeDefs: await readTypeDefs(name) }])] as const),
    ),
  );
}
