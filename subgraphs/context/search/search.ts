import { readConsistencyToken } from '#shared/cache/consistencyToken.ts';
import { type RequestScope, subjectBoundTag } from '#shared/context.ts';
import { participates } from '#shared/contextAudience.ts';
import { conditionalKeys } from '#shared/contextReaders.ts';
import type { Principal } from '#shared/principal.ts';
import { type Hit, type IndexSelection, supportsQuery, type ValueCount } from '#shared/searchIndex/index.ts';
import type { Sql } from '#shared/sql.ts';
import { administeredCondition, conditionallySeen, seesEverything, viewerKeys } from '../access.ts';
import { type ContextSelection, contextConditions, Parameters } from '../filter.ts';
import type { ContextRow } from '../rows.ts';
import { contextColumns } from '../store.ts';
import { toConditions } from './conditions.ts';
import type { ContextIndex } from './documents.ts';
import { createSearchQueries } from './queries.ts';
import { createSearchReplicas, type SearchReplicasDeps } from './replicas.ts';
import type { TenantIndex } from './tenantIndex.ts';

export interface RankedPage {
  readonly limit: number;
  readonly reversed: boolean;
  readonly after: Hit | null;
}

export interface RankedRows {
  readonly rows: readonly { readonly row: ContextRow; readonly score: number }[];
  readonly total: number;
}

/** Answers from memory; null where PostgreSQL has to answer. */
export interface ContextSearch {
  /** Up to `limit + 1` rows by relevance, of the columns named; `mustWait` for a page that goes on where the index began. */
  page(
    scope: RequestScope,
    selection: ContextSelection,
    page: RankedPage,
    options: { readonly mustWait: boolean; readonly columns?: ReadonlySet<string> | undefined },
  ): Promise<RankedRows | null>;
  count(scope: RequestScope, selection: ContextSelection): Promise<number | null>;
  facets(
    scope: RequestScope,
    selection: ContextSelection,
    columns: readonly string[],
    limit: number,
  ): Promise<ReadonlyMap<string, readonly ValueCount[]> | null>;
  close(): void;
}

/** How often a page is put together again because a row of it changed meanwhile. */
const maxAttempts = 3;
/** While a token that could not name its changes is young enough to matter, ms. */
const everythingClaimMs = 60_000;

export function createContextSearch(deps: SearchReplicasDeps & { readonly keyedSql?: Sql }): ContextSearch {
  const { sql, keyedSql = sql } = deps;
  const replicas = createSearchReplicas(deps);
  const queries = createSearchQueries(sql);

  /** The selection as the index takes it, without who asks; null when it cannot. */
  async function translate(selection: ContextSelection): Promise<Omit<IndexSelection, 'granted'> | null> {
    const conditions = replicas.enabled ? toConditions(selection.filter) : null;
    if (conditions === null) return null;
    const query = selection.query === null ? null : await queries.parse(selection.query);
    return query === null || supportsQuery(query) ? { query, conditions } : null;
  }

  async function prepare(scope: RequestScope, selection: ContextSelection, mustWait: boolean) {
    const { tenantId } = scope.principal;
    // Looked for first: a tenant's first search begins to build its index, whatever this search is about.
    const found = replicas.find(tenantId);
    const replica = found ?? (mustWait ? await replicas.await(tenantId) : null);
    if (!replica || !acknowledgeWritten(scope, replica)) return null;
    const translated = await translate(selection);
    return translated && { replica, translated };
  }

  /** False when the caller has written more than its token could name: only the record knows all of it. */
  function acknowledgeWritten({ consistencyToken }: RequestScope, replica: TenantIndex): boolean {
    if (consistencyToken === undefined) return true;
    const claim = readConsistencyToken(consistencyToken);
    replicas.acknowledge(replica, claim.changes);
    return !claim.everything || Date.now() - claim.issuedAtMs >= everythingClaimMs;
  }

  /** Brings the index up to date and says which of its restricted documents the caller sees. */
  async function settle(scope: RequestScope, replica: TenantIndex): Promise<IndexSelection['granted']> {
    const { principal } = scope;
    await replica.settle();
    // Others may see something else; beside that nothing says when an answer of the index gets stale: it is never kept.
    if (replica.index.restrictedCount > 0) scope.readTags.add(subjectBoundTag);
    if (seesEverything(principal)) return 'all';
    // Never `all` for anyone else: what turns private before the index is searched is hidden all the same.
    return replica.index.restrictedCount === 0 ? [] : findGranted(sql, principal);
  }

  async function evaluate<Result>(
    scope: RequestScope,
    selection: ContextSelection,
    run: (index: ContextIndex, selection: IndexSelection) => Result,
  ): Promise<Result | null> {
    const prepared = await prepare(scope, selection, false);
    if (!prepared) return null;
    const { replica, translated } = prepared;
    const granted = await settle(scope, replica);
    return run(replica.index, { ...translated, granted });
  }

  return {
    async page(scope, selection, page, { mustWait, columns }) {
      const prepared = await prepare(scope, selection, mustWait);
      if (!prepared) return null;
      const { replica, translated } = prepared;
      for (let attempt = 0; attempt < maxAttempts; attempt += 1) {
        const granted = await settle(scope, replica);
        const { total, hits } = replica.index.search({ ...translated, granted }, { ...page, limit: page.limit + 1 });
        const rows = await findRows(keyedSql, scope, hits, columns);
        const changed = hits.filter(({ id, revision }) => rows.get(id)?.version !== revision);
        if (changed.length === 0) return { total, rows: hits.map(({ id, score }) => ({ row: rows.get(id)!, score })) };
        // Changed, or hidden from the caller, since the index heard last: it has to look again.
        for (const { id } of changed) replica.mark(id);
      }
      return null;
    },
    count: (scope, selection) => evaluate(scope, selection, (index, selected) => index.count(selected)),
    facets: (scope, selection, columns, limit) =>
      evaluate(scope, selection, (index, selected) => index.facets(selected, columns, limit)),
    close: () => replicas.close(),
  };
}

