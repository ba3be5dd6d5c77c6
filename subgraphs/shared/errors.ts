import { groupErrors } from './errorTable/groups.ts';
import { requestErrors } from './errorTable/requests.ts';
import { workErrors } from './errorTable/work.ts';

/** The one table of errors. Codes are never reused. */
export const errorTable = { ...requestErrors, ...workErrors, ...groupErrors };

export type ErrorCode = keyof typeof errorTable;

export interface PlatformErrorOptions {
  /** Where in the input, as GraphQL field names and list indexes. */
  readonly path?: readonly (string | number)[];
  readonly retryAfterMs?: number;
  readonly details?: Readonly<Record<string, unknown>>;
  readonly cause?: unknown;
}

/** An expected failure. Everything else that is thrown is masked as INTERNAL_ERROR. */
export class PlatformError extends Error {
  readonly code: ErrorCode;
  readonly path: readonly (string | number)[] | undefined;
  readonly retryAfterMs: number | undefined;
  readonly details: Readonly<Record<string, unknown>> | undefined;

  constructor(code: ErrorCode, message: string, options: PlatformErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'PlatformError';
    this.code = code;
    this.path = options.path;
    this.retryAfterMs = options.retryAfterMs;
    this.details = options.details;
  }

  get retryable(): boolean {
    return errorTable[this.code].retryable;
  }

  get status(): number {
    return errorTable[this.code].status;
  }

  /** graphql-js copies this into the GraphQLError it wraps around a thrown error. */
  get extensions(): Record<string, unknown> {
    return toExtensions(this);
  }
}

/** The shape of `UserError` in every mutation payload. */
export interface UserErrorShape {
  readonly code: ErrorCode;
  readonly message: string;
  readonly path: readonly string[] | null;
  readonly retryable: boolean;
  readonly retryAfterMs: number | null;
}

export function toUserError(error: PlatformError): UserErrorShape {
  return {
    code: error.code,
    message: error.message,
    path: error.path === undefined ? null : error.path.map(String),
    retryable: error.retryable,
    retryAfterMs: error.retryAfterMs ?? null,
  };
}

/** What stands in `extensions` of a GraphQL error. */
export function toExtensions(error: PlatformError): Record<string, unknown> {
  return {
    code: error.code,
    category: error.status >= 500 ? 'server' : 'client',
    retryable: error.retryable,
    ...(error.retryAfterMs === undefined ? {} : { retryAfterMs: error.retryAfterMs }),
    ...(error.path === undefined ? {} : { inputPath: error.path.map(String) }),
    ...(error.details === undefined ? {} : { details: error.details }),
  };
}

export function isErrorCode(value: unknown): value is ErrorCode {
  return typeof value === 'string' && Object.hasOwn(errorTable, value);
}
