import type { IncomingMessage } from 'node:http';
import { PlatformError } from '#shared/errors.ts';
import { parseJson } from '#shared/json.ts';
import type { GraphQLRequest } from '../operation.ts';
import { isRecord } from '../records.ts';

export interface ReadOptions {
  readonly body?: unknown;
  readonly maxBytes: number;
}

/**
 * Reads a GraphQL request from a query string or a JSON body.
 * @throws {PlatformError} METHOD_NOT_ALLOWED, BAD_REQUEST, BODY_TOO_LARGE
 */
export async function readGraphQLRequest(
  request: IncomingMessage,
  { body, maxBytes }: ReadOptions,
): Promise<GraphQLRequest> {
  if (request.method === 'GET') {
    const { searchParams } = new URL(request.url ?? '/', 'http://localhost');
    return toRequest({
      query: searchParams.get('query'),
      operationName: searchParams.get('operationName'),
      variables: parseParameter(searchParams.get('variables'), 'variables'),
      extensions: parseParameter(searchParams.get('extensions'), 'extensions'),
    });
  }
  if (request.method !== 'POST') {
    throw new PlatformError('METHOD_NOT_ALLOWED', `Operations are sent with GET or POST, not ${request.method}.`);
  }
  if (body !== undefined) return toRequest(body);
  const contentType = request.headers['content-type'] ?? '';
  if (!/^application\/([\w.+-]+\+)?json\s*(;|$)/i.test(contentType)) {
    throw new PlatformError(
      'BAD_REQUEST',
      `The body is JSON with content-type application/json, got "${contentType}".`,
    );
  }
  return toRequest(readJson(await readBody(request, maxBytes)));
}

async function readBody(request: IncomingMessage, maxBytes: number): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  // Left open: destroying the request would take the answer with it.
  for await (const chunk of request.iterator({ destroyOnReturn: false })) {
    const buffer: Buffer = chunk;
    bytes += buffer.length;
    if (bytes > maxBytes) throw new PlatformError('BODY_TOO_LARGE', `The body is over ${maxBytes} bytes.`);
    chunks.push(buffer);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function readJson(text: string): unknown {
  try {
    return parseJson(text);
  } catch {
    throw new PlatformError('BAD_REQUEST', 'The body is not JSON.');
  }
}

function parseParameter(text: string | null, name: string): unknown {
  if (text === null || text === '') return null;
  try {
    return parseJson(text);
  } catch {
    throw new PlatformError('BAD_REQUEST', `The parameter ${name} is not JSON.`);
  }
}

function toRequest(value: unknown): GraphQLRequest {
  if (!isRecord(value)) throw new PlatformError('BAD_REQUEST', 'The request is a JSON object.');
  const { query, operationName, variables, extensions } = value;
  if (typeof query !== 'string') throw new PlatformError('BAD_REQUEST', 'The request has no `query` string.');
  if (operationName !== undefined && operationName !== null && typeof operationName !== 'string') {
    throw new PlatformError('BAD_REQUEST', '`operationName` is a string.');
  }
  if (variables !== undefined && variables !== null && !isRecord(variables)) {
    throw new PlatformError('BAD_REQUEST', '`variables` is an object.');
  }
  return {
    query,
    operationName: operationName ?? null,
    variables: variables ?? null,
    extensions: isRecord(extensions) ? extensions : null,
  };
}
