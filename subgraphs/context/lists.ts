import {
  type CursorValue,
  createConnection,
  listOfCursor,
  type Page,
  type PageInput,
  readPage,
} from '#shared/connection.ts';
import { type RequestScope, subjectBoundTag } from '#shared/context.ts';
import { PlatformError } from '#shared/errors.ts';
import { isId } from '#shared/ids.ts';
import type { Sql } from '#shared/sql.ts';
import { administeredCondition, keepVisible, viewerKeys, visibleCondition } from './access.ts';
import { type ContextSelection, contextConditions, Parameters, searchExpression, selectsAll } from './filter.ts';
import type { ContextConnectionRow, ContextRow, ContextSearchConnectionRow } from './rows.ts';
import type { ContextSearch } from './search/search.ts';
import { toHtml } from './snippetHtml.ts';
import {
  type ContextSortInput,
  type GivenSort,
  type ListedRow,
  listName,
  newestFirst,
  requireSort,
  sortKeys,
} from './sorting.ts';
import { contextColumns } from './store.ts';

const facetFields = ['status', 'type', 'domain', 'tags', 'environment'] as const;
const maxFacetValues = 50;

/** Where a page begins; `rankedElsewhere` when its cursor bears a score that PostgreSQL does not know. */
interface ListPage extends Page {
  readonly rankedElsewhere?: boolean;
}

export type ContextLists = ReturnType<typeof createContextLists>;

