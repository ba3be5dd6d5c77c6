import './lazyPackages.ts';
import { ApolloGateway, type GraphQLDataSource } from '@apollo/gateway';
import type { ApolloServer } from '@apollo/server';
import type { GraphQLSchema } from 'graphql';
import { type ApolloOptions, createApollo } from './apollo.ts';
import type { GatewayContext } from './context.ts';
import { type Deadlines, withDeadlines } from './deadlines.ts';
import { createDirectExecution } from './execution/direct.ts';
import { createOperationReader, type OperationReader } from './execution/operationReader.ts';
import { createKnownOperations, type KnownOperations } from './execution/operations.ts';
import { type Planning, sharePlanning } from './execution/planning.ts';
import type { RemoteSubgraph } from './execution/remoteDirect.ts';
import { createFetchMeter } from './sources.ts';
import { type WithDirectOptions, withDirect } from './withDirect.ts';

export interface FederationOptions extends Omit<ApolloOptions, 'gateway' | 'onValidated'> {
  readonly supergraphSdl: string;
  /** One for each subgraph of the supergraph, by its name. */
  readonly sources: ReadonlyMap<string, GraphQLDataSource<Record<string, unknown>>>;
  /** Schemas of the subgraphs that are executed in this process: what one of them answers alone goes past the gateway. */
  readonly schemas: ReadonlyMap<string, GraphQLSchema>;
  /** The context that such a subgraph's resolvers get for a request. */
  readonly contextFor: (subgraph: string, context: GatewayContext) => unknown;
  /** The subgraphs of other processes. @default none */
  readonly remotes?: ReadonlyMap<string, RemoteSubgraph>;
  readonly deadlines: Deadlines;
  /** Whether the data sources keep somebody out: then nothing goes past the gateway. @default never */
  readonly isNarrowed?: WithDirectOptions['isNarrowed'];
}

/** Any supergraph over any data sources: what lies between HTTP and the subgraphs. */
export interface Federation {
  readonly apollo: ApolloServer<GatewayContext>;
  readonly planning: Planning;
  readonly operations: KnownOperations<GatewayContext>;
  /** `operations`, and documents that a client would make known by sending them. */
  readonly clientOperations: OperationReader<GatewayContext>;
  /** Documents of modules, which nobody else may ask by. */
  readonly ownOperations: OperationReader<GatewayContext>;
  stop(): Promise<void>;
}

/**
 * Starts Apollo Server over ApolloGateway, and the direct execution beside it.
 * @throws {Error} when the supergraph names a subgraph that has no data source.
 */
export async function createFederation(options: FederationOptions): Promise<Federation> {
  const { supergraphSdl, sources, logger, metrics, deadlines, isAdmitted } = options;
  const gateway = new ApolloGateway({
    supergraphSdl,
    buildService: ({ name }) => {
      const source = sources.get(name);
      if (!source) throw new Error(`the subgraph ${name} has no data source`);
      return source;
    },
    logger,
    // Composition has made it valid, and the checks hold it against the subgraphs: nothing to find at each start.
    validateSupergraph: false,
  });
  // Apollo Server starts before there is a planner to look documents up with.
  const known: { operations?: KnownOperations<GatewayContext> } = {};
  const direct: WithDirectOptions = {
    directOf: ({ source, request }) => known.operations?.find(source, request.operationName ?? null)?.direct ?? null,
    isNarrowed: options.isNarrowed ?? (() => false),
  };
  const apollo = createApollo({
    ...options,
    gateway: withDeadlines(withDirect(gateway, direct), deadlines),
    onValidated: (source, document) => {
      if (isAdmitted(source)) known.operations?.note(source, document);
    },
  });
  await apollo.start();
  const planning = sharePlanning(gateway, supergraphSdl);
  const execution = createDirectExecution<GatewayContext>({
    planning,
    schemas: options.schemas,
    contextFor: options.contextFor,
    sources,
    ...(options.remotes === undefined ? {} : { remotes: options.remotes }),
    onFetch: createFetchMeter(metrics),
  });
  const operations = createKnownOperations(execution);
  known.operations = operations;
  const reading = { schema: planning.apiSchema, limits: options };
  return {
    apollo,
    planning,
    operations,
    clientOperations: createOperationReader(operations, reading),
    ownOperations: createOperationReader(createKnownOperations(execution), reading),
    stop: () => apollo.stop(),
  };
}
