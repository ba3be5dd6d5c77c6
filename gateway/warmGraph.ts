import type { ApolloServer } from '@apollo/server';
import type { FormattedExecutionResult } from 'graphql';
import type { Graph, GraphResult } from '#shared/graph.ts';
import type { GatewayContext } from './context.ts';
import type { DirectAnswers } from './directAnswers.ts';
import type { KnownOperation, KnownOperations } from './execution/operations.ts';
import type { Executed, ResponseCache } from './execution/responseCache/responseCache.ts';
import { createGatewayContext, createGraph, executeOperation } from './graph.ts';

export interface WarmGraphOptions {
  readonly apollo: ApolloServer<GatewayContext>;
  readonly operations: KnownOperations<GatewayContext>;
  readonly direct: DirectAnswers;
  readonly responses: ResponseCache;
  /** Whether the caller's tenant has modules closed: its answers are not kept whole. */
  readonly isNarrowed: (context: GatewayContext) => boolean;
}

/**
 * The graph for modules, whose `warm` keeps answers as `POST /graphql` does: what a client would be answered with whole has
 * to be kept whole, since an operation of one module in this process never asks for its parts.
 */
export function createWarmGraph(options: WarmGraphOptions): Graph {
  const { apollo, operations, responses } = options;
  const graph = createGraph(apollo);

  async function execute(
    known: KnownOperation<GatewayContext>,
    { source, variables }: { source: string; variables: Readonly<Record<string, unknown>> },
    context: GatewayContext,
  ): Promise<Executed<GraphResult<unknown>>> {
    const answer = known.direct === null ? null : await options.direct.answer(known.direct, variables, context);
    if (answer !== null) {
      if (known.direct?.bypassesSources) responses.noteReads(context.scope);
      const result = answer.data === null ? (JSON.parse(answer.body) as FormattedExecutionResult) : {};
      return { response: toResult(result), data: answer.data };
    }
    const result = await executeOperation(apollo, { query: source, variables }, context);
    return { response: toResult(result), data: result.errors ? null : JSON.stringify(result.data) };
  }

  return {
    ...graph,
    async warm(source, variables, principal, signal) {
      const context = createGatewayContext(principal, signal === undefined ? {} : { signal });
      const known = operations.find(source, null);
      // Asked for the first time it becomes known.
      if (known === undefined || options.isNarrowed(context))
        return graph.execute(source, variables, principal, signal);
      const served = await responses.serve(
        { document: known.document, source, operationName: null, variables, scope: context.scope, admitted: true },
        () => execute(known, { source, variables }, context),
      );
      return 'response' in served ? served.response : { data: null, errors: [] };
    },
  };
}

/** Whoever warms looks for errors alone. */
function toResult({ errors = [] }: FormattedExecutionResult): GraphResult<unknown> {
  return {
    data: null,
    errors: errors.map(({ message, path, extensions }) => ({
      message,
      ...(path === undefined ? {} : { path }),
      code: String(extensions?.['code'] ?? 'INTERNAL_ERROR'),
    })),
  };
}
