import semver from 'semver';
import { z } from 'zod';
import {
  type CursorValue,
  encodePageCursor,
  type PageInfoShape,
  type PageInput,
  readPage,
} from '#shared/connection.ts';
import { type RequestScope, subjectBoundTag } from '#shared/context.ts';
import { PlatformError } from '#shared/errors.ts';
import type { Condition, Hit, IndexSelection } from '#shared/searchIndex/index.ts';
import { parseTsquery, type QueryNode, supportsQuery } from '#shared/searchIndex/index.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import { id, parseInput, text } from '#shared/validation.ts';
import { findGrantedContexts, viewerOf, visibleCondition } from '../access.ts';
import type { ClosedModules } from '../closedModules.ts';
import { trustLevelOf, trustLevels } from '../manifest/permissions.ts';
import type { ExtensionDiscoveryEdgeRow, ExtensionRow } from '../rows.ts';
import { extensionColumns } from '../store.ts';
import { createIndexes, type SearchedTenant } from './indexes.ts';

const words = z
  .array(text({ min: 1, max: 100 }))
  .max(50)
  .nullish();
const shape = z.object({
  text: text({ min: 1, max: 500 }).nullish(),
  contextId: id.nullish(),
  capabilityId: id.nullish(),
  capability: text({ min: 1, max: 100 }).nullish(),
  types: words,
  category: text({ min: 1, max: 100 }).nullish(),
  keywords: words,
  runtimeState: words,
  versionRange: text({ min: 1, max: 200 }).nullish(),
  minTrust: z.enum(['UNTRUSTED', 'LOW', 'MEDIUM', 'HIGH', 'VERIFIED']).nullish(),
  includeIncompatible: z.boolean().nullish(),
});

type Query = z.output<typeof shape>;
const list = 'discovery';
/** How often a page is put together again because a row of it changed meanwhile. */
const maxAttempts = 3;
const none: ReadonlySet<string> = new Set();
/** A set that nothing is in. */
const nothing = '\u0001';

export interface ExtensionDiscoveryRow {
  readonly edges: readonly ExtensionDiscoveryEdgeRow[];
  readonly nodes: readonly ExtensionRow[];
  readonly pageInfo: PageInfoShape;
  readonly totalCount: number;
  readonly tookMs: number;
}

/** Finds extensions by what they are for. */
export function createDiscovery({ sql, bus, config }: ModuleRuntime, { modules }: { readonly modules: ClosedModules }) {
  const indexes = createIndexes({ sql, bus, maxBytes: config.EXTENSION_SEARCH_INDEX_MB * 1_048_576 });

  /** As PostgreSQL reads what people type. */
  async function parseWords(words: string): Promise<QueryNode> {
    const [row] = (await sql.unsafe(`SELECT websearch_to_tsquery('simple', $1)::text AS parsed`, [words], {
      prepare: true,
    })) as unknown as { parsed: string }[];
    const node = parseTsquery(row!.parsed);
    if (!supportsQuery(node))
      throw new PlatformError('VALIDATION_FAILED', 'text: expected words, OR, -word', { path: ['query', 'text'] });
    return node;
  }

  async function granted(
    { principal, readTags }: RequestScope,
    restricted: number,
  ): Promise<IndexSelection['granted']> {
    if (restricted > 0) readTags.add(subjectBoundTag);
    const viewer = viewerOf(principal);
    if (viewer === null) return 'all';
    if (restricted === 0) return [];
    const contexts = await findGrantedContexts(sql, principal.tenantId, viewer);
    if (contexts.length === 0) return [];
    const rows = (await sql.unsafe(
      'SELECT e.id FROM extension.extension e WHERE e.tenant_id = $1 AND e.context_id = ANY($2::uuid[])',
      [principal.tenantId, contexts as string[]],
      { prepare: true },
    )) as unknown as { id: string }[];
    return rows.map((row) => row.id);
  }

  async function findRows(
    { principal }: RequestScope,
    hits: readonly Hit[],
  ): Promise<ReadonlyMap<string, ExtensionRow>> {
    if (hits.length === 0) return new Map();
    const rows = (await sql.unsafe(
      `SELECT ${extensionColumns} FROM extension.extension e WHERE e.tenant_id = $1 AND e.id = ANY($2::uuid[]) AND e.runtime_state <> 'uninstalled' AND ${visibleCondition('e', '$3')}`,
      [principal.tenantId, hits.map((hit) => hit.id), viewerOf(principal) as string[] | null],
      { prepare: true },
    )) as unknown as ExtensionRow[];
    return new Map(rows.map((row) => [row.id, row]));
  }

  return {
    close: () => indexes.close(),

    /** @throws {VALIDATION_FAILED} {RANGE_INVALID} {CURSOR_INVALID} */
    async discover(scope: RequestScope, raw: unknown, input: PageInput): Promise<ExtensionDiscoveryRow> {
      const startedMs = performance.now();
      const query = parseInput(shape, raw, ['query']);
      if (query.versionRange != null && semver.validRange(query.versionRange) === null)
        throw new PlatformError('RANGE_INVALID', `${query.versionRange.slice(0, 60)} is no SemVer range`, {
          path: ['query', 'versionRange'],
        });
      const page = readPage(list, 3, input);
      const after = page.from === null ? null : readHit(page.from);
      const { tenantId } = scope.principal;
      scope.readTags.add('extensions');
      // Which of them fit changes with the manifest.
      scope.readTags.add('manifests');
      const closed = query.includeIncompatible === true ? none : await modules.of(tenantId);
      const node = query.text == null ? null : await parseWords(query.text);
      for (let attempt = 0; ; attempt += 1) {
        const tenant = await indexes.current(tenantId, scope.consistencyToken);
        const { index } = tenant;
        const selection: IndexSelection = {
          query: node,
          conditions: conditionsOf(query, tenant, closed),
          granted: await granted(scope, index.restrictedCount),
        };
        const { total, hits } = index.search(selection, { limit: page.limit + 1, reversed: false, after });
        const rows = await findRows(scope, hits);
        const stale = hits.filter((hit) => rows.get(hit.id)?.revision !== hit.revision);
        if (stale.length > 0 && attempt < maxAttempts) {
          for (const hit of stale) indexes.mark(tenantId, hit.id);
          continue;
        }
        const found = hits.filter((hit) => rows.has(hit.id));
        const kept = found.slice(0, page.limit);
        const wanted = { id: query.capabilityId ?? null, name: query.capability ?? null };
        const edges = kept.map((hit): ExtensionDiscoveryEdgeRow => {
          const row = rows.get(hit.id)!;
          return {
            node: row,
            cursor: encodePageCursor(list, [hit.score, hit.id, hit.revision]),
            score: hit.score,
            reasons: reasonsOf(query, row),
            wanted,
          };
        });
        return {
          edges,
          nodes: edges.map((edge) => edge.node),
          pageInfo: {
            hasNextPage: hits.length > page.limit,
            hasPreviousPage: after !== null,
            startCursor: edges[0]?.cursor ?? null,
            endCursor: edges.at(-1)?.cursor ?? null,
          },
          totalCount: total,
          tookMs: performance.now() - startedMs,
        };
      }
    },
  };
}

