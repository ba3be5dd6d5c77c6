import {
  type GraphQLDataSource,
  type GraphQLDataSourceProcessOptions,
  GraphQLDataSourceRequestKind,
} from '@apollo/gateway/dist/datasources/types.js';
import { LRUCache } from 'lru-cache';
import { Pool } from 'undici';
import type { FetchHooks, SubgraphResponse } from './fetchHooks.ts';
import { readAnswer } from './http/answer.ts';
import { createDeadline, type Deadline, type FetchCancellation } from './http/deadline.ts';
import { beginExchange, type Exchange } from './http/exchange.ts';
import { isConnectionFailure, toFetchError } from './http/failures.ts';

export interface HttpDataSourceOptions<Context> extends FetchHooks<Context> {
  readonly name: string;
  readonly url: string;
  readonly timeoutMs: number;
  /** Headers of one fetch: the signed identity, `traceparent`. The caller's own `traceparent` is forwarded where this names none. */
  readonly headersFor: (gatewayContext: Context) => Record<string, string>;
  /** Ends the fetch when the client goes away. */
  readonly cancellationFor?: ((gatewayContext: Context) => FetchCancellation) | undefined;
  /** @default 33_554_432 */
  readonly maxResponseBytes?: number;
  /** Beside the defaults: 64 connections, no pipelining. */
  readonly pool?: Pool.Options;
}

export interface HttpDataSource extends GraphQLDataSource {
  /** Waits for the fetches under way, then closes the connections. */
  close(): Promise<void>;
}

/**
 * Asks a subgraph over a pool of kept-alive connections.
 * @throws {UNAVAILABLE} when it cannot be reached or its answer is no GraphQL, {DEADLINE_EXCEEDED} when it takes too
 * long or the client has gone; as GraphQLError, which the gateway reports beside the data of the other fetches.
 */
export function createHttpDataSource<Context extends object>(options: HttpDataSourceOptions<Context>): HttpDataSource {
  const { name, timeoutMs, headersFor, cancellationFor, onFetch, onExtensions } = options;
  const url = new URL(options.url);
  const path = `${url.pathname}${url.search}`;
  // The deadline covers headers and body: undici's own, coarser timers would only cost.
  const pool = new Pool(url.origin, {
    connections: 64,
    pipelining: 1,
    headersTimeout: 0,
    bodyTimeout: 0,
    maxResponseSize: options.maxResponseBytes ?? 33_554_432,
    ...options.pool,
  });

  const beginnings = new LRUCache<string, { readonly operationName: string | undefined; readonly text: string }>({
    max: 2_000,
  });

  /** What the bodies of one operation have in common; its text is escaped once. */
  function beginningOf(query: string, operationName: string | undefined): string {
    const known = beginnings.get(query);
    if (known !== undefined && known.operationName === operationName) return known.text;
    const name = operationName === undefined ? '' : `"operationName":${JSON.stringify(operationName)},`;
    const text = `{"query":${JSON.stringify(query)},${name}"variables":`;
    beginnings.set(query, { operationName, text });
    return text;
  }

  function send(headers: Record<string, string>, body: string, deadline: Deadline): Exchange {
    const exchange = beginExchange(pool, { path, headers, body });
    deadline.watch(exchange.giveUp);
    return exchange;
  }

  async function fetch(
    request: Question,
    headers: Record<string, string>,
    cancellation: FetchCancellation | undefined,
  ): Promise<SubgraphResponse> {
    const { query = '', variables, operationName } = request;
    const body = `${beginningOf(query, operationName)}${JSON.stringify(variables ?? {})}}`;
    const deadline = createDeadline({ name, timeoutMs, cancellation });
    try {
      if (deadline.reason !== null) throw deadline.reason;
      const first = send(headers, body, deadline);
      // A kept-alive connection may have been closed by the other side just now: what only reads is asked once more.
      const { status, text } = await first.answer.catch((error: unknown) => {
        if (first.hasBegun() || deadline.reason !== null || !isReadOnly(query) || !isConnectionFailure(error))
          throw error;
        return send(headers, body, deadline).answer;
      });
      return readAnswer(name, status, text);
    } catch (error) {
      throw toFetchError(deadline.reason ?? error, name);
    } finally {
      deadline.release();
    }
  }

  return {
    async process(input) {
      const { kind, request, context } = input;
      const incoming = kind === GraphQLDataSourceRequestKind.INCOMING_OPERATION;
      const headers: Record<string, string> = { 'content-type': 'application/json', accept: 'application/json' };
      const traceparent = incoming ? input.incomingRequestContext.request.http?.headers.get('traceparent') : undefined;
      if (traceparent) headers['traceparent'] = traceparent;
      if (incoming) Object.assign(headers, headersFor(context as Context));
      const startedAtMs = onFetch ? performance.now() : 0;
      let failures = 1;
      try {
        const response = await fetch(request, headers, incoming ? cancellationFor?.(context as Context) : undefined);
        failures = response.errors?.length ?? 0;
        if (incoming && response.extensions) onExtensions?.(context as Context, response.extensions);
        return response;
      } finally {
        onFetch?.({ subgraph: name, kind, durationMs: performance.now() - startedAtMs, errors: failures });
      }
    },
    close: () => pool.close(),
  };
}

type Question = GraphQLDataSourceProcessOptions['request'];

/** The gateway prints its fetches: a query begins with its keyword or its selection. */
function isReadOnly(query: string): boolean {
  return /^\s*(?:query\b|\{)/.test(query);
}
