import { setImmediate as nextTurn } from 'node:timers/promises';
import { type GraphQLDataSource, LocalGraphQLDataSource, RemoteGraphQLDataSource } from '@apollo/gateway';
import { type DocumentNode, parse } from 'graphql';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createDirectExecution } from '../../../gateway/execution/direct.ts';
import { createHttpDataSource, type HttpDataSource } from '../../../gateway/execution/http.ts';
import { createInProcessDataSource } from '../../../gateway/execution/inProcess.ts';
import { createPlanning, type Planning } from '../../../gateway/execution/planning.ts';
import { answerOf, isEquivalent, shrink, sortErrors } from './comparison.ts';
import { createCoverage } from './coverage.ts';
import { createFixture } from './fixtures/index.ts';
import type { FixtureContext } from './fixtures/row.ts';
import { createGatewayRig, createPlanCache, type GatewayRig } from './gatewayRig.ts';
import { type GeneratedOperation, generateOperation } from './generateOperation.ts';
import { createRandom } from './random.ts';
import { type SubgraphServer, startSubgraphServer } from './subgraphServer.ts';

const operationCount = 2_000;
const httpOperationCount = 500;
const seed = 20_250_601;

const fixture = createFixture();
const schemaOf = (name: string) => fixture.schemas.get(name)!;
const contextFor = (context: FixtureContext) => context;
const plans = createPlanCache();
const fetches: string[] = [];
const servers = new Map<string, SubgraphServer>();
const serverLog: string[] = [];
const httpSources = new Map<string, HttpDataSource>();
let stock: GatewayRig;
let inProcess: GatewayRig;
let stockHttp: GatewayRig;
let pooledHttp: GatewayRig;
let direct: GatewayRig;
let directCount = 0;
let directHttp: GatewayRig;
let directHttpCount = 0;
let planned: GatewayRig;
let plannedCount = 0;
let operations: readonly GeneratedOperation[];

// graphql-js leaves rejections unhandled when a list of non-null items fails as a whole; vitest would end here.
let running = 'none';
const unhandled: string[] = [];
const others = process.listeners('unhandledRejection');
const onUnhandled = (reason: unknown) => void unhandled.push(`${running}: ${String(reason)}`);

// Answers have no stacks in them, and a stack here is looked up in source maps: a tenth of all the time.
const { stackTraceLimit } = Error;

beforeAll(async () => {
  Error.stackTraceLimit = 0;
  process.removeAllListeners('unhandledRejection');
  process.on('unhandledRejection', onUnhandled);
  for (const [name, schema] of fixture.schemas)
    servers.set(name, await startSubgraphServer(schema, (entries) => void serverLog.push(...entries)));
  const rig = (dataSourceOf: (name: string) => GraphQLDataSource) =>
    createGatewayRig(fixture.supergraphSdl, dataSourceOf, plans);
  stock = await rig((name) => recordFetches(name, new LocalGraphQLDataSource(schemaOf(name))));
  inProcess = await rig((name) => createInProcessDataSource({ name, schema: schemaOf(name), contextFor }));
  stockHttp = await rig((name) => new RemoteGraphQLDataSource({ url: servers.get(name)!.url }));
  pooledHttp = await rig((name) => {
    const source = createHttpDataSource({
      name,
      url: servers.get(name)!.url,
      timeoutMs: 5_000,
      headersFor: () => ({}),
    });
    httpSources.set(name, source);
    return source;
  });
  const planning = planOnce(createPlanning(fixture.supergraphSdl));
  const directly = createDirectExecution<FixtureContext>({
    planning,
    schemas: fixture.schemas,
    contextFor: (_subgraph, context) => context,
  });
  direct = {
    ...inProcess,
    async execute(operation, context) {
      const result = await directly.compile(documentOf(operation.text), null)?.execute(operation.variables, context);
      if (result) directCount += 1;
      return result ?? inProcess.execute(operation, context);
    },
  };
  const directlyOverHttp = createDirectExecution<FixtureContext>({
    planning,
    schemas: new Map(),
    contextFor: (_subgraph, context) => context,
    remotes: new Map(
      [...httpSources].map(([name, source]) => [name, { schema: () => schemaOf(name), source: source as never }]),
    ),
  });
  directHttp = {
    ...pooledHttp,
    async execute(operation, context) {
      const result = await directlyOverHttp
        .compile(documentOf(operation.text), null)
        ?.execute(operation.variables, context);
      if (result) directHttpCount += 1;
      return result ?? pooledHttp.execute(operation, context);
    },
  };
  const inPlans = createDirectExecution<FixtureContext>({
    planning,
    schemas: new Map(),
    contextFor: (_subgraph, context) => context,
    sources: new Map(
      [...fixture.schemas].map(([name, schema]) => [
        name,
        createInProcessDataSource({ name, schema, contextFor }) as never,
      ]),
    ),
  });
  planned = {
    ...inProcess,
    async execute(operation, context) {
      const result = await inPlans.compile(documentOf(operation.text), null)?.execute(operation.variables, context);
      if (result) plannedCount += 1;
      return result ?? inProcess.execute(operation, context);
    },
  };
  const random = createRandom(seed);
  operations = Array.from({ length: operationCount }, () => generateOperation(stock.apiSchema, random));
});