/** The hits' rows as far as the principal may see them. */
async function findRows(
  sql: Sql,
  { principal }: RequestScope,
  hits: readonly Hit[],
  columns: ReadonlySet<string> | undefined,
): Promise<ReadonlyMap<string, ContextRow>> {
  if (hits.length === 0) return new Map();
  const parameters = new Parameters();
  const visible = contextConditions(parameters, principal, { filter: {}, query: null });
  const ids = parameters.bind(
    hits.map(({ id }) => id),
    'uuid[]',
  );
  const rows = (await sql.unsafe(
    `SELECT ${contextColumns('c', columns)} FROM context.context c WHERE ${visible} AND c.id = ANY(${ids})`,
    parameters.values,
    { prepare: true },
  )) as unknown as ContextRow[];
  return new Map(rows.map((row) => [row.id, row]));
}

// By owner, agent and list: what it costs follows from what the subject has, not from what the tenant hides.
const grantedText = `
SELECT c.id FROM context.context c WHERE c.tenant_id = $1 AND c.owner_id = $2 AND c.is_private AND c.deleted_at IS NULL
UNION
SELECT c.id FROM context.participant m JOIN context.context c ON c.tenant_id = m.tenant_id AND c.id = m.context_id
WHERE m.tenant_id = $1 AND m.agent_id = $2 AND ${participates('m.status')} AND c.is_private AND c.deleted_at IS NULL
UNION
SELECT c.id FROM context.context c WHERE c.tenant_id = $1 AND c.readers && $3::text[] AND c.readers <> '{}' AND c.is_private AND c.deleted_at IS NULL
UNION
SELECT c.id FROM context.context c WHERE c.tenant_id = $1 AND c.readers && $4::text[] AND c.readers <> '{}' AND c.is_private AND c.deleted_at IS NULL AND ${conditionallySeen('c', '$3::text[]')}`;

/** Private contexts that the principal sees, where it does not see them all. */
async function findGranted(sql: Sql, principal: Principal): Promise<readonly string[]> {
  const parameters: unknown[] = [
    principal.tenantId,
    principal.subject,
    viewerKeys(principal),
    conditionalKeys(principal),
  ];
  const administered = administeredCondition('c', principal, (ids) => `$${parameters.push(ids)}::uuid[]`);
  const text =
    administered === 'false'
      ? grantedText
      : `${grantedText} UNION SELECT c.id FROM context.context c WHERE c.tenant_id = $1 AND c.is_private AND c.deleted_at IS NULL AND ${administered}`;
  const rows = (await sql.unsafe(text, parameters as never[], { prepare: true })) as unknown as { id: string }[];
  return rows.map(({ id }) => id);
}
