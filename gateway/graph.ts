import type { ApolloServer } from '@apollo/server';
import type { FormattedExecutionResult } from 'graphql';
import { Cancellation } from '#shared/cancellation.ts';
import { createRequestScope, type Lazy } from '#shared/context.ts';
import type { Graph, GraphResult } from '#shared/graph.ts';
import { newId } from '#shared/ids.ts';
import type { Principal } from '#shared/principal.ts';
import { createOrigin, noteOrigin } from '#shared/requestOrigin.ts';
import { beginTrace, continueTrace } from '#shared/telemetry.ts';
import type { GatewayContext } from './context.ts';
import type { Toll } from './limits/toll.ts';

export interface OperationRequest {
  readonly query?: string | undefined;
  readonly operationName?: string | null | undefined;
  readonly variables?: Readonly<Record<string, unknown>> | null | undefined;
}

export function createGatewayContext(
  principal: Principal,
  options: {
    readonly traceparent?: string | undefined;
    readonly correlationId?: Lazy<string> | undefined;
    readonly signal?: Lazy<AbortSignal>;
    readonly consistencyToken?: string | undefined;
    readonly toll?: Toll;
    /** Of a request that may change something: what the audit keeps of where it came from. */
    readonly origin?: { readonly instance: string; readonly address?: string; readonly userAgent?: string | undefined };
  } = {},
): GatewayContext {
  const { origin } = options;
  const scope = createRequestScope({
    principal,
    correlationId: options.correlationId ?? newId,
    traceparent: options.traceparent === undefined ? beginTrace : continueTrace(options.traceparent),
    signal: options.signal,
    consistencyToken: options.consistencyToken,
  });
  if (origin) noteOrigin(scope.traceparent, createOrigin({ principal, correlationId: scope.correlationId, ...origin }));
  return { cancellation: new Cancellation(), ...(options.toll === undefined ? {} : { toll: options.toll }), scope };
}

/** Executes one operation without HTTP around it. */
export async function executeOperation(
  apollo: ApolloServer<GatewayContext>,
  request: OperationRequest,
  context: GatewayContext,
): Promise<FormattedExecutionResult> {
  const response = await apollo.executeOperation(
    {
      query: request.query ?? '',
      ...(request.operationName ? { operationName: request.operationName } : {}),
      variables: { ...(request.variables ?? {}) },
    },
    { contextValue: context },
  );
  if (response.body.kind !== 'single') throw new Error('incremental delivery is not offered');
  return response.body.singleResult as FormattedExecutionResult;
}

/** The graph as modules see it: through the gateway, as the principal they act for. */
export function createGraph(apollo: ApolloServer<GatewayContext>): Graph {
  return {
    async execute<Data>(
      document: string,
      variables: Readonly<Record<string, unknown>>,
      principal: Principal,
      signal?: AbortSignal,
    ): Promise<GraphResult<Data>> {
      const context = createGatewayContext(principal, signal === undefined ? {} : { signal });
      const cancel = () => context.cancellation.cancel();
      signal?.addEventListener('abort', cancel, { once: true });
      const result = await executeOperation(apollo, { query: document, variables }, context).finally(() =>
        signal?.removeEventListener('abort', cancel),
      );
      return {
        data: (result.data as Data | undefined) ?? null,
        errors: (result.errors ?? []).map((error) => ({
          message: error.message,
          ...(error.path === undefined ? {} : { path: error.path }),
          code: String(error.extensions?.['code'] ?? 'INTERNAL_ERROR'),
        })),
      };
    },
  };
}
