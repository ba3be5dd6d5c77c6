import type { ErrorEntries } from './entry.ts';

/** Of any request: its form, its rights, its limits, and the state of what it asks about. */
export const requestErrors = {
  BAD_USER_INPUT: { status: 400, retryable: false, description: 'A variable or argument does not fit the schema.' },
  GRAPHQL_PARSE_FAILED: { status: 400, retryable: false, description: 'The document is not GraphQL.' },
  GRAPHQL_VALIDATION_FAILED: { status: 400, retryable: false, description: 'The document does not fit the schema.' },
  OPERATION_RESOLUTION_FAILURE: {
    status: 400,
    retryable: false,
    description: 'No single operation could be chosen from the document.',
  },
  PERSISTED_QUERY_NOT_FOUND: {
    status: 200,
    retryable: true,
    description: 'Unknown hash: send the document once with it.',
  },
  PERSISTED_QUERY_NOT_SUPPORTED: { status: 200, retryable: false, description: 'Persisted queries are off.' },
  PERSISTED_QUERY_MISMATCH: {
    status: 400,
    retryable: false,
    description: 'The document does not have the hash sent with it.',
  },
  BAD_REQUEST: {
    status: 400,
    retryable: false,
    description: 'The HTTP request itself is malformed: truncated JSON, wrong content type, missing preflight header.',
  },
  BODY_TOO_LARGE: { status: 413, retryable: false, description: 'The request body is over its limit.' },
  HEADERS_TOO_LARGE: { status: 431, retryable: false, description: 'The request headers are over their limit.' },
  REQUEST_TIMEOUT: { status: 408, retryable: true, description: 'The request did not arrive in time.' },
  METHOD_NOT_ALLOWED: {
    status: 405,
    retryable: false,
    description: 'The operation cannot be sent with this HTTP method.',
  },
  SUBSCRIPTION_TRANSPORT_REQUIRED: {
    status: 400,
    retryable: false,
    description: 'A subscription needs WebSocket, server-sent events or multipart.',
  },
  NOT_ROUTED: { status: 404, retryable: false, description: 'No such path.' },
  UNAUTHENTICATED: {
    status: 401,
    retryable: false,
    description: 'The token is missing, malformed, expired or not trusted.',
  },
  STEP_UP_REQUIRED: {
    status: 401,
    retryable: false,
    description:
      'The operation needs a token issued upon a stronger or fresher authentication: see `acr` and `auth_time`.',
  },
  PERMISSION_DENIED: { status: 403, retryable: false, description: 'The principal may not do this.' },
  NOT_FOUND: {
    status: 404,
    retryable: false,
    description: 'Nothing of this id is visible to the principal; foreign and unknown are answered alike.',
  },
  VALIDATION_FAILED: {
    status: 422,
    retryable: false,
    description: 'An input value breaks its rule; `path` says which.',
  },
  INVALID_STATE: { status: 409, retryable: false, description: 'The object is not in a state that allows this.' },
  INVALID_STATE_TRANSITION: { status: 409, retryable: false, description: 'The state machine has no such transition.' },
  GOVERNANCE_LOCKED: {
    status: 409,
    retryable: false,
    description: 'The object is locked; only a governance override that cites an approved Confirm changes it.',
  },
  VERSION_CONFLICT: { status: 409, retryable: false, description: 'The object changed since it was read; read again.' },
  CONFLICT: { status: 409, retryable: false, description: 'Something with this identity exists with other content.' },
  IDEMPOTENCY_MISMATCH: {
    status: 409,
    retryable: false,
    description: 'The idempotency key was used with other input.',
  },
  IDEMPOTENCY_IN_PROGRESS: {
    status: 409,
    retryable: true,
    description: 'The first call with this idempotency key is still running.',
  },
  QUOTA_EXCEEDED: {
    status: 429,
    retryable: false,
    description: 'A quota of the tenant, context or subject is used up.',
  },
  DOCUMENT_NOT_TRUSTED: {
    status: 403,
    retryable: false,
    description: 'The platform runs only documents it was given, and this is none of them.',
  },
  QUERY_LIMIT_EXCEEDED: {
    status: 400,
    retryable: false,
    description:
      'The operation is over a limit of depth, aliases, root fields, directives or cost; `details` says which.',
  },
  RATE_LIMITED: {
    status: 429,
    retryable: true,
    description: 'Too much in too short a time; retry after `retryAfterMs`.',
  },
  DEADLINE_EXCEEDED: { status: 504, retryable: true, description: 'The operation took longer than it may.' },
  UNAVAILABLE: { status: 503, retryable: true, description: 'A needed part does not answer at the moment.' },
  NOT_IMPLEMENTED: {
    status: 501,
    retryable: false,
    description: 'The module validates this but does not store it yet.',
  },
  INTERNAL_ERROR: { status: 500, retryable: true, description: 'An unexpected failure; quote the reference.' },
  CURSOR_INVALID: { status: 400, retryable: false, description: 'The cursor is malformed or belongs to another list.' },
  CURSOR_REGRESSION: { status: 409, retryable: false, description: 'A read cursor only moves forward.' },
  RESUME_TOO_OLD: {
    status: 410,
    retryable: false,
    description: 'Events after this cursor are no longer kept: read the state anew.',
  },
  SLOW_CONSUMER: {
    status: 429,
    retryable: true,
    description: 'The subscriber did not keep up and was cut; resume from the cursor given.',
  },
} as const satisfies ErrorEntries;
