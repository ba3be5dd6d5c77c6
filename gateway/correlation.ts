import type { IncomingHttpHeaders } from 'node:http';
import type { GraphQLFormattedError } from 'graphql';
import { newId } from '#shared/ids.ts';
import { headerText } from './requestHeaders.ts';

export const correlationHeader = 'x-correlation-id';

/** The correlation id that a client gave its request, where it is one that may stand in headers and logs. */
export function givenCorrelation(headers: IncomingHttpHeaders): string | undefined {
  const given = headerText(headers[correlationHeader]);
  return given !== undefined && /^[\w.:-]{1,128}$/.test(given) ? given : undefined;
}

/** The client's own id, or one made by who first asks for it: an answer without errors needs none. */
export function lazyCorrelation(headers: IncomingHttpHeaders): () => string {
  let id: string | undefined;
  return () => {
    id ??= givenCorrelation(headers) ?? newId();
    return id;
  };
}

/** An error that says in which request it arose, unless it says so already. */
export function correlated(error: GraphQLFormattedError, correlationId: string): GraphQLFormattedError {
  if (error.extensions?.['correlationId'] !== undefined) return error;
  return { ...error, extensions: { ...error.extensions, correlationId } };
}

/** A body with errors of which none says in which request it arose: those made before there was a request to name. */
export function correlatedBody(body: string, correlationId: string): string {
  if (!body.startsWith('{"errors":') || body.includes('"correlationId"')) return body;
  const { errors, ...rest } = JSON.parse(body) as { errors: readonly GraphQLFormattedError[] };
  return `${JSON.stringify({ errors: errors.map((error) => correlated(error, correlationId)), ...rest })}\n`;
}
