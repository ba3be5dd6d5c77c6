import { PlatformError } from '#shared/errors.ts';

/** For a trace that is not there, is another tenant's, or lies in a private context of others. */
export function noSuchTrace(path: readonly (string | number)[] = ['traceId']): PlatformError {
  return new PlatformError('NOT_FOUND', 'no such trace', { path });
}
