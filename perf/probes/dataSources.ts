// CPU of one small query through the in-process gateway, layer by layer and per data source:
//   node perf/probes/dataSources.ts [operations, default 20000]
// Caches of responses are off; plans and documents are warm. Microseconds of CPU (user + system) per operation.
process.env['APOLLO_TELEMETRY_DISABLED'] = 'true';

import { createHash } from 'node:crypto';
import { composeServices } from '@apollo/composition';
import { operationFromDocument, Supergraph } from '@apollo/federation-internals';
import {
  ApolloGateway,
  buildOperationContext,
  executeQueryPlan,
  type GraphQLDataSource,
  LocalGraphQLDataSource,
} from '@apollo/gateway';
import { computeResponse } from '@apollo/gateway/dist/resultShaping.js';
import { QueryPlanner } from '@apollo/query-planner';
import { ApolloServer, HeaderMap } from '@apollo/server';
import { buildSubgraphSchema } from '@apollo/subgraph';
import { execute, Kind, parse } from 'graphql';
import { createInProcessDataSource } from '../../gateway/execution/inProcess.ts';

const count = Number(process.argv[2] ?? 20_000);
const link = 'extend schema @link(url: "https://specs.apollo.dev/federation/v2.3", import: ["@key"])';
const sdl = {
  users: `${link} enum Role { ADMIN GUEST } type User @key(fields: "id") { id: ID! name: String! email: String role: Role! createdAt: String! } type Query { user(id: ID!): User }`,
  orders: `${link} type User @key(fields: "id") { id: ID! orderCount: Int! } type Query { orderTotal: Int }`,
};
const user = { id: '7', name: 'Ada', email: 'ada@example.org', role: 'ADMIN', createdAt: '2026-01-01T00:00:00.000Z' };
const schemas = {
  users: buildSubgraphSchema([
    {
      typeDefs: parse(sdl.users),
      resolvers: {
        Query: { user: async () => ({ ...user }) },
        User: { __resolveReference: async () => ({ ...user }) },
      },
    },
  ]),
  orders: buildSubgraphSchema([
    {
      typeDefs: parse(sdl.orders),
      resolvers: { User: { __resolveReference: async ({ id }: { id: string }) => ({ id, orderCount: 3 }) } },
    },
  ]),
};
const composed = composeServices(Object.entries(sdl).map(([name, text]) => ({ name, typeDefs: parse(text) })));
if (!composed.supergraphSdl) throw new Error('the probe does not compose');
const supergraphSdl: string = composed.supergraphSdl;
const supergraph = Supergraph.build(supergraphSdl);
const apiSchema = supergraph.apiSchema();

type Name = keyof typeof schemas;
const compiled = (name: string) =>
  createInProcessDataSource({ name, schema: schemas[name as Name], contextFor: (context) => context });
const stock = (name: string) => new LocalGraphQLDataSource(schemas[name as Name]);
/** graphql-js without its parser and validator: what a cache of documents alone brings. */
function parsedOnce(name: string): GraphQLDataSource {
  const documents = new Map<string, ReturnType<typeof parse>>();
  return {
    async process({ request, context }) {
      const text = request.query ?? '';
      const document = documents.get(text) ?? parse(text);
      documents.set(text, document);
      const result = await execute({
        schema: schemas[name as Name],
        document,
        variableValues: request.variables,
        operationName: request.operationName,
        contextValue: context,
      });
      return result as Awaited<ReturnType<GraphQLDataSource['process']>>;
    },
  };
}
/** Answers without executing anything: what remains is the gateway's own. */
function constant(name: string): GraphQLDataSource {
  return {
    process: async () => ({
      data: name === 'users' ? { user: { __typename: 'User', ...user } } : { _entities: [{ orderCount: 3 }] },
    }),
  };
}

const queries = {
  'one entity': 'query One($id: ID!) { user(id: $id) { id name email role createdAt } }',
  'two subgraphs': 'query Two($id: ID!) { user(id: $id) { id name email role createdAt orderCount } }',
};
const variables = { id: '7' };
const silent = { debug() {}, info() {}, warn() {}, error() {} };
type Executor = NonNullable<Awaited<ReturnType<ApolloGateway['load']>>['executor']>;
type RequestContext = Parameters<Executor>[0];

async function cpuMicros(run: () => Promise<unknown>): Promise<number> {
  for (let index = 0; index < Math.min(count, 4_000); index += 1) await run();
  const before = process.cpuUsage();
  for (let index = 0; index < count; index += 1) await run();
  const { user: userMicros, system } = process.cpuUsage(before);
  return (userMicros + system) / count;
}

