import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { z } from 'zod';

/** Documents that the operator knows: clients name them by id, and no limit of documents holds for them. */
export interface TrustedDocuments {
  /** The text under an id, or under its SHA-256. */
  find(id: string): string | undefined;
  has(source: string): boolean;
  readonly sources: ReadonlySet<string>;
}

const manifest = z.object({
  format: z.literal('apollo-persisted-query-manifest'),
  version: z.literal(1),
  operations: z.array(z.object({ id: z.string().min(1), body: z.string().min(1) })),
});
const map = z.record(z.string().min(1), z.string().min(1));

export const noTrustedDocuments: TrustedDocuments = createTrustedDocuments([]);

/**
 * Reads a file of trusted documents: `{ id: text }` as Relay's and codegen's clients write it, or the manifest of
 * Apollo's. @throws {Error} naming the file when it is neither.
 */
export async function readTrustedDocuments(file: string): Promise<TrustedDocuments> {
  const content: unknown = JSON.parse(await readFile(file, 'utf8'));
  const asManifest = manifest.safeParse(content);
  if (asManifest.success) return createTrustedDocuments(asManifest.data.operations.map(({ id, body }) => [id, body]));
  const asMap = map.safeParse(content);
  if (asMap.success) return createTrustedDocuments(Object.entries(asMap.data));
  throw new Error(
    `${file} holds no trusted documents: expected { id: document } or an apollo-persisted-query-manifest`,
  );
}

function createTrustedDocuments(entries: readonly (readonly [string, string])[]): TrustedDocuments {
  const byId = new Map<string, string>();
  for (const [id, source] of entries) {
    byId.set(id, source);
    byId.set(createHash('sha256').update(source).digest('hex'), source);
  }
  const sources = new Set(byId.values());
  return {
    // Ids of the specification's appendix may say how they were made.
    find: (id) => byId.get(id) ?? (id.startsWith('sha256:') ? byId.get(id.slice('sha256:'.length)) : undefined),
    has: (source) => sources.has(source),
    sources,
  };
}
