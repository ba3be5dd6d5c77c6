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
import type { DirectAnswers } from './directAnswers.ts';
import type { OperationReader } from './execution/operationReader.ts';
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
  return {
    cancellation: new Cancellation(),
    ended: {},
    ...(options.toll === undefined ? {} : { toll: options.toll }),
    scope,
  };
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

export interface GraphOptions {
  readonly apollo: ApolloServer<GatewayContext>;
  readonly ownOperations: OperationReader<GatewayContext>;
  readonly direct: Pick<DirectAnswers, 'execute'>;
  /** Whether the caller's tenant has modules closed: its operations go by the data sources. */
  readonly isNarrowed: (context: GatewayContext) => boolean | Promise<boolean>;
}

/** The graph as modules see it: the gateway's, as the principal they act for, without the server that clients meet. */
export function createGraph({ apollo, ownOperations, direct, isNarrowed }: GraphOptions): Graph {
  async function ask(
    query: string,
    variables: Readonly<Record<string, unknown>>,
    context: GatewayContext,
  ): Promise<FormattedExecutionResult> {
    const known = (await isNarrowed(context)) ? undefined : ownOperations.find(query);
    const result = known?.direct ? await direct.execute(known.direct, variables, context) : null;
    // Whatever is wrong with the document or its variables Apollo Server says.
    if (result === null) return executeOperation(apollo, { query, variables }, context);
    const { data, errors } = result;
    return { data: data ?? null, ...(errors === undefined ? {} : { errors }) };
  }

  return {
    async execute<Data>(
      document: string,
      variables: Readonly<Record<string, unknown>>,
      principal: Principal,
      signal?: AbortSignal,
      traceparent?: string,
    ): Promise<GraphResult<Data>> {
      const context = createGatewayContext(principal, { traceparent, ...(signal === undefined ? {} : { signal }) });
      const cancel = () => context.cancellation.cancel();
      signal?.addEventListener('abort', cancel, { once: true });
      const result = await ask(document, variables, context).finally(() =>
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
