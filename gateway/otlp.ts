import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import type { ApolloServer } from '@apollo/server';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { type ErrorCode, errorTable, PlatformError } from '#shared/errors.ts';
import type { GatewayContext } from './context.ts';
import { executeOperation } from './graph.ts';

/** Bytes of a request, packed and unpacked. */
const maxBytes = 16_777_216;
const unzip = promisify(gunzip);

/** What every OTLP request becomes. */
export const otlpDocument = `mutation IngestOtlp($request: JSON!) {
  ingestOtlp(request: $request) { rejected { index reason } userErrors { code message } }
}`;

interface Answer {
  readonly ingestOtlp: {
    readonly rejected: readonly { readonly index: number; readonly reason: string }[] | null;
    readonly userErrors: readonly { readonly code: string; readonly message: string }[];
  };
}

export interface OtlpOptions {
  readonly apollo: ApolloServer<GatewayContext>;
  readonly createContext: (request: FastifyRequest, reply: FastifyReply) => Promise<GatewayContext> | GatewayContext;
}

/** OTLP/HTTP for traces, in JSON: authenticated as GraphQL is, stored by the graph, answered after COMMIT. */
export function registerOtlp(app: FastifyInstance, { apollo, createContext }: OtlpOptions): void {
  void app.register(async (scope) => {
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser('application/json', { parseAs: 'buffer', bodyLimit: maxBytes }, (_request, body, done) =>
      done(null, body),
    );
    scope.addContentTypeParser('*', (request, _payload, done) =>
      done(
        new PlatformError(
          'UNSUPPORTED_MEDIA_TYPE',
          `expected OTLP as application/json, got ${String(request.headers['content-type']).slice(0, 100)}`,
        ),
      ),
    );
    scope.post('/v1/traces', { bodyLimit: maxBytes }, async (request, reply) => {
      const context = await createContext(request, reply);
      const body = await readBody(request);
      const result = await executeOperation(apollo, { query: otlpDocument, variables: { request: body } }, context);
      const [failure] = result.errors ?? [];
      if (failure) throw failureOf(String(failure.extensions?.['code']), failure.message);
      const { rejected, userErrors } = (result.data as unknown as Answer).ingestOtlp;
      const [refused] = userErrors;
      if (refused) throw failureOf(refused.code, refused.message);
      const first = rejected?.[0];
      if (!first) return {};
      return {
        partialSuccess: {
          rejectedSpans: String(rejected.length),
          errorMessage: `span ${first.index}: ${first.reason}`,
        },
      };
    });
  });
}

async function readBody(request: FastifyRequest): Promise<unknown> {
  const body = request.body as Buffer | undefined;
  if (!body) throw new PlatformError('BAD_REQUEST', 'expected an ExportTraceServiceRequest in JSON');
  const encoding = request.headers['content-encoding'] ?? 'identity';
  if (encoding !== 'identity' && encoding !== 'gzip')
    throw new PlatformError('UNSUPPORTED_MEDIA_TYPE', `expected content-encoding gzip or none, got "${encoding}"`);
  const bytes = encoding === 'gzip' ? await unpack(body) : body;
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (error) {
    throw new PlatformError('BAD_REQUEST', 'the body is not JSON in UTF-8', { cause: error });
  }
}

async function unpack(body: Buffer): Promise<Buffer> {
  try {
    return await unzip(body, { maxOutputLength: maxBytes });
  } catch (error) {
    if ((error as { code?: unknown }).code === 'ERR_BUFFER_TOO_LARGE')
      throw new PlatformError('BODY_TOO_LARGE', `expected at most ${maxBytes} bytes unpacked`, { cause: error });
    throw new PlatformError('BAD_REQUEST', 'the body is not gzip', { cause: error });
  }
}

function failureOf(code: string, message: string): PlatformError {
  return new PlatformError(code in errorTable ? (code as ErrorCode) : 'INTERNAL_ERROR', message);
}
