import { GraphQLError, type GraphQLFormattedError } from 'graphql';
import { describeDatabaseFailure } from '#shared/databaseFailure.ts';
import { errorTable, isErrorCode, PlatformError, toExtensions } from '#shared/errors.ts';
import { newId } from '#shared/ids.ts';
import { correlated } from '../correlation.ts';
import { rootOf } from '../rootError.ts';
import type { HubLogger } from './logger.ts';

/** @param correlationId of the request it arose in. @default one of its own */
export type FormatError = (error: unknown, correlationId?: string) => GraphQLFormattedError;

/** Keeps what the error table foresees, and masks the rest behind a reference that also stands in the log. */
export function createErrorFormatter(logger: HubLogger): FormatError {
  const format = (error: unknown, correlationId: string): GraphQLFormattedError => {
    const graphqlError = error instanceof GraphQLError ? error : undefined;
    const where = {
      ...(graphqlError?.locations === undefined ? {} : { locations: graphqlError.locations }),
      ...(graphqlError?.path === undefined ? {} : { path: graphqlError.path }),
    };
    const original = rootOf(error);
    if (original instanceof PlatformError) {
      return { message: original.message, ...where, extensions: toExtensions(original) };
    }
    const code = graphqlError?.extensions['code'];
    if (graphqlError !== undefined && isErrorCode(code) && errorTable[code].status !== 500) {
      const {
        serviceName: _service,
        stacktrace: _stack,
        exception: _exception,
        ...extensions
      } = graphqlError.extensions;
      return { message: graphqlError.message, ...where, extensions };
    }
    const known = describeDatabaseFailure(original);
    if (known !== null) return { message: known.message, ...where, extensions: toExtensions(known) };
    const reference = newId();
    logger.error(
      { err: original, reference, correlationId, path: graphqlError?.path },
      'subscription failed unexpectedly',
    );
    return {
      message: errorTable.INTERNAL_ERROR.description,
      ...where,
      extensions: { code: 'INTERNAL_ERROR', category: 'server', retryable: true, reference },
    };
  };
  return (error, correlationId = newId()) => correlated(format(error, correlationId), correlationId);
}

/** A formatted error as something that can be thrown through libraries that call `toJSON`. */
export class FormattedGraphQLError extends GraphQLError {
  constructor(formatted: GraphQLFormattedError) {
    super(formatted.message, {
      ...(formatted.path === undefined ? {} : { path: formatted.path }),
      ...(formatted.extensions === undefined ? {} : { extensions: formatted.extensions }),
    });
    this.formatted = formatted;
  }

  readonly formatted: GraphQLFormattedError;

  override toJSON(): GraphQLFormattedError {
    return this.formatted;
  }
}
