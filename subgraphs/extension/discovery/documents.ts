import { type IndexedDocument, parseTsvector, SearchIndex, tsvectorFields } from '#shared/searchIndex/index.ts';
import type { Sql } from '#shared/sql.ts';
import { restrictedCondition } from '../access.ts';
import { incompatibilityOf } from '../manifest/compatibility.ts';
import type { Manifest } from '../manifest/manifest.ts';
import { wilsonLowerBound } from './wilson.ts';

const values = ['contextId', 'type', 'runtimeState', 'category', 'fits', 'requires'] as const;
const sets = ['keywords', 'capabilities', 'versions'] as const;
const numbers = ['trust', 'weight'] as const;

export type ExtensionIndex = SearchIndex<(typeof values)[number], (typeof sets)[number], (typeof numbers)[number]>;

/** An empty index; what a document's words score is multiplied by its weight. */
export function createExtensionIndex(): ExtensionIndex {
  return new SearchIndex({ fields: tsvectorFields, values, sets, numbers, boost: 'weight' });
}

export interface DocumentRow {
  readonly id: string;
  readonly revision: number;
  readonly words: string | null;
  readonly contextId: string;
  readonly extensionType: string;
  readonly runtimeState: string;
  readonly category: string | null;
  readonly keywords: readonly string[];
  readonly trustLevel: number;
  readonly restricted: boolean;
  readonly capabilities: readonly string[] | null;
  readonly versions: readonly string[] | null;
  readonly needs: Pick<Manifest, 'compatibility' | 'runtime_requirements' | 'dependencies'> | null;
  readonly calls: number;
  readonly failures: number;
}

const select = `SELECT e.id, e.revision, e.search::text AS words, e.context_id AS "contextId", e.extension_type AS "extensionType",
  e.runtime_state AS "runtimeState", e.category, e.keywords, e.trust_level AS "trustLevel", ${restrictedCondition('e')} AS restricted,
  (SELECT array_agg(c.name) || array_agg(c.id::text) FROM extension.capability c WHERE c.tenant_id = e.tenant_id AND c.extension_id = e.id) AS capabilities,
  (SELECT array_agg(r.version) FROM extension.release r WHERE r.tenant_id = e.tenant_id AND r.extension_id = e.id) AS versions,
  (SELECT jsonb_build_object('compatibility', r.manifest->'compatibility', 'runtime_requirements', r.manifest->'runtime_requirements', 'dependencies', r.manifest->'dependencies')
     FROM extension.release r WHERE r.tenant_id = e.tenant_id AND r.id = e.current_release_id) AS needs,
  (SELECT coalesce(sum(u.invocations), 0)::float8 FROM extension.usage u WHERE u.tenant_id = e.tenant_id AND u.extension_id = e.id) AS calls,
  (SELECT coalesce(sum(u.failures), 0)::float8 FROM extension.usage u WHERE u.tenant_id = e.tenant_id AND u.extension_id = e.id) AS failures
  FROM extension.extension e WHERE e.tenant_id = $1 AND e.runtime_state <> 'uninstalled'`;

/** What trust in a publisher counts: a fifth for nobody's, all for a verified one. */
export const trustWeight = (level: number): number => (1 + level) / 5;

/** The modules that an extension requires, as one value. */
export const requirementOf = ({ needs }: Pick<DocumentRow, 'needs'>): string =>
  [...new Set(needs?.compatibility?.required_modules ?? [])].sort().join(',');

export function toDocument(row: DocumentRow): Parameters<ExtensionIndex['put']>[0] {
  const { runtime_requirements, ...needs } = row.needs ?? {
    compatibility: { required_modules: [], optional_modules: [] },
    dependencies: [],
    runtime_requirements: undefined,
  };
  const fits =
    incompatibilityOf({ ...needs, runtime_requirements: runtime_requirements ?? undefined } as Manifest) === null;
  const document: IndexedDocument<(typeof values)[number], (typeof sets)[number], (typeof numbers)[number]> = {
    ...parseTsvector(row.words ?? ''),
    id: row.id,
    revision: row.revision,
    restricted: row.restricted,
    values: {
      contextId: row.contextId,
      type: row.extensionType,
      runtimeState: row.runtimeState,
      category: row.category,
      fits: fits ? 'yes' : 'no',
      requires: requirementOf(row),
    },
    sets: { keywords: row.keywords, capabilities: row.capabilities ?? [], versions: row.versions ?? [] },
    numbers: {
      trust: row.trustLevel,
      weight: trustWeight(row.trustLevel) * wilsonLowerBound(row.calls - row.failures, row.calls),
    },
  };
  return document;
}

/** A slice of a tenant's extensions in the order of their ids. */
export async function readSlice(
  sql: Pick<Sql, 'unsafe'>,
  tenantId: string,
  after: string,
  limit: number,
): Promise<DocumentRow[]> {
  return (await sql.unsafe(`${select} AND e.id > $2 ORDER BY e.id LIMIT $3`, [tenantId, after, limit], {
    prepare: true,
  })) as unknown as DocumentRow[];
}

/** Extensions by id; those that are gone do not come. */
export async function readDocuments(sql: Sql, tenantId: string, ids: readonly string[]): Promise<DocumentRow[]> {
  return (await sql.unsafe(`${select} AND e.id = ANY($2::uuid[])`, [tenantId, ids as string[]], {
    prepare: true,
  })) as unknown as DocumentRow[];
}
