import { type IndexedDocument, parseTsvector, SearchIndex, tsvectorFields } from '#shared/searchIndex/index.ts';
import type { Sql } from '#shared/sql.ts';

const values = ['type', 'status', 'lifecycleStage', 'ownerId', 'domain', 'environment', 'language'] as const;
const sets = ['tags'] as const;
const numbers = ['createdAt', 'updatedAt'] as const;

export type ContextIndex = SearchIndex<(typeof values)[number], (typeof sets)[number], (typeof numbers)[number]>;

/** An empty index with the columns that contexts are filtered by. */
export function createContextIndex(): ContextIndex {
  return new SearchIndex({ fields: tsvectorFields, values, sets, numbers });
}

type ContextDocument = Parameters<ContextIndex['put']>[0];

interface DocumentRow {
  readonly id: string;
  readonly version: number;
  readonly words: string;
  readonly type: string;
  readonly status: string;
  readonly lifecycleStage: string;
  readonly ownerId: string;
  readonly domain: string;
  readonly environment: string;
  readonly language: string | null;
  readonly tags: readonly string[];
  readonly isPrivate: boolean;
  readonly createdAt: number;
  readonly updatedAt: number;
}

const instant = (column: string) => `round(extract(epoch FROM c.${column}) * 1000)::float8`;

// The words as PostgreSQL has cut them: what it finds and what the index finds is the same.
const select = `SELECT c.id, c.version, c.search::text AS words, c.type, c.status, c.lifecycle_stage AS "lifecycleStage", c.owner_id AS "ownerId",
  c.domain, c.environment, c.language, c.tags, c.is_private AS "isPrivate", ${instant('created_at')} AS "createdAt", ${instant('updated_at')} AS "updatedAt"
  FROM context.context c WHERE c.tenant_id = $1 AND c.deleted_at IS NULL`;

export function toDocument(row: DocumentRow): ContextDocument {
  const { type, status, lifecycleStage, ownerId, domain, environment, language, tags, createdAt, updatedAt } = row;
  const document: IndexedDocument<(typeof values)[number], (typeof sets)[number], (typeof numbers)[number]> = {
    ...parseTsvector(row.words),
    id: row.id,
    revision: row.version,
    restricted: row.isPrivate,
    values: { type, status, lifecycleStage, ownerId, domain, environment, language },
    sets: { tags },
    numbers: { createdAt, updatedAt },
  };
  return document;
}

/** A slice of a tenant's contexts in the order of their ids. */
export async function readSlice(
  sql: Pick<Sql, 'unsafe'>,
  tenantId: string,
  after: string,
  limit: number,
): Promise<DocumentRow[]> {
  return (await sql.unsafe(`${select} AND c.id > $2 ORDER BY c.id LIMIT $3`, [tenantId, after, limit], {
    prepare: true,
  })) as unknown as DocumentRow[];
}

/** Contexts by id; those that are deleted or never were do not come. */
export async function readDocuments(sql: Sql, tenantId: string, ids: readonly string[]): Promise<DocumentRow[]> {
  return (await sql.unsafe(`${select} AND c.id = ANY($2::uuid[])`, [tenantId, ids as string[]], {
    prepare: true,
  })) as unknown as DocumentRow[];
}

/** So many contexts the tenant has, counted up to a limit. */
export async function countContexts(sql: Sql, tenantId: string, limit: number): Promise<number> {
  const [row] = (await sql.unsafe(
    'SELECT count(*)::int AS n FROM (SELECT 1 FROM context.context WHERE tenant_id = $1 AND deleted_at IS NULL LIMIT $2) c',
    [tenantId, limit],
    { prepare: true },
  )) as unknown as { n: number }[];
  return row!.n;
}