/** Lists, search, counts and facets over the contexts a principal sees. */
export function createContextLists(sql: Sql, search: ContextSearch) {
  const run = async <Row>(text: string, parameters: Parameters) =>
    (await sql.unsafe(text, parameters.values, { prepare: true })) as unknown as Row[];

  async function readRows(
    scope: RequestScope,
    selection: ContextSelection,
    sort: ContextSortInput,
    page: ListPage,
  ): Promise<{ readonly rows: ListedRow[]; readonly total: number | null }> {
    const parameters = new Parameters();
    const key = sortKeys[sort.field];
    const conditions = [contextConditions(parameters, scope.principal, selection)];
    const words = selection.query === null ? null : searchExpression(parameters, selection.query);
    const rankOf = (context: string) => (words === null ? 'NULL::float4' : `ts_rank_cd(${context}.search, ${words})`);
    const score = rankOf('c');
    const sorted = key.column === 'score' ? score : `c.${key.column}`;
    const descending = (sort.direction === 'DESC') === (page.direction === 'forward');
    const tenant = parameters.bind(scope.principal.tenantId, 'text');
    if (page.from) {
      const [value, id] = readPlace(page, sort);
      const behind = parameters.bind(id, 'uuid');
      // Behind the same context, wherever it stands here; from the start when it is gone.
      const from = page.rankedElsewhere
        ? `COALESCE((SELECT ${rankOf('x')} FROM context.context x WHERE x.tenant_id = ${tenant} AND x.id = ${behind}), '${descending ? '' : '-'}Infinity')`
        : parameters.bind(value, key.type);
      conditions.push(`(${sorted}, c.id) ${descending ? '<' : '>'} (${from}, ${behind})`);
    }
    const order = descending ? 'DESC' : 'ASC';
    // Ranking reads every match anyway: counting them on the way spares a second scan for `totalCount`.
    const counted = key.column === 'score' && page.from === null;
    const columns = key.column === 'score' ? `${sorted} AS sorted` : `${sorted} AS sorted, ${score} AS score`;
    // The page is chosen on narrow rows; only what is on it is read in full.
    const rows = await run<ContextRow & { listScore: number | null; tenantHasPrivate: boolean; total: number | null }>(
      `SELECT ${contextColumns('c')}, k.${key.column === 'score' ? 'sorted' : 'score'} AS "listScore", k.total, ${hasPrivate(tenant)} AS "tenantHasPrivate"
       FROM (SELECT c.tenant_id, c.id, ${columns}, ${counted ? '(count(*) OVER ())::int' : 'NULL::int'} AS total FROM context.context c WHERE ${conditions.join(' AND ')}
             ORDER BY ${sorted} ${order}, c.id ${order} LIMIT ${page.limit + 1}) k
       JOIN context.context c USING (tenant_id, id) ORDER BY k.sorted ${order}, k.id ${order}`,
      parameters,
    );
    await noteReads(scope, selection, { rows, sort });
    return {
      rows: rows.map(({ listScore, tenantHasPrivate: _private, total: _total, ...row }) => ({ row, score: listScore })),
      total: counted ? (rows[0]?.total ?? 0) : null,
    };
  }

  /** Says what makes a list stale, or that it is not the same for everyone. */
  async function noteReads(
    scope: RequestScope,
    selection: ContextSelection,
    read: { rows?: readonly { id: string; tenantHasPrivate: boolean }[]; sort?: ContextSortInput },
  ): Promise<void> {
    const all = read.sort?.field === 'CREATED_AT' && selectsAll(selection);
    if (all) scope.readTags.add('contexts:standing');
    else scope.readTags.add('contexts').add('contexts:members');
    for (const { id } of read.rows ?? []) scope.readTags.add(`Context:${id}`);
    // Activity and metadata of a context that is not on the page do not name the list in their tags.
    const elsewhere = read.sort?.field === 'LAST_ACTIVITY_AT' || (selection.filter.metadata?.length ?? 0) > 0;
    if (elsewhere || scope.readTags.has(subjectBoundTag)) {
      scope.readTags.add(subjectBoundTag);
      return;
    }
    const known = read.rows?.[0]?.tenantHasPrivate;
    const parameters = new Parameters();
    const answer =
      known ??
      (
        await run<{ any: boolean }>(
          `SELECT ${hasPrivate(parameters.bind(scope.principal.tenantId, 'text'))} AS any`,
          parameters,
        )
      )[0]!.any;
    if (answer) scope.readTags.add(subjectBoundTag);
  }

  async function count(scope: RequestScope, selection: ContextSelection): Promise<number> {
    const parameters = new Parameters();
    const [row] = await run<{ n: number }>(
      `SELECT count(*)::int AS n FROM context.context c WHERE ${contextConditions(parameters, scope.principal, selection)}`,
      parameters,
    );
    return row!.n;
  }

  return {
    noteReads,

    /** @throws {VALIDATION_FAILED} {CURSOR_INVALID} */
    async list(
      scope: RequestScope,
      selection: ContextSelection,
      sort: GivenSort,
      input: PageInput,
    ): Promise<ContextConnectionRow> {
      const by = requireSort(sort ?? newestFirst, selection);
      const name = listName(by);
      const page = readPage(name, 2, input);
      const { rows } = await readRows(scope, selection, by, page);
      const { edges, nodes, pageInfo } = createConnection(name, page, rows, (listed) => [
        sortKeys[by.field].valueOf(listed),
        listed.row.id,
      ]);
      return {
        edges: edges.map(({ cursor, node }) => ({ cursor, node: node.row })),
        nodes: nodes.map(({ row }) => row),
        pageInfo,
        selection,
      };
    },

    /** By relevance from the index in memory where there is one, else by PostgreSQL. @throws {VALIDATION_FAILED} {CURSOR_INVALID} */
    async search(
      scope: RequestScope,
      selection: ContextSelection,
      sort: GivenSort,
      { columns, ...input }: PageInput & { readonly columns?: ReadonlySet<string> | undefined },
    ): Promise<ContextSearchConnectionRow> {
      const by = requireSort(
        sort ?? (selection.query === null ? newestFirst : { field: 'RELEVANCE', direction: 'DESC' }),
        selection,
      );
      const cursor = input.after ?? input.before;
      // A page goes on in the ranking in which it began.
      const began = cursor == null ? null : listOfCursor(cursor);
      const indexed = indexListName(by);
      if (by.field === 'RELEVANCE' && (began === null || began === indexed)) {
        const page = readPage(indexed, indexPlaceWidth, input);
        const place = page.from && readPlace(page, by);
        const found = await search.page(
          scope,
          selection,
          {
            limit: page.limit,
            reversed: (by.direction === 'ASC') !== (page.direction === 'backward'),
            after: place && { score: Number(place[0]), id: place[1], revision: Number(page.from![2]) },
          },
          { mustWait: began !== null, columns },
        );
        if (found) return toSearchConnection(indexed, { page, by, selection }, found);
      }
      const name = listName(by);
      const page: ListPage =
        began === indexed
          ? { ...readPage(indexed, indexPlaceWidth, input), rankedElsewhere: true }
          : readPage(name, 2, input);
      return toSearchConnection(name, { page, by, selection }, await readRows(scope, selection, by, page));
    },

    /** Matches of a search that did not count them itself. */
    async countMatches(scope: RequestScope, selection: ContextSelection): Promise<number> {
      return (await search.count(scope, selection)) ?? count(scope, selection);
    },

    count,

    /** Counts per value over all that the selection holds, most frequent first, up to 50 values a field. */
    async facets(
      scope: RequestScope,
      selection: ContextSelection,
    ): Promise<{ field: string; values: { value: string; count: number }[] }[]> {
      const indexed = await search.facets(scope, selection, facetFields, maxFacetValues);
      if (indexed)
        return facetFields.map((field) => ({
          field,
          values: (indexed.get(field) ?? []).map(({ value, count }) => ({
            value: field === 'status' ? value.toUpperCase() : value,
            count,
          })),
        }));
      const parameters = new Parameters();
      const rows = await run<{ field: string; value: string; n: number }>(
        `WITH selected AS MATERIALIZED (SELECT c.status, c.type, c.domain, c.environment, c.tags FROM context.context c WHERE ${contextConditions(parameters, scope.principal, selection)}),
         counted AS (
           SELECT CASE WHEN GROUPING(status) = 0 THEN 'status' WHEN GROUPING(type) = 0 THEN 'type' WHEN GROUPING(domain) = 0 THEN 'domain' ELSE 'environment' END AS field,
                  COALESCE(upper(status), type, domain, environment) AS value, count(*)::int AS n
           FROM selected GROUP BY GROUPING SETS ((status), (type), (domain), (environment))
           UNION ALL
           SELECT 'tags', tag, count(*)::int FROM (SELECT DISTINCT s.n, t.tag FROM (SELECT row_number() OVER () AS n, tags FROM selected) s, unnest(s.tags) AS t(tag)) d GROUP BY tag
         )
         SELECT field, value, n FROM (SELECT *, row_number() OVER (PARTITION BY field ORDER BY n DESC, value) AS place FROM counted) ranked WHERE place <= ${maxFacetValues} ORDER BY field, place`,
        parameters,
      );
      return facetFields.map((field) => ({
        field,
        values: rows.filter((row) => row.field === field).map(({ value, n }) => ({ value, count: n })),
      }));
    },

    /** The passages that match, by context id, with `<b>` around the hits and everything else escaped for HTML. */
    async snippets(scope: RequestScope, query: string, ids: readonly string[]): Promise<ReadonlyMap<string, string>> {
      const parameters = new Parameters();
      const expression = searchExpression(parameters, query);
      const rows = await run<{ id: string; snippet: string }>(
        `SELECT c.id, ts_headline('simple', translate(concat_ws(' · ', c.title, nullif(array_to_string(c.tags, ' '), ''), left(c.summary, 20000), nullif(left(c.metadata_text, 20000), '')), E'<>\\x01\\x02\\x03\\x04', E'\\x03\\x04'), ${expression},
                E'StartSel="\\x01", StopSel="\\x02", MaxWords=30, MinWords=10, MaxFragments=2') AS snippet
         FROM context.context c WHERE c.tenant_id = ${parameters.bind(scope.principal.tenantId, 'text')} AND c.id = ANY(${parameters.bind(ids, 'uuid[]')})`,
        parameters,
      );
      return new Map(rows.map(({ id, snippet }) => [id, toHtml(snippet)]));
    },

    /** The caller's own context of this title, else the tenant's oldest visible one. */
    async byName(scope: RequestScope, name: string): Promise<ContextRow | null> {
      const parameters = new Parameters();
      const subject = parameters.bind(scope.principal.subject, 'text');
      const tenant = parameters.bind(scope.principal.tenantId, 'text');
      const administered = administeredCondition('c', scope.principal, (ids) => parameters.bind(ids, 'uuid[]'));
      const keys = parameters.bind(viewerKeys(scope.principal), 'text[]');
      const visible = ` AND (${administered} OR ${visibleCondition('c', { subject, keys })})`;
      const rows = await run<ContextRow>(
        `SELECT ${contextColumns('c')} FROM context.context c WHERE c.tenant_id = ${tenant} AND c.title = ${parameters.bind(name, 'text')} AND c.deleted_at IS NULL${visible}
         ORDER BY (c.owner_id = ${subject}) DESC, c.created_at, c.id LIMIT 1`,
        parameters,
      );
      scope.readTags.add('contexts').add(subjectBoundTag);
      return (await keepVisible(sql, scope, rows))[0] ?? null;
    },

    /** Exact counts over the selection, in one statement. */
    async statistics(scope: RequestScope, selection: ContextSelection) {
      const parameters = new Parameters();
      const [row] = await run<{
        total: number;
        participants: number;
        sessions: number;
        day: number;
        counts: { field: string; value: string; n: number }[];
      }>(
        `WITH selected AS MATERIALIZED (SELECT c.status, c.type, c.domain, c.participant_count, c.session_count, c.created_at FROM context.context c WHERE ${contextConditions(parameters, scope.principal, selection)}),
         counted AS (
           SELECT CASE WHEN GROUPING(status) = 0 THEN 'status' WHEN GROUPING(type) = 0 THEN 'type' ELSE 'domain' END AS field,
                  COALESCE(upper(status), type, domain) AS value, count(*)::int AS n
           FROM selected GROUP BY GROUPING SETS ((status), (type), (domain))
         )
         SELECT (SELECT count(*)::int FROM selected) AS total,
                (SELECT COALESCE(sum(participant_count), 0)::int FROM selected) AS participants,
                (SELECT COALESCE(sum(session_count), 0)::int FROM selected) AS sessions,
                (SELECT count(*)::int FROM selected WHERE created_at > now() - interval '1 day') AS day,
                (SELECT COALESCE(json_agg(counted ORDER BY n DESC, value), '[]') FROM counted) AS counts`,
        parameters,
      );
      await noteReads(scope, selection, {});
      const { total, participants, sessions, day, counts } = row!;
      const by = (field: string) =>
        counts
          .filter((entry) => entry.field === field && entry.value !== null)
          .map(({ value, n }) => ({ value, count: n }));
      return {
        total,
        byStatus: by('status'),
        byType: by('type'),
        byDomain: by('domain'),
        participants,
        activeSessions: sessions,
        createdLastDay: day,
        averageParticipants: total === 0 ? 0 : participants / total,
      };
    },
  };
}

