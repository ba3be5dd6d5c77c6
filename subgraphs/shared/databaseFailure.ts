import { PlatformError } from './errors.ts';

const refused = new Set(['ECONNREFUSED', 'ECONNRESET', 'EPIPE', 'ENOENT', 'ETIMEDOUT']);

/**
 * What a caller can make of a failure of PostgreSQL or of the way to it, by SQLSTATE or the client's own code; null where
 * nothing but a fault of ours explains it.
 */
export function describeDatabaseFailure(error: unknown): PlatformError | null {
  if (!(error instanceof Error) || !('code' in error) || typeof error.code !== 'string') return null;
  const { code } = error;
  // query_canceled: by statement_timeout, or since its query was given up.
  if (code === '57014') return new PlatformError('DEADLINE_EXCEEDED', 'the database did not answer in time');
  // Serialization failure and deadlock, too many connections or no memory, shutdown and crash, connection exceptions.
  if (/^(?:40001|40P01|53...|57P0.|08...)$/.test(code) || code.startsWith('CONNECT') || refused.has(code))
    return new PlatformError('UNAVAILABLE', 'the database cannot be reached at the moment', { retryAfterMs: 1_000 });
  return null;
}
