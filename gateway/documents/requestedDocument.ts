import { PlatformError } from '#shared/errors.ts';
import type { TrustedDocuments } from '#shared/trustedDocuments.ts';

/**
 * Puts the text of a trusted document in the place of its id (`documentId`, or `extensions.persistedQuery` alone), so that
 * everything after it sees an ordinary request. A request that names none of them passes as it is.
 * @throws {PERSISTED_QUERY_NOT_FOUND} for a `documentId` that nobody knows.
 */
export function resolveTrusted(body: unknown, trusted: TrustedDocuments): unknown {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) return body;
  const { documentId, query, extensions, ...rest } = body as Record<string, unknown>;
  if (documentId !== undefined && documentId !== null) {
    if (query !== undefined && query !== null)
      throw new PlatformError('BAD_REQUEST', 'expected query or documentId, got both');
    const source = typeof documentId === 'string' ? trusted.find(documentId) : undefined;
    if (source === undefined) throw new PlatformError('PERSISTED_QUERY_NOT_FOUND', 'no document has this documentId');
    return { ...rest, query: source, ...(extensions === undefined ? {} : { extensions }) };
  }
  if ((query !== undefined && query !== null) || typeof extensions !== 'object' || extensions === null) return body;
  const { persistedQuery, ...others } = extensions as Record<string, unknown>;
  const hash: unknown = Object(persistedQuery).sha256Hash;
  const source = typeof hash === 'string' ? trusted.find(hash) : undefined;
  if (source === undefined) return body;
  return { ...rest, query: source, ...(Object.keys(others).length === 0 ? {} : { extensions: others }) };
}
