import type { FormattedExecutionResult } from 'graphql';
import type { Graph, GraphResult } from '#shared/graph.ts';
import type { GatewayContext } from './context.ts';
import type { DirectAnswers } from './directAnswers.ts';
import type { OperationReader } from './execution/operationReader.ts';
import type { KnownOperation } from './execution/operations.ts';
import type { Executed, ResponseCache } from './execution/responseCache/responseCache.ts';
import { createGatewayContext, createGraph, executeOperation, type GraphOptions } from './graph.ts';

export interface WarmGraphOptions extends GraphOptions {
  /** What a client may ask. */
  readonly admitted: OperationReader<GatewayContext>;
  readonly direct: DirectAnswers;
  readonly responses: ResponseCache;
}

/**
 * The graph for modules, whose `warm` keeps answers as `POST /graphql` does: what a client would be answered with whole has
 * to be kept whole, since an operation of one module in this process never asks for its parts.
 */
export function createWarmGraph(options: WarmGraphOptions): Graph {
  const { apollo, admitted, responses } = options;
  const graph = createGraph(options);

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
      const known = admitted.find(source);
      if (known === undefined || (await options.isNarrowed(context)))
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