afterAll(async () => {
  Error.stackTraceLimit = stackTraceLimit;
  await Promise.all([stock, inProcess, stockHttp, pooledHttp].map((gateway) => gateway?.close()));
  await Promise.all([...httpSources.values()].map((source) => source.close()));
  await Promise.all([...servers.values()].map((server) => server.close()));
  process.off('unhandledRejection', onUnhandled);
  for (const listener of others) process.on('unhandledRejection', listener);
});

const documents = new Map<string, DocumentNode>();

function documentOf(text: string): DocumentNode {
  const known = documents.get(text) ?? parse(text);
  documents.set(text, known);
  return known;
}

/** Ways of execution under comparison share plans, as the gateways do. */
function planOnce(planning: Planning): Planning {
  const known = new Map<DocumentNode, ReturnType<Planning['plan']>>();
  return {
    ...planning,
    plan(document, operationName) {
      const plan = known.get(document) ?? planning.plan(document, operationName);
      known.set(document, plan);
      return plan;
    },
  };
}

function recordFetches(name: string, inner: GraphQLDataSource): GraphQLDataSource {
  return {
    process(options) {
      fetches.push(`${name}\n${options.request.query}`);
      return inner.process(options);
    },
  };
}

/** Answers as text; what resolvers left running has come to rest before the next begins. */
async function ask(label: string, gateway: GatewayRig, operation: GeneratedOperation) {
  running = label;
  serverLog.length = 0;
  const answer = await answerOf(gateway, operation);
  for (let turn = 0; turn < 3; turn += 1) await nextTurn();
  return { ...answer, log: answer.log.length > 0 ? answer.log : [...serverLog] };
}

/** What stock Apollo answers is asked once: every gateway is compared with the same answer. */
const stockAnswers = new Map<GatewayRig, Map<GeneratedOperation, Awaited<ReturnType<typeof ask>>>>();

async function askStock(label: string, gateway: GatewayRig, operation: GeneratedOperation) {
  const known = stockAnswers.get(gateway) ?? new Map<GeneratedOperation, Awaited<ReturnType<typeof ask>>>();
  stockAnswers.set(gateway, known);
  const answer = known.get(operation) ?? (await ask(label, gateway, operation));
  known.set(operation, answer);
  return answer;
}

async function expectEqual(
  labels: readonly [string, string],
  gateways: readonly [GatewayRig, GatewayRig],
  operation: GeneratedOperation,
) {
  const pair = async (candidate: GeneratedOperation) => {
    // Each document is asked for with other conditions first, so that it is known already, but not this variant of it.
    const flipped = flipConditions(candidate);
    if (flipped && gateways[1] === inProcess) await ask('in-process', inProcess, flipped);
    const left = await askStock(labels[0], gateways[0], candidate);
    const right = await ask(labels[1], gateways[1], candidate);
    // The planner's fetch orders fields otherwise than the client did.
    const equal =
      gateways[1] === direct || gateways[1] === directHttp
        ? isEquivalent(left, right)
        : JSON.stringify(sortErrors(left)) === JSON.stringify(sortErrors(right));
    return [left, right, equal] as const;
  };
  const [left, right, equal] = await pair(operation);
  if (equal) return { left, sameOrder: JSON.stringify(left) === JSON.stringify(right) };
  const small = await shrink(stock.apiSchema, operation, async (candidate) => !(await pair(candidate))[2]);
  const [expected, got] = await pair(small);
  console.error(`seed ${seed}, shrunken operation:\n${small.text}\nvariables ${JSON.stringify(small.variables)}`);
  expect(sortErrors(got)).toEqual(sortErrors(expected));
  throw new Error('the answers differ as texts only: the order of fields');
}

