import { Supergraph } from '@apollo/federation-internals';
import { buildOperationContext, executeQueryPlan, type ServiceMap } from '@apollo/gateway';
import type { FetchNode, PlanNode } from '@apollo/query-planner';
import {
  type DocumentNode,
  type ExecutionResult,
  type GraphQLSchema,
  Kind,
  parse,
  print,
  type TypeDefinitionNode,
} from 'graphql';
import type { Planning } from '../execution/planning.ts';
import type { Variables } from './selection.ts';

/** The gateway's data sources by subgraph name, as `executeQueryPlan` of @apollo/gateway takes them. */
export type DataSources = ServiceMap;
export type DataSource = ServiceMap[string];
type PlanRequestContext = Parameters<typeof executeQueryPlan>[2];

export interface SubscriptionPlan {
  /** What the subgraph of the root field is asked; answered from the event's own payload. */
  readonly primary: FetchNode;
  /** What other subgraphs are asked for each event. */
  readonly rest: PlanNode | undefined;
}

export interface PlanRun {
  readonly document: DocumentNode;
  readonly plan: SubscriptionPlan;
  readonly variables: Variables;
  /** Result of `primary`: `{ [responseName]: value }`. */
  readonly eventData: Record<string, unknown>;
  readonly context: object;
}

export interface EntityFetch {
  readonly service: string;
  readonly query: DocumentNode;
  readonly variables: Variables;
  readonly run: PlanRun;
}

const eventService = '#event';
/** GraphQLDataSourceRequestKind.INCOMING_OPERATION, which @apollo/gateway exports only as a type. */
type IncomingOperation = Extract<Parameters<DataSource['process']>[0], { incomingRequestContext: unknown }>;

/** Plans subscriptions over a composed supergraph and runs what is left of a plan once the event is there. */
export function createSubscriptionPlanner(
  planning: Planning,
  dataSources: DataSources,
  logger: PlanRequestContext['logger'],
) {
  const { federationApiSchema, apiSchema, supergraphSchema } = planning;
  const keys = readEntityKeys(planning.supergraphSdl);

  const buildContext = (run: PlanRun): PlanRequestContext => {
    const { operation } = buildOperationContext({ schema: apiSchema, operationDocument: run.document });
    return {
      request: { query: print(run.document), variables: { ...run.variables } },
      logger,
      schema: apiSchema,
      schemaHash: unknownSchemaHash,
      context: run.context,
      cache: noCache,
      queryHash: '',
      document: run.document,
      source: print(run.document),
      operationName: operation.name?.value ?? null,
      operation,
      metrics: {},
      overallCachePolicy: undefined,
    };
  };

  return {
    apiSchema,
    supergraphSchema,

    plan(document: DocumentNode): SubscriptionPlan {
      const { node } = planning.plan(document);
      if (node?.kind !== 'Subscription')
        throw new Error(`The planner made a ${node?.kind ?? 'empty'} plan of a subscription.`);
      return { primary: node.primary, rest: node.rest };
    },

    /** Runs the rest of the plan on the event's data and shapes the response. Data sources may be any that the gateway has. */
    async execute(run: PlanRun): Promise<ExecutionResult> {
      const { primary, rest } = run.plan;
      const event: PlanNode = { ...primary, serviceName: eventService };
      return executeQueryPlan(
        { kind: 'QueryPlan', node: rest === undefined ? event : { kind: 'Sequence', nodes: [event, rest] } },
        { ...dataSources, [eventService]: { process: async () => ({ data: run.eventData }) } },
        buildContext(run),
        buildOperationContext({ schema: apiSchema, operationDocument: run.document }),
        supergraphSchema,
        federationApiSchema,
      );
    },

    /** One `_entities` query outside the plan. */
    async fetchEntities({ service, query, variables, run }: EntityFetch) {
      const source = dataSources[service];
      if (source === undefined) throw new Error(`No data source for subgraph ${service}.`);
      const request: IncomingOperation = {
        kind: incomingOperation,
        request: { query: print(query), variables: { ...variables } },
        incomingRequestContext: buildContext(run),
        context: run.context,
        document: query,
      };
      return source.process(request);
    },

    /** A resolvable key of an entity in one subgraph, as its field names: the first of which the object has all. */
    keyOf(service: string, typeName: string, object: Readonly<Record<string, unknown>>): readonly string[] | undefined {
      return keys
        .get(`${service}/${typeName}`)
        ?.find((key) => key.every((field) => object[field] !== undefined && object[field] !== null));
    },
  };
}

export type SubscriptionPlanner = ReturnType<typeof createSubscriptionPlanner>;

export function buildApiSchema(supergraphSdl: string): GraphQLSchema {
  return Supergraph.build(supergraphSdl).apiSchema().toGraphQLJSSchema();
}

const incomingOperation = 'incoming operation' as IncomingOperation['kind'];
const unknownSchemaHash = '' as PlanRequestContext['schemaHash'];
/** Data sources of ours keep their own cache; this satisfies the request context of Apollo's interface. */
const noCache: PlanRequestContext['cache'] = {
  get: async () => undefined,
  set: async () => {},
  delete: async () => undefined,
};

/** Flat `@key`s per subgraph and type, read from the `@join__type` applications of the supergraph. */
function readEntityKeys(supergraphSdl: string): ReadonlyMap<string, readonly (readonly string[])[]> {
  const document = parse(supergraphSdl);
  const graphNames = new Map<string, string>();
  for (const definition of document.definitions) {
    if (definition.kind !== Kind.ENUM_TYPE_DEFINITION || definition.name.value !== 'join__Graph') continue;
    for (const value of definition.values ?? []) {
      const name = stringArgument(value.directives, 'join__graph', 'name');
      if (name !== undefined) graphNames.set(value.name.value, name);
    }
  }
  const keys = new Map<string, (readonly string[])[]>();
  for (const definition of document.definitions) {
    if (definition.kind !== Kind.OBJECT_TYPE_DEFINITION) continue;
    for (const directive of definition.directives ?? []) {
      if (directive.name.value !== 'join__type') continue;
      const values = new Map(directive.arguments?.map((argument) => [argument.name.value, argument.value]));
      const graph = values.get('graph');
      const key = values.get('key');
      const resolvable = values.get('resolvable');
      if (graph?.kind !== Kind.ENUM || key?.kind !== Kind.STRING || key.value.includes('{')) continue;
      if (resolvable?.kind === Kind.BOOLEAN && !resolvable.value) continue;
      const place = `${graphNames.get(graph.value) ?? graph.value}/${definition.name.value}`;
      const fields = key.value.split(/[\s,]+/).filter((field) => field !== '');
      keys.set(place, [...(keys.get(place) ?? []), fields]);
    }
  }
  return keys;
}

function stringArgument(
  directives: TypeDefinitionNode['directives'],
  directive: string,
  argument: string,
): string | undefined {
  const value = directives
    ?.find((candidate) => candidate.name.value === directive)
    ?.arguments?.find((candidate) => candidate.name.value === argument)?.value;
  return value?.kind === Kind.STRING ? value.value : undefined;
}
