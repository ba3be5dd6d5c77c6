import './anyId.ts';

/** The suite's products, served by the subgraph factory; prints where. */
const { createSubgraphServer } = await import('../../../subgraphs/serve.ts');
const { createPrincipal } = await import('#shared/principal.ts');
const { createLogger } = await import('#shared/telemetry.ts');
const { openProducts } = await import('./products.ts');

const principal = createPrincipal({ tenantId: 'suite', subject: 'suite', scopes: ['products:read'] });
const server = createSubgraphServer(
  await openProducts(),
  () => principal,
  { MAX_BODY_BYTES: 1_048_576, MAX_BULK_BODY_BYTES: 1_048_576 },
  createLogger('silent'),
);
console.log(`products ${await server.listen({ host: '127.0.0.1', port: 0 })}/graphql`);