function contextOf(source: string, schema: RequestContext['schema']): () => RequestContext {
  const document = parse(source);
  const operation = document.definitions[0];
  if (operation?.kind !== Kind.OPERATION_DEFINITION) throw new Error('expected an operation');
  const queryHash = createHash('sha256').update(source).digest('hex');
  const cache: RequestContext['cache'] = { get: async () => undefined, set: async () => {}, delete: async () => {} };
  const schemaHash = '' as RequestContext['schemaHash'];
  const operationName = operation.name?.value ?? '';
  return () => ({
    request: { query: source, variables, operationName },
    schema,
    schemaHash,
    source,
    document,
    operation,
    operationName,
    queryHash,
    context: {},
    logger: silent,
    cache,
    metrics: {},
    overallCachePolicy: undefined,
  });
}

const rows: Record<string, Record<string, string>> = {};
async function measure(row: string, column: string, run: () => Promise<unknown>): Promise<void> {
  rows[row] = { ...rows[row], [column]: (await cpuMicros(run)).toFixed(1) };
}

for (const [column, source] of Object.entries(queries)) {
  for (const [label, dataSourceOf] of Object.entries({
    stock,
    'documents parsed once': parsedOnce,
    compiled,
    constant,
  })) {
    const gateway = new ApolloGateway({
      supergraphSdl,
      buildService: ({ name }) => dataSourceOf(name),
      logger: silent,
    });
    const { executor } = await gateway.load({ apollo: {} });
    const makeContext = contextOf(source, apiSchema.toGraphQLJSSchema());
    const answer = await executor(makeContext());
    if (answer.errors || !answer.data) throw new Error(`${label}: ${JSON.stringify(answer)}`);
    await measure(`executor, data source: ${label}`, column, () => executor(makeContext()));
    await gateway.stop();
  }

  const document = parse(source);
  const supergraphSchema = supergraph.schema.toGraphQLJSSchema();
  const plan = new QueryPlanner(supergraph).buildQueryPlan(operationFromDocument(apiSchema, document));
  const operationContext = buildOperationContext({
    schema: apiSchema.toGraphQLJSSchema(),
    operationDocument: document,
  });
  const makeContext = contextOf(source, operationContext.schema);
  const services = { users: compiled('users'), orders: compiled('orders') };
  await measure('executeQueryPlan alone, compiled', column, () =>
    executeQueryPlan(plan, services, makeContext(), operationContext, supergraphSchema, apiSchema),
  );
  await measure('  of it: operationFromDocument', column, async () =>
    operationFromDocument(apiSchema, document, { validate: false }),
  );
  const operation = operationFromDocument(apiSchema, document, { validate: false });
  const input = { user: { __typename: 'User', ...user, orderCount: 3 } };
  await measure('  of it: computeResponse', column, async () =>
    computeResponse({ operation, variables, input, introspectionHandling: () => null }),
  );

  const fetches: Parameters<GraphQLDataSource['process']>[0][] = [];
  const recorded = (service: GraphQLDataSource): GraphQLDataSource => ({
    process(options) {
      fetches.push(options);
      return service.process(options);
    },
  });
  const recorder = { users: recorded(services.users), orders: recorded(services.orders) };
  await executeQueryPlan(plan, recorder, makeContext(), operationContext, supergraphSchema, apiSchema);
  for (const [label, dataSourceOf] of Object.entries({ stock, 'documents parsed once': parsedOnce, compiled })) {
    const sources = [dataSourceOf('users'), dataSourceOf('orders')];
    await measure(`all fetches alone: ${label}`, column, async () => {
      for (const [index, options] of fetches.entries()) await sources[index]!.process(options);
    });
  }

  for (const [label, dataSourceOf] of Object.entries({ stock, compiled })) {
    const gateway = new ApolloGateway({
      supergraphSdl,
      buildService: ({ name }) => dataSourceOf(name),
      logger: silent,
    });
    const server = new ApolloServer({
      gateway,
      stopOnTerminationSignals: false,
      logger: silent,
      csrfPrevention: false,
    });
    await server.start();
    const headers = new HeaderMap([['content-type', 'application/json']]);
    const httpGraphQLRequest = { method: 'POST', headers, search: '', body: { query: source, variables } };
    const answer = await server.executeHTTPGraphQLRequest({ httpGraphQLRequest, context: async () => ({}) });
    if (answer.body.kind !== 'complete' || !answer.body.string.includes('Ada'))
      throw new Error(`${label}: ${JSON.stringify(answer)}`);
    await measure(`Apollo Server over it: ${label}`, column, () =>
      server.executeHTTPGraphQLRequest({ httpGraphQLRequest, context: async () => ({}) }),
    );
    await server.stop();
  }
}
console.info(`Node ${process.version}, ${count} operations each; CPU in microseconds per operation`);
console.table(rows);