export type Discovery = ReturnType<typeof createDiscovery>;

/** @throws {CURSOR_INVALID} */
function readHit([score, hitId, revision]: readonly CursorValue[]): Hit {
  if (typeof score !== 'number' || typeof hitId !== 'string' || typeof revision !== 'number')
    throw new PlatformError('CURSOR_INVALID', 'expected a cursor of this list', { path: ['after'] });
  return { score, id: hitId, revision };
}

function conditionsOf(
  query: Query,
  { versions, requirements }: SearchedTenant,
  closed: ReadonlySet<string>,
): readonly Condition[] {
  const conditions: Condition[] = [];
  const oneOf = (column: string, list: readonly string[]) => conditions.push({ kind: 'oneOf', column, values: list });
  if (query.contextId != null) oneOf('contextId', [query.contextId]);
  if (query.types != null)
    oneOf(
      'type',
      query.types.map((type) => type.toLowerCase()),
    );
  if (query.category != null) oneOf('category', [query.category]);
  if (query.runtimeState != null)
    oneOf(
      'runtimeState',
      query.runtimeState.map((state) => state.toLowerCase()),
    );
  if (query.includeIncompatible !== true) oneOf('fits', ['yes']);
  if (closed.size > 0)
    oneOf(
      'requires',
      [...requirements].filter((list) => list.split(',').every((module) => !closed.has(module))),
    );
  if (query.keywords != null) conditions.push({ kind: 'allOf', column: 'keywords', values: query.keywords });
  for (const one of [query.capabilityId, query.capability])
    if (one != null) conditions.push({ kind: 'anyOf', column: 'capabilities', values: [one] });
  if (query.versionRange != null) {
    const fitting = [...versions].filter((version) => semver.satisfies(version, query.versionRange!));
    conditions.push({ kind: 'anyOf', column: 'versions', values: fitting.length === 0 ? [nothing] : fitting });
  }
  if (query.minTrust != null) conditions.push({ kind: 'between', column: 'trust', from: trustLevelOf(query.minTrust) });
  return conditions;
}

function reasonsOf(query: Query, row: ExtensionRow): readonly string[] {
  const said = [row.name, row.displayName, row.category, row.description, ...row.keywords].join(' ').toLowerCase();
  const met = (query.text ?? '')
    .toLowerCase()
    .split(/\W+/)
    .filter((word) => word !== '' && said.includes(word));
  return [
    ...(met.length > 0 ? [`says ${[...new Set(met)].slice(0, 5).join(', ')}`] : []),
    ...(query.capability == null ? [] : [`offers ${query.capability}`]),
    ...(query.versionRange == null ? [] : [`has a release in ${query.versionRange}`]),
    `publisher is ${trustLevels[row.trustLevel]}`,
  ];
}