/** The same document with other fields included: what was compiled for the first must not answer the second. */
function flipConditions({ text, variables }: GeneratedOperation): GeneratedOperation | null {
  const flipped = Object.fromEntries(
    Object.entries(variables).map(([name, value]) => [name, typeof value === 'boolean' ? !value : value]),
  );
  return Object.values(variables).some((value) => typeof value === 'boolean') ? { text, variables: flipped } : null;
}

/** At least so many of the 2,000 operations exercise it. */
const required: Record<string, number> = {
  query: 1_500,
  mutation: 150,
  'fragment spread': 400,
  'inline fragment': 400,
  'inline fragment without type': 40,
  'nested fragment': 100,
  'fragment on abstract type': 100,
  '@skip variable': 200,
  '@include variable': 200,
  '@skip literal': 50,
  '@include literal': 50,
  alias: 1_000,
  'alias of __typename': 100,
  __typename: 400,
  'merged duplicate': 300,
  'input object literal': 100,
  'default used': 200,
  'default overridden': 200,
  'variable left out': 50,
  'entity fetch': 500,
  'several subgraphs': 400,
  'fetches 4': 100,
  'clean answer': 400,
  'data nulled': 100,
  'null propagated': 300,
  'scalar refused': 50,
  'error in a list': 300,
  'error returned': 50,
  'error rejected': 50,
  'value completion': 20,
  'several side effects': 30,
  'code NOT_FOUND': 100,
  'code UNAVAILABLE': 50,
  'code DOWNSTREAM_SERVICE_ERROR': 300,
};

test(`${operationCount} operations are answered in-process as by LocalGraphQLDataSource`, async () => {
  const coverage = createCoverage(stock.apiSchema);
  let sameOrder = 0;
  let flippedCount = 0;
  for (const operation of operations) {
    fetches.length = 0;
    const result = await expectEqual(['stock', 'in-process'], [stock, inProcess], operation);
    coverage.add(operation, result.left, fetches);
    if (result.sameOrder) sameOrder += 1;
    if (flipConditions(operation)) flippedCount += 1;
  }
  const counts = Object.fromEntries(
    Object.keys(required).map((feature) => [feature, coverage.counts.get(feature) ?? 0]),
  );
  console.info(
    `exercised by ${operationCount} operations: ${JSON.stringify(counts)}; ${sameOrder} with errors in the same order, ${flippedCount} asked with other conditions before`,
  );
  for (const [feature, least] of Object.entries(required))
    expect.soft(coverage.counts.get(feature) ?? 0, feature).toBeGreaterThanOrEqual(least);
  expect(flippedCount).toBeGreaterThan(500);
  expect(sameOrder).toBeGreaterThan(operationCount * 0.97);
  expect(unhandled.filter((entry) => entry.startsWith('in-process'))).toEqual([]);
}, 120_000);

test('operations of one fetch are answered directly as through the gateway', async () => {
  for (const operation of operations) {
    // The planner puts the fields of root fragments in another place; directly they run as the specification orders them.
    if (operation.text.startsWith('mutation') && operation.text.includes('...')) continue;
    await expectEqual(['stock', 'direct'], [stock, direct], operation);
  }
  expect(directCount).toBeGreaterThan(500);
  expect(unhandled.filter((entry) => entry.startsWith('direct'))).toEqual([]);
}, 120_000);

test(`${httpOperationCount} operations are answered over HTTP as by RemoteGraphQLDataSource`, async () => {
  for (const operation of operations.slice(0, httpOperationCount))
    await expectEqual(['stock HTTP', 'HTTP'], [stockHttp, pooledHttp], operation);
}, 120_000);

test(`${httpOperationCount} operations over HTTP are answered directly as through the gateway`, async () => {
  for (const operation of operations.slice(0, httpOperationCount))
    await expectEqual(['stock HTTP', 'direct HTTP'], [stockHttp, directHttp], operation);
  expect(directHttpCount).toBeGreaterThan(100);
}, 120_000);

test(`${operationCount} operations are answered by compiled plans as through the gateway`, async () => {
  for (const operation of operations) await expectEqual(['stock', 'planned'], [stock, planned], operation);
  expect(plannedCount).toBeGreaterThan(1_000);
  expect(unhandled.filter((entry) => entry.startsWith('planned'))).toEqual([]);
}, 120_000);
