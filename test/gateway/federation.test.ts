import { GraphQLDataSourceRequestKind } from '@apollo/gateway/dist/datasources/types.js';
import { expect, test } from 'vitest';
import { newId } from '#shared/ids.ts';
import { createPrincipal } from '#shared/principal.ts';
import { createLogger, createMetrics } from '#shared/telemetry.ts';
import { createDeadlines } from '../../gateway/deadlines.ts';
import { createPersistedDocuments } from '../../gateway/documents/persistedDocuments.ts';
import { createFederation } from '../../gateway/federation.ts';
import { createGatewayContext, executeOperation } from '../../gateway/graph.ts';
import { buildForeignSchemas } from '../../perf/peers/graph/subgraphs.ts';
import { composeForeignSupergraph } from '../../perf/peers/graph/supergraph.ts';

type Sources = Parameters<typeof createFederation>[0]['sources'];

/** Starts on the sources alone: nothing is executed in the process. */
function federate(sources: Sources, supergraphSdl = composeForeignSupergraph('http://127.0.0.1:1')) {
  const deadlines = createDeadlines(5_000);
  return createFederation({
    supergraphSdl,
    sources,
    schemas: new Map(),
    contextFor: () => null,
    deadlines,
    logger: createLogger('silent'),
    metrics: createMetrics(newId()),
    introspection: false,
    maxTokens: 1_000,
    validationRules: [],
    persisted: createPersistedDocuments(null),
    isAdmitted: () => true,
  }).finally(() => deadlines.close());
}

test('each fetch of a plan goes to the source of its subgraph, with the request’s context', async () => {
  const asked: string[] = [];
  const federation = await federate(
    new Map(
      [...buildForeignSchemas().keys()].map((name) => [
        name as string,
        {
          async process(options) {
            if (options.kind !== GraphQLDataSourceRequestKind.INCOMING_OPERATION) throw new Error('not a request');
            asked.push(
              `${name} for ${(options.context['scope'] as { principal: { subject: string } }).principal.subject}`,
            );
            return name === 'products'
              ? { data: { product: { __typename: 'Product', upc: 'p1', name: 'n' } } }
              : { data: { _entities: [{ inStock: true }] } };
          },
        },
      ]),
    ),
  );
  const context = createGatewayContext(createPrincipal({ tenantId: 'acme', subject: 'ann' }));
  const result = await executeOperation(
    federation.apollo,
    { query: '{ product(upc: "p1") { name inStock } }' },
    context,
  );
  expect(result).toEqual({ data: { product: { name: 'n', inStock: true } } });
  expect(asked).toEqual(['products for ann', 'inventory for ann']);
  // Known by now: its compiled plan asks the same.
  const known = federation.operations.find('{ product(upc: "p1") { name inStock } }', null);
  expect(await known?.direct?.execute(undefined, context)).toEqual(result);
  expect(asked.slice(2)).toEqual(['products for ann', 'inventory for ann']);
  await federation.stop();
});

test('a supergraph that is broken keeps it from starting, and one that runs does not notice', async () => {
  const answering: Sources = new Map(
    [...buildForeignSchemas().keys()].map((name) => [
      name as string,
      { process: async () => ({ data: { product: { __typename: 'Product', upc: 'p1', name: 'n' } } }) },
    ]),
  );
  const running = await federate(answering);
  const whole = composeForeignSupergraph('http://127.0.0.1:1');
  const broken = [
    '',
    'no SDL {',
    whole.slice(0, whole.length / 2),
    whole.replaceAll('@join__type', '@nobody'),
    'type Query { product: String }',
  ];
  for (const sdl of broken) await expect(federate(answering, sdl)).rejects.toThrow();
  const context = createGatewayContext(createPrincipal({ tenantId: 'acme', subject: 'ann' }));
  expect(await executeOperation(running.apollo, { query: '{ product(upc: "p1") { name } }' }, context)).toEqual({
    data: { product: { name: 'n' } },
  });
  await running.stop();
});

test('a subgraph without a data source keeps it from starting', async () => {
  await expect(federate(new Map())).rejects.toThrow('the subgraph inventory has no data source');
});
