import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { newId } from '#shared/ids.ts';
import { createPrincipal } from '#shared/principal.ts';
import { createLogger, createMetrics } from '#shared/telemetry.ts';
import type { GatewayContext } from '../../gateway/context.ts';
import { createDeadlines } from '../../gateway/deadlines.ts';
import { createDirectAnswers } from '../../gateway/directAnswers.ts';
import { createPersistedDocuments } from '../../gateway/documents/persistedDocuments.ts';
import { createFederation, type Federation } from '../../gateway/federation.ts';
import { createGatewayContext, createGraph, executeOperation } from '../../gateway/graph.ts';
import { createDocumentRule } from '../../gateway/limits/documentRule.ts';
import { buildForeignSchemas } from '../../perf/peers/graph/subgraphs.ts';
import { composeForeignSupergraph } from '../../perf/peers/graph/supergraph.ts';

const deadlines = createDeadlines(5_000);
const logger = createLogger('silent');
const metrics = createMetrics(newId());
const ann = createPrincipal({ tenantId: 'acme', subject: 'ann' });
const schemas = new Map([...buildForeignSchemas()].map(([name, schema]) => [name as string, schema]));

let federation: Federation;
/** Subgraphs whose data source was asked. */
let asked: string[] = [];
let narrowed: boolean | Promise<boolean> = false;
const isNarrowed = () => narrowed;

beforeAll(async () => {
  federation = await createFederation({
    supergraphSdl: composeForeignSupergraph('http://127.0.0.1:1'),
    sources: new Map(
      [...schemas.keys()].map((name) => [
        name,
        {
          async process() {
            asked.push(name);
            return { data: { users: [{ __typename: 'User', id: 'u1', name: 'of the source' }] } };
          },
        },
      ]),
    ),
    schemas,
    contextFor: (_name, { scope }) => scope,
    isNarrowed,
    deadlines,
    logger,
    metrics,
    introspection: false,
    maxTokens: 1_000,
    validationRules: [createDocumentRule({ depth: 3, aliases: 5, rootFields: 2, directives: 2 })],
    persisted: createPersistedDocuments(null),
    isAdmitted: (source) => !source.includes('Secret'),
  });
});
afterAll(async () => {
  await federation.stop();
  deadlines.close();
});
beforeEach(() => {
  asked = [];
  narrowed = false;
});

const once = () =>
  executeOperation(
    federation.apollo,
    { query: `query N${newId().replaceAll('-', '')} { users { id name } }` },
    createGatewayContext(ann),
  );

describe('what a client asks for the first time', () => {
  it('is executed where it lies, as the next time', async () => {
    const { data, errors } = await once();
    expect([errors, asked]).toEqual([undefined, []]);
    expect(JSON.stringify(data)).toContain('"u1"');
  });

  it('goes by the data sources where they keep the caller out of something, also when that has to be asked', async () => {
    for (narrowed of [true, Promise.resolve(true)]) {
      asked = [];
      expect((await once()).data).toEqual({ users: [{ id: 'u1', name: 'of the source' }] });
      expect(asked).toEqual(['users']);
    }
  });

  it('goes by the gateway where the direct execution has left the request to it', async () => {
    const context: GatewayContext = createGatewayContext(ann);
    context.declined = true;
    await executeOperation(federation.apollo, { query: '{ users { id name username } }' }, context);
    expect(asked).toEqual(['users']);
  });

  it('goes by the gateway where the document is not one of those admitted', async () => {
    await executeOperation(federation.apollo, { query: 'query Secret1 { users { id } }' }, createGatewayContext(ann));
    expect(asked).toEqual(['users']);
  });

  it('tells what is wrong with variables as the gateway does', async () => {
    const request = { query: 'query ($id: ID!) { user(id: $id) { name } }', variables: {} };
    for (let time = 1; time <= 2; time += 1) {
      const { data, errors } = await executeOperation(federation.apollo, request, createGatewayContext(ann));
      expect([data, errors?.map(({ message }) => message)]).toEqual([
        undefined,
        ['Variable "$id" of required type "ID!" was not provided.'],
      ]);
    }
    expect(asked).toEqual([]);
  });
});

describe('what a module asks', () => {
  const graph = () =>
    createGraph({
      apollo: federation.apollo,
      ownOperations: federation.ownOperations,
      direct: createDirectAnswers({ logger, metrics, deadlines }),
      isNarrowed,
    });

  it('is executed where it lies and stays unknown to clients', async () => {
    const document = 'query SecretOfModule($id: ID!) { user(id: $id) { id name } }';
    for (let time = 1; time <= 2; time += 1) {
      const { data, errors } = await graph().execute<{ user: { id: string } }>(document, { id: 'u1' }, ann);
      expect([errors, data?.user.id, asked]).toEqual([[], 'u1', []]);
    }
    expect(federation.operations.find(document, null)).toBeUndefined();
  });

  it('goes by the data sources where they keep the caller out of something', async () => {
    for (narrowed of [true, Promise.resolve(true)]) {
      asked = [];
      const { data } = await graph().execute('{ users { id name } }', {}, ann);
      expect([data, asked]).toEqual([{ users: [{ id: 'u1', name: 'of the source' }] }, ['users']]);
    }
  });

  it('is told what is wrong with it', async () => {
    for (const [document, code] of [
      ['{', 'GRAPHQL_PARSE_FAILED'],
      ['{ nothing }', 'GRAPHQL_VALIDATION_FAILED'],
      ['query A { users { id } } query B { users { id } }', 'OPERATION_RESOLUTION_FAILURE'],
      ['query ($id: ID!) { user(id: $id) { name } }', 'BAD_USER_INPUT'],
      // Who may have a module ask what he likes is held to the limits of those who ask themselves.
      ['{ a: users { id } b: users { id } c: users { id } }', 'QUERY_LIMIT_EXCEEDED'],
      [`{ users { ${'id '.repeat(1_000)} } }`, 'GRAPHQL_PARSE_FAILED'],
    ] as const) {
      const { data, errors } = await graph().execute(document, {}, ann);
      expect([document, data, errors.map((error) => error.code)]).toEqual([document, null, [code]]);
    }
  });

  it('makes nothing known to clients that they could not send', () => {
    const allowed = '{ users { id username } }';
    for (const document of ['{ a: users { id } b: users { id } c: users { id } }', '{ nothing }'])
      expect(federation.clientOperations.find(document)).toBeUndefined();
    expect(federation.operations.find(allowed, null)).toBeUndefined();
    expect(federation.clientOperations.find(allowed)).toBeDefined();
    expect(federation.operations.find(allowed, null)).toBeDefined();
  });

  it('with several fetches is planned and asks each subgraph', async () => {
    await graph().execute('{ topProducts(first: 1) { name inStock } }', {}, ann);
    expect(asked[0]).toBe('products');
  });
});
