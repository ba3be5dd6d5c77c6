import { GraphQLError } from 'graphql';
import { errors } from 'undici';
import { PlatformError } from '#shared/errors.ts';

const connectionCodes = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ETIMEDOUT',
  'EPIPE',
  'UND_ERR_SOCKET',
  'UND_ERR_CONNECT_TIMEOUT',
]);

/** True where no answer has begun because the connection was not made or did not last. */
export function isConnectionFailure(error: unknown): boolean {
  if (error instanceof AggregateError) return error.errors.every(isConnectionFailure);
  return (
    typeof error === 'object' &&
    error !== null &&
    'code' in error &&
    typeof error.code === 'string' &&
    connectionCodes.has(error.code)
  );
}

/** What the gateway reports of a fetch that brought no GraphQL answer; names the subgraph, never its address. */
export function toFetchError(error: unknown, name: string): GraphQLError {
  if (error instanceof GraphQLError) return error;
  const failure =
    error instanceof PlatformError ? error : new PlatformError('UNAVAILABLE', describe(error, name), { cause: error });
  return new GraphQLError(failure.message, { originalError: failure });
}

function describe(error: unknown, name: string): string {
  if (error instanceof errors.ResponseExceededMaxSizeError)
    return `the answer of subgraph ${name} is over its size limit`;
  if (isConnectionFailure(error)) return `subgraph ${name} cannot be reached`;
  return `subgraph ${name} did not answer`;
}