function hasPrivate(tenant: string): string {
  return `EXISTS (SELECT 1 FROM context.context p WHERE p.tenant_id = ${tenant} AND p.is_private AND p.deleted_at IS NULL)`;
}

/** Score, id and version. */
const indexPlaceWidth = 3;

/** The list of hits that the index ranks. */
function indexListName(sort: ContextSortInput): string {
  return `${listName(sort)}:index`;
}

/** @throws {CURSOR_INVALID} */
function readPlace(page: Page, sort: ContextSortInput): readonly [CursorValue, string] {
  const [value, id] = page.from as readonly [CursorValue, CursorValue];
  if (!sortKeys[sort.field].fits(value) || !isId(id))
    throw new PlatformError('CURSOR_INVALID', 'expected a cursor of this list', {
      path: [page.direction === 'forward' ? 'after' : 'before'],
    });
  return [value, id];
}

function toSearchConnection(
  name: string,
  { page, by, selection }: { readonly page: Page; readonly by: ContextSortInput; readonly selection: ContextSelection },
  { rows, total }: { readonly rows: readonly ListedRow[]; readonly total: number | null },
): ContextSearchConnectionRow {
  const { edges, nodes, pageInfo } = createConnection(name, page, rows, (listed) => [
    sortKeys[by.field].valueOf(listed),
    listed.row.id,
    ...(name === indexListName(by) ? [listed.row.version] : []),
  ]);
  return {
    edges: edges.map(({ cursor, node }) => ({ cursor, node: node.row, score: node.score, query: selection.query })),
    nodes: nodes.map(({ row }) => row),
    pageInfo,
    selection,
    total,
  };
}
