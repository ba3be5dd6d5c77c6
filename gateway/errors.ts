import { unwrapResolverError } from '@apollo/server/errors';
import type { GraphQLFormattedError } from 'graphql';
import { describeDatabaseFailure } from '#shared/databaseFailure.ts';
import { errorTable, isErrorCode, PlatformError, toExtensions } from '#shared/errors.ts';
import type { Logger } from '#shared/telemetry.ts';
import { correlated } from './correlation.ts';
import { rootOf } from './rootError.ts';

/** Codes of the libraries that stand under another name in the table. */
const aliases: Readonly<Record<string, keyof typeof errorTable>> = {
  INTERNAL_SERVER_ERROR: 'INTERNAL_ERROR',
  DOWNSTREAM_SERVICE_ERROR: 'INTERNAL_ERROR',
};

const passedOn = ['retryAfterMs', 'inputPath', 'details', 'category', 'retryable'] as const;

/**
 * Makes one shape of every GraphQL error: a code of the table, what the table says of it, the request it arose in, and
 * nothing of our insides. What was not expected is logged under a reference and masked.
 */
export function createErrorFormatter(logger: Logger) {
  const format = createUncorrelated(logger);
  /** @param correlationId left out where there is no request yet */
  return (formatted: GraphQLFormattedError, thrown: unknown, correlationId?: string): GraphQLFormattedError => {
    const shaped = format(formatted, thrown, correlationId);
    return correlationId === undefined ? shaped : correlated(shaped, correlationId);
  };
}

function createUncorrelated(logger: Logger) {
  return (
    formatted: GraphQLFormattedError,
    thrown: unknown,
    correlationId: string | undefined,
  ): GraphQLFormattedError => {
    const original = rootOf(unwrapResolverError(thrown));
    if (original instanceof PlatformError && original.code !== 'INTERNAL_ERROR')
      return { ...located(formatted), message: formatted.message, extensions: toExtensions(original) };
    if (formatted.message.startsWith('GET requests only support query operations')) {
      return refused(formatted, new PlatformError('METHOD_NOT_ALLOWED', 'expected a query: others are sent with POST'));
    }
    if (formatted.message === 'Unsupported persisted query version') {
      return refused(formatted, new PlatformError('BAD_REQUEST', 'expected extensions.persistedQuery.version to be 1'));
    }
    const stated = formatted.extensions?.['code'];
    const code = typeof stated === 'string' ? (aliases[stated] ?? stated) : 'INTERNAL_ERROR';
    if (isErrorCode(code) && code !== 'INTERNAL_ERROR')
      return {
        ...located(formatted),
        message: withoutSuggestions(formatted.message),
        extensions: extensionsOf(code, formatted),
      };
    if (formatted.message === 'provided sha does not match query') {
      return refused(
        formatted,
        new PlatformError('PERSISTED_QUERY_MISMATCH', 'the document does not have the hash sent with it'),
      );
    }
    const known = describeDatabaseFailure(original);
    if (known !== null) return refused(formatted, known);
    const reference = crypto.randomUUID();
    logger.error({ reference, correlationId, error: describe(original), path: formatted.path }, 'unexpected failure');
    return {
      ...located(formatted),
      message: 'an unexpected failure',
      extensions: { ...toExtensions(new PlatformError('INTERNAL_ERROR', '')), reference },
    };
  };
}

/** graphql-js names what is spelt alike: whoever may not read the schema would learn it by asking. */
function withoutSuggestions(message: string): string {
  return message.replace(/ ?Did you mean .+\?$/s, '');
}

function refused(formatted: GraphQLFormattedError, error: PlatformError): GraphQLFormattedError {
  return { ...located(formatted), message: error.message, extensions: toExtensions(error) };
}

function located(formatted: GraphQLFormattedError): Pick<GraphQLFormattedError, 'locations' | 'path'> {
  return {
    ...(formatted.locations === undefined ? {} : { locations: formatted.locations }),
    ...(formatted.path === undefined ? {} : { path: formatted.path }),
  };
}

function extensionsOf(code: keyof typeof errorTable, formatted: GraphQLFormattedError): Record<string, unknown> {
  const extensions: Record<string, unknown> = {
    code,
    category: errorTable[code].status >= 500 ? 'server' : 'client',
    retryable: errorTable[code].retryable,
  };
  for (const name of passedOn)
    if (formatted.extensions?.[name] !== undefined) extensions[name] = formatted.extensions[name];
  return extensions;
}

function describe(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
