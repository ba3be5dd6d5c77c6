import {
  type GraphQLDataSourceProcessOptions,
  GraphQLDataSourceRequestKind,
} from '@apollo/gateway/dist/datasources/types.js';
import { buildSchema, parse } from 'graphql';
import { requestContext } from './gatewayRig.ts';

export interface Fetch {
  readonly query: string;
  readonly variables?: Record<string, unknown>;
  readonly operationName?: string;
  readonly context?: Record<string, unknown>;
  /** Of the client's request. */
  readonly headers?: Record<string, string>;
}

const schema = buildSchema('type Query { client: Int }');

/** What the gateway hands to a data source for one fetch. */
export function processOptions({
  query,
  variables = {},
  operationName,
  context = {},
  headers = {},
}: Fetch): GraphQLDataSourceProcessOptions {
  const incoming = requestContext(schema, '{ client }', parse('{ client }'), {}, context);
  incoming.request.http = { method: 'POST', url: '', headers: new Headers(headers) };
  return {
    kind: GraphQLDataSourceRequestKind.INCOMING_OPERATION,
    request: { query, variables, ...(operationName === undefined ? {} : { operationName }) },
    context,
    incomingRequestContext: incoming,
    pathInIncomingRequest: [],
  };
}

export function healthCheckOptions(query: string): GraphQLDataSourceProcessOptions {
  return { kind: GraphQLDataSourceRequestKind.HEALTH_CHECK, request: { query }, context: {} };
}
