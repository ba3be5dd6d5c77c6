process.env['APOLLO_TELEMETRY_DISABLED'] = 'true';

import { createHash } from 'node:crypto';
import { ApolloGateway, type GatewayConfig, type GraphQLDataSource } from '@apollo/gateway';
import { buildSchema, type DocumentNode, type ExecutionResult, type GraphQLSchema, parse } from 'graphql';
import type { FixtureContext } from './fixtures/row.ts';

type PlanCache = NonNullable<NonNullable<GatewayConfig['queryPlannerConfig']>['cache']>;
type Executor = NonNullable<Awaited<ReturnType<ApolloGateway['load']>>['executor']>;

export interface GatewayRig {
  readonly apiSchema: GraphQLSchema;
  execute(
    operation: { text: string; variables: Record<string, unknown> },
    context: FixtureContext,
  ): Promise<ExecutionResult>;
  close(): Promise<void>;
}

/** Query plans are plain data: gateways under comparison share them. */
export function createPlanCache(): PlanCache {
  const plans = new Map<string, Awaited<ReturnType<PlanCache['get']>>>();
  return {
    get: async (key) => plans.get(key),
    set: async (key, plan) => void plans.set(key, plan),
    delete: async (key) => void plans.delete(key),
    clear: () => plans.clear(),
  };
}

const silent = { debug() {}, info() {}, warn() {}, error() {} };

/** ApolloGateway as Apollo Server drives it: `load()`, then its executor with a request context. */
export async function createGatewayRig(
  supergraphSdl: string,
  dataSourceOf: (name: string) => GraphQLDataSource,
  cache: PlanCache,
): Promise<GatewayRig> {
  let apiSchema: GraphQLSchema = buildSchema('type Query { _: Int }');
  const gateway = new ApolloGateway({
    supergraphSdl,
    buildService: ({ name }) => dataSourceOf(name),
    queryPlannerConfig: { cache },
    logger: silent,
  });
  gateway.onSchemaLoadOrUpdate((loaded) => {
    apiSchema = loaded.apiSchema;
  });
  const { executor } = await gateway.load({ apollo: {} });
  return {
    apiSchema,
    async execute({ text, variables }, context) {
      return executor(requestContext(apiSchema, text, parse(text), variables, context));
    },
    close: () => gateway.stop(),
  };
}

/** What Apollo Server hands to a gateway for one operation. */
export function requestContext(
  schema: GraphQLSchema,
  source: string,
  document: DocumentNode,
  variables: Record<string, unknown>,
  context: object,
): Parameters<Executor>[0] {
  const operation = document.definitions.find((definition) => definition.kind === 'OperationDefinition');
  if (!operation) throw new Error('expected an operation');
  const operationName = operation.name?.value ?? null;
  return {
    request: { query: source, variables, ...(operationName === null ? {} : { operationName }) },
    schema,
    schemaHash: '' as Parameters<Executor>[0]['schemaHash'],
    source,
    document,
    operation,
    operationName,
    queryHash: createHash('sha256').update(source).digest('hex'),
    context,
    logger: silent,
    cache: { get: async () => undefined, set: async () => {}, delete: async () => {} },
    metrics: {},
    overallCachePolicy: undefined,
  };
}
