import type { GraphQLDataSource, GraphQLDataSourceProcessOptions } from '@apollo/gateway';
import {
  type DocumentNode,
  type ExecutionResult,
  GraphQLError,
  type GraphQLSchema,
  type OperationDefinitionNode,
  print,
  stripIgnoredCharacters,
  validate,
} from 'graphql';
import type { DirectOperation } from './direct.ts';
import { asGatewayError } from './plan/errorPaths.ts';
import { incomingOperation } from './plan/runPlan.ts';

/** A subgraph of another process. */
export interface RemoteSubgraph {
  /** What it offers, to validate against; asked for with the first operation that needs it. */
  readonly schema: () => GraphQLSchema;
  /** As the gateway asks it: behind the cache and the gate, where there are such. */
  readonly source: GraphQLDataSource<Record<string, unknown>>;
}

/**
 * A query that one subgraph of another process answers alone, sent as the client wrote it. Its answer is the client's:
 * there is nothing to merge and nothing to shape. Null for a mutation, and where the subgraph does not know all of it.
 */
export function compileRemote<Context extends object>(
  { schema, source }: RemoteSubgraph,
  { subgraph, document, operation }: { subgraph: string; document: DocumentNode; operation: OperationDefinitionNode },
): DirectOperation<Context> | null {
  if (operation.operation !== 'query' || validate(schema(), document).length > 0) return null;
  const query = stripIgnoredCharacters(print(document));
  const declared = (operation.variableDefinitions ?? []).map(({ variable }) => variable.name.value);
  const operationName = operation.name?.value;

  function variablesOf(given: Readonly<Record<string, unknown>> | undefined): Record<string, unknown> {
    const variables: Record<string, unknown> = {};
    if (given === undefined) return variables;
    for (const name of declared) if (Object.hasOwn(given, name)) variables[name] = given[name];
    return variables;
  }

  async function execute(
    variables: Readonly<Record<string, unknown>> | undefined,
    context: Context,
  ): Promise<ExecutionResult | null> {
    const request = {
      query,
      variables: variablesOf(variables),
      ...(operationName === undefined ? {} : { operationName }),
    };
    const options = { kind: incomingOperation, request, context, document, incomingRequestContext: { request: {} } };
    let answer: Awaited<ReturnType<GraphQLDataSource['process']>>;
    try {
      answer = await source.process(options as unknown as GraphQLDataSourceProcessOptions<Record<string, unknown>>);
    } catch {
      // What only reads may be asked again: the gateway says which fields are missing and why.
      return null;
    }
    const { data, errors } = answer;
    if (data === undefined || (data === null && errors === undefined)) return null;
    if (errors === undefined || errors.length === 0) return { data };
    return {
      data,
      errors: errors.map((error) => {
        const { message, path, extensions } = error;
        return asGatewayError(
          new GraphQLError(message, { ...(path === undefined ? {} : { path }), extensions: extensions ?? {} }),
          subgraph,
        );
      }),
    };
  }
  return { operation, bypassesSources: false, execute };
}
