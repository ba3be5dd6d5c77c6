import { operationFromDocument, type Schema, Supergraph } from '@apollo/federation-internals';
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
  const federationApiSchema = supergraph.apiSchema();
  const planner = new QueryPlanner(supergraph);
  return {
    federationApiSchema,
    apiSchema: federationApiSchema.toGraphQLJSSchema(),
    supergraphSchema: supergraph.schema.toGraphQLJSSchema(),
    supergraphSdl,
    plan: (document, operationName) =>
      planner.buildQueryPlan(
        operationFromDocument(federationApiSchema, document, operationName ? { operationName } : {}),
      ),
  };
}
