import type { IncomingMessage, ServerResponse } from 'node:http';
import type { FormattedExecutionResult, GraphQLFormattedError } from 'graphql';
import { PlatformError, toExtensions } from '#shared/errors.ts';
import type { Principal } from '#shared/principal.ts';
import { correlationHeader, givenCorrelation, lazyCorrelation } from '../../correlation.ts';
import { RateLimited, rateLimitHeaders } from '../../limits/admission.ts';
import type { Toll } from '../../limits/toll.ts';
import { headerText } from '../../requestHeaders.ts';
import type { HttpStreamOptions, HubCore } from '../contract.ts';
import type { Transport } from '../metrics.ts';
import type { GraphQLRequest } from '../operation.ts';
import type { ConnectionInfo, Subscriber } from '../subscriber.ts';
import { readGraphQLRequest } from './httpRequest.ts';
import { createHttpStream, type HttpStream, type StreamFormat } from './httpStream.ts';

/** One operation per HTTP request, its results as a stream in the given format. */
export function createHttpTransport(core: HubCore, format: StreamFormat) {
  const streams = new Set<HttpStream>();
  let isClosing = false;

  async function handle(
    request: IncomingMessage,
    response: ServerResponse,
    options: HttpStreamOptions = {},
  ): Promise<void> {
    const correlationId = lazyCorrelation(request.headers);
    const info: ConnectionInfo = {
      transport: format.transport,
      remoteAddress: request.socket.remoteAddress,
      address: core.addressOf(request),
      headers: request.headers,
      correlationId,
    };
    const tellCorrelation = () => response.setHeader(correlationHeader, correlationId());
    if (givenCorrelation(request.headers) !== undefined) tellCorrelation();
    try {
      if (isClosing) throw new PlatformError('UNAVAILABLE', 'The server is shutting down.');
      // A browser sends neither form of request through a preflight, so any page could make one.
      if (!core.isOriginAllowed(request.headers.origin, request)) {
        throw new PlatformError('PERMISSION_DENIED', 'A page of another origin may not send operations here.');
      }
      const graphqlRequest = await readGraphQLRequest(request, { ...options, maxBytes: core.config.maxMessageBytes });
      const principal = await core.authenticate({
        headers: request.headers,
        connectionParams: undefined,
        remoteAddress: info.remoteAddress,
        address: info.address,
      });
      const toll = core.createToll(principal, info);
      const prepared = await prepare(graphqlRequest, toll, correlationId);
      if (prepared.kind === 'failed') tellCorrelation();
      if (prepared.kind === 'mutation' && request.method === 'GET') {
        response.setHeader('allow', 'POST');
        throw new PlatformError('METHOD_NOT_ALLOWED', 'A mutation is sent with POST.');
      }
      // Nobody is there any more, and no `close` would come to tell.
      if (response.closed) return;
      const release = takePlace(request, prepared.kind === 'subscription' ? principal : null);
      response.once('close', release);
      const stream = createHttpStream({ core, format, response, correlationId });
      streams.add(stream);
      core.metrics.connectionOpened(format.transport);
      const stopWatch = core.watchToken(principal, (reason) =>
        stream.abort(
          core.formatError(
            new PlatformError(
              'UNAUTHENTICATED',
              reason === 'expired' ? 'The token has expired.' : 'The token is revoked.',
            ),
            correlationId(),
          ),
        ),
      );
      let subscriber: Subscriber | undefined;
      let gone = false;
      response.once('close', () => {
        gone = true;
        streams.delete(stream);
        stopWatch();
        subscriber?.end();
        core.metrics.connectionClosed(format.transport);
      });
      if (prepared.kind === 'failed') return stream.finishWith({ errors: prepared.errors });
      if (prepared.kind !== 'subscription') {
        return stream.finishWith(await execute(graphqlRequest, principal, info, toll));
      }
      try {
        subscriber = await core.subscribe({
          operation: prepared,
          variables: graphqlRequest.variables,
          principal,
          connection: info,
          toll,
          sink: stream,
          after: format.transport === 'sse' ? headerText(request.headers['last-event-id']) || undefined : undefined,
          onEnd: () => {},
        });
        if (gone) subscriber.end();
        else subscriber.start();
      } catch (error) {
        const errors = core.formatErrors(error, correlationId());
        core.metrics.answered(prepared.compiled.fieldName, errors);
        stream.finishWith({ errors });
      }
    } catch (error) {
      if (!response.headersSent) tellCorrelation();
      answerError(core, response, { error, correlationId: correlationId(), transport: format.transport });
    }
  }

  /** @throws {PlatformError} before anything of the stream is sent, so that the refusal has a status. */
  function takePlace({ socket }: IncomingMessage, subscribing: Principal | null): () => void {
    const release = core.limits.takeOperation(socket);
    if (subscribing === null) return release;
    try {
      const releaseSubscription = core.limits.takeSubscription(subscribing);
      return () => {
        releaseSubscription();
        release();
      };
    } catch (error) {
      release();
      throw error;
    }
  }

  /** Errors of the document are the answer to the operation, not to the HTTP request. */
  async function prepare(request: GraphQLRequest, toll: Toll | undefined, correlationId: () => string) {
    try {
      return await core.prepare(request, toll);
    } catch (error) {
      if (error instanceof RateLimited) throw error;
      const errors = core.formatErrors(error, correlationId());
      core.metrics.answered(null, errors);
      return { kind: 'failed', errors } as const;
    }
  }

  async function execute(
    ...[request, principal, info, toll]: Parameters<HubCore['executeOperation']>
  ): Promise<FormattedExecutionResult> {
    try {
      return await core.executeOperation(request, principal, info, toll);
    } catch (error) {
      const errors = core.formatErrors(error, info.correlationId());
      core.metrics.answered(null, errors);
      return { errors };
    }
  }

  return {
    handle,
    async close(deadlineMs: number): Promise<void> {
      isClosing = true;
      await Promise.all([...streams].map((stream) => stream.goAway(deadlineMs)));
    },
  };
}

function answerError(
  core: HubCore,
  response: ServerResponse,
  {
    error,
    correlationId,
    transport,
  }: { readonly error: unknown; readonly correlationId: string; readonly transport: Transport },
): void {
  if (response.headersSent) {
    core.metrics.connectionFailed(transport);
    core.logger.error({ err: error, correlationId }, 'a subscription stream failed after it began');
    response.destroy();
    return;
  }
  const status = error instanceof PlatformError ? error.status : 500;
  const formatted: GraphQLFormattedError =
    error instanceof PlatformError
      ? { message: error.message, extensions: { ...toExtensions(error), correlationId } }
      : core.formatError(error, correlationId);
  core.metrics.answered(null, [formatted]);
  const body = JSON.stringify({ errors: [formatted] });
  response.writeHead(status, {
    'content-type': 'application/json; charset=utf-8',
    'cache-control': 'no-store',
    ...(status === 413 ? { connection: 'close' } : {}),
    ...(error instanceof RateLimited ? rateLimitHeaders(error.standing) : {}),
  });
  response.end(body);
}
