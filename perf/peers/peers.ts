export interface Peer {
  readonly name: string;
  readonly title: string;
  /** Exports `start`. */
  readonly module: URL;
  readonly variant?: string;
  /** Whether it needs what `perf/peers/packages` installs. */
  readonly foreign: boolean;
  /** What of it runs for a request. */
  readonly runs: string;
}

export const peers: readonly Peer[] = [
  {
    name: 'raw',
    title: 'raw HTTP',
    module: new URL('./servers/raw.ts', import.meta.url),
    foreign: false,
    runs: 'Node’s HTTP server and answers made before: the ceiling, no GraphQL.',
  },
  {
    name: 'ours-in-process',
    title: 'ours, subgraphs in process',
    module: new URL('./servers/ours.ts', import.meta.url),
    variant: 'inProcess',
    foreign: false,
    runs: 'Fastify. `light`, whose plan is one fetch: no part of ApolloGateway (its planner once, when the document is first seen), the subgraph’s compiled operation is the answer. `two-hop` and `heavy`: the plan of its planner, run and shaped by our compiled plans, which ask for an entity that stands in several places once; our data sources below them. The subgraphs’ own work is in this process.',
  },
  {
    name: 'ours-http',
    title: 'ours, subgraphs over HTTP',
    module: new URL('./servers/ours.ts', import.meta.url),
    variant: 'http',
    foreign: false,
    runs: 'Fastify, the plans of ApolloGateway’s planner and no other part of it: `light` goes to its subgraph as the client wrote it, `two-hop` and `heavy` run as compiled plans, which ask for an entity that stands in several places once; our pooled HTTP data source. Each fetch carries the signed identity and trace headers beside Authorization.',
  },
  {
    name: 'apollo',
    title: 'Apollo Gateway, stock',
    module: new URL('./servers/apollo.ts', import.meta.url),
    foreign: false,
    runs: 'Standalone Apollo Server, ApolloGateway, RemoteGraphQLDataSource that forwards Authorization.',
  },
  {
    name: 'hive-js',
    title: 'Hive Gateway',
    module: new URL('./packages/hive.ts', import.meta.url),
    variant: 'js',
    foreign: true,
    runs: 'createGatewayRuntime under node:http, its own planner and stitching executor.',
  },
  {
    name: 'hive-rust',
    title: 'Hive Gateway, Rust planner',
    module: new URL('./packages/hive.ts', import.meta.url),
    variant: 'rust',
    foreign: true,
    runs: 'createGatewayRuntime under node:http with unifiedGraphHandler of @graphql-hive/router-runtime.',
  },
  {
    name: 'mercurius',
    title: 'Mercurius gateway',
    module: new URL('./packages/mercurius.ts', import.meta.url),
    foreign: true,
    runs: 'Fastify, @mercuriusjs/gateway with jit: 1. It reads no supergraph: it gets the SDL of the same subgraphs and composes it itself. Version 5.2.0 writes documents that the printer of graphql 16.15 refuses, hence the older graphql.',
  },
];
