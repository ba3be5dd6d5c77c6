import type { PersistedDocuments } from './documents/persistedDocuments.ts';

/** What of a request says which operation it is. */
export interface HotRequest {
  readonly source: string;
  readonly operationName: string | null;
  readonly variables: Readonly<Record<string, unknown>> | undefined;
}

/** A plain JSON request; anything unusual goes to Apollo Server, which says what is wrong with it. */
export function readHotRequest(body: unknown, persisted: Pick<PersistedDocuments, 'peek'>): HotRequest | null {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) return null;
  const { query, operationName, variables, extensions } = body as Record<string, unknown>;
  const isPlain = extensions === undefined || extensions === null;
  const source =
    typeof query === 'string' ? isPlain && query : (query ?? null) === null && sourceOf(extensions, persisted);
  if (typeof source !== 'string') return null;
  if (operationName !== undefined && operationName !== null && typeof operationName !== 'string') return null;
  if (variables !== undefined && variables !== null && (typeof variables !== 'object' || Array.isArray(variables)))
    return null;
  return {
    source,
    operationName: operationName ?? null,
    variables: (variables as Record<string, unknown> | null) ?? undefined,
  };
}

/** The document that a client has sent before and names by its hash, and by nothing else. */
function sourceOf(extensions: unknown, persisted: Pick<PersistedDocuments, 'peek'>): string | undefined {
  if (typeof extensions !== 'object' || extensions === null) return undefined;
  const { persistedQuery, ...others } = extensions as Record<string, unknown>;
  if (Object.keys(others).length > 0 || typeof persistedQuery !== 'object' || persistedQuery === null) return undefined;
  const { version, sha256Hash } = persistedQuery as Record<string, unknown>;
  return version === 1 && typeof sha256Hash === 'string' ? persisted.peek(sha256Hash) : undefined;
}
