import { type GraphQLDataSource, GraphQLDataSourceRequestKind } from '@apollo/gateway/dist/datasources/types.js';
import { assertValidSchema, type ExecutionResult, GraphQLError, type GraphQLSchema, OperationTypeNode } from 'graphql';
import { createDocuments } from '#shared/execution/documents.ts';
import type { FetchHooks, SubgraphResponse } from './fetchHooks.ts';

export interface InProcessDataSourceOptions<Context> extends Pick<FetchHooks<Context>, 'onFetch'> {
  readonly name: string;
  readonly schema: GraphQLSchema;
  /** The subgraph's context of a request; called at each fetch. */
  readonly contextFor: (gatewayContext: Context) => unknown;
  /** Operation texts kept compiled. @default 2_000 */
  readonly maxDocuments?: number;
}

export interface InProcessDataSource extends GraphQLDataSource {
  /** Operation texts kept compiled at present. */
  readonly documentCount: number;
}

/**
 * Answers the gateway from a schema in this process. Each operation text is parsed, validated and compiled once; each
 * answer is made of fresh objects, since the gateway merges other subgraphs' fields into them.
 */
export function createInProcessDataSource<Context extends object>(
  options: InProcessDataSourceOptions<Context>,
): InProcessDataSource {
  const { name, schema, contextFor, onFetch } = options;
  assertValidSchema(schema);
  const documents = createDocuments({ schema, max: options.maxDocuments ?? 2_000 });

  const execute = (
    text: string | undefined,
    request: { operationName?: string; variables?: Record<string, unknown> },
    contextValue: unknown,
  ): ExecutionResult | Promise<ExecutionResult> => {
    if (!text) return { errors: [new GraphQLError('Must provide document.')] };
    const operation = documents.find(text, request.operationName);
    if (!('execute' in operation)) return { errors: operation };
    if (operation.operationType === OperationTypeNode.SUBSCRIPTION) {
      return {
        errors: [
          new GraphQLError(`expected a query or a mutation, got a subscription for ${name}`, {
            extensions: { code: 'OPERATION_RESOLUTION_FAILURE' },
          }),
        ],
      };
    }
    return operation.execute({ variables: request.variables, contextValue });
  };

  return {
    async process({ kind, request, context }) {
      const startedAtMs = onFetch ? performance.now() : 0;
      // Health checks come with an empty context of the gateway's own.
      const contextValue =
        kind === GraphQLDataSourceRequestKind.INCOMING_OPERATION ? contextFor(context as Context) : context;
      const result = await execute(request.query, request, contextValue);
      onFetch?.({
        subgraph: name,
        kind,
        durationMs: performance.now() - startedAtMs,
        errors: result.errors?.length ?? 0,
      });
      return result as SubgraphResponse;
    },
    get documentCount() {
      return documents.size;
    },
  };
}
