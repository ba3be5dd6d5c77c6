import { operationFromDocument, type Schema, Supergraph } from '@apollo/federation-internals';
import type { ApolloGateway } from '@apollo/gateway';
import { type QueryPlan, QueryPlanner } from '@apollo/query-planner';
import type { DocumentNode, GraphQLSchema } from 'graphql';

/** The composed supergraph and a planner over it, made once per process. */
export interface Planning {
  readonly federationApiSchema: Schema;
  readonly apiSchema: GraphQLSchema;
  readonly supergraphSchema: GraphQLSchema;
  readonly supergraphSdl: string;
  /** @throws {GraphQLError} when the document is not valid or has no such operation. */
  plan(document: DocumentNode, operationName?: string | null): QueryPlan;
}

export function createPlanning(supergraphSdl: string): Planning {
  const supergraph = Supergraph.build(supergraphSdl);
  const planner = new QueryPlanner(supergraph);
  return planningOver(planner, {
    supergraphSdl,
    apiSchema: supergraph.apiSchema().toGraphQLJSSchema(),
    supergraphSchema: supergraph.schema.toGraphQLJSSchema(),
  });
}

/**
 * Plans with what a loaded gateway has made of the same supergraph. A second query graph of seven modules costs a second
 * of every start and 30 MB (measured); the package is pinned, and what it keeps private is asked for here alone.
 * @throws {Error} when the gateway is not loaded.
 */
export function sharePlanning(gateway: ApolloGateway, supergraphSdl: string): Planning {
  const { queryPlanner, supergraphSchema, schema } = {
    queryPlanner: gateway['queryPlanner'],
    supergraphSchema: gateway['supergraphSchema'],
    schema: gateway.schema,
  };
  if (!queryPlanner || !supergraphSchema || !schema) throw new Error('expected a gateway that is loaded');
  return planningOver(queryPlanner, { supergraphSdl, apiSchema: schema, supergraphSchema });
}

function planningOver(
  planner: QueryPlanner,
  schemas: Pick<Planning, 'supergraphSdl' | 'apiSchema' | 'supergraphSchema'>,
): Planning {
  const federationApiSchema = planner.supergraph.apiSchema();
  return {
    ...schemas,
    federationApiSchema,
    plan: (document, operationName) =>
      planner.buildQueryPlan(
        operationFromDocument(federationApiSchema, document, operationName ? { operationName } : {}),
      ),
  };
}
