import { z } from 'zod';
import { createConnection, type PageInput, readPage } from '#shared/connection.ts';
import { PlatformError } from '#shared/errors.ts';
import type { Principal } from '#shared/principal.ts';
import { inPlaces, placesOf } from '#shared/rights.ts';
import type { Sql } from '#shared/sql.ts';
import { id, parseInput, text } from '#shared/validation.ts';
import { instant } from '../inputs.ts';
import { observing } from '../rights.ts';
import type { MessageEdgeRow, MessageRow, MessageSearchConnectionRow } from '../rows.ts';
import { createConditions } from './conditions.ts';
import { snippetOf } from './history.ts';
import { searchQuery, tsqueryOf } from './messageFilter.ts';

const searchFilter = z.object({
  dialogId: id.nullish(),
  contextId: id.nullish(),
  senderSubject: text({ min: 1, max: 500 }).nullish(),
  type: z.array(z.string()).max(20).nullish(),
  sentAt: z.object({ from: instant.nullish(), to: instant.nullish() }).nullish(),
});

export interface SearchReading {
  /** Select list of a message on alias m. */
  readonly columns: string;
  readonly withSnippet: boolean;
  /** Whether `totalCount` is asked for: the matches are then counted as they are ranked. */
  readonly withCount: boolean;
}

interface RankedRow extends MessageRow {
  readonly score: number;
  /** When it was said, in microseconds since 1970. */
  readonly moment: number;
  readonly snippet?: string;
  readonly total: number | null;
}

const list = 'searchMessages';

/** What a part in a dialog (`own`) shows of its messages m, as `viewOf` reads it. */
export const visibleText = `(m.recipients IS NULL OR m.sender_id = own.id OR own.id = ANY(m.recipients))
  AND CASE WHEN own.show_history
    THEN jsonb_array_length(own.spans) > 0 AND ((own.spans->-1->>1) IS NULL OR m.sequence <= (own.spans->-1->>1)::bigint)
    ELSE EXISTS (SELECT FROM jsonb_array_elements(own.spans) e WHERE m.sequence >= (e->>0)::bigint AND ((e->>1) IS NULL OR m.sequence <= (e->>1)::bigint)) END`;

/** The index takes so many dialogs at once; over that the words alone choose, and the rest is filtered out. */
const maxIndexedDialogs = 500;

const ownCountText = `SELECT count(*)::int AS n FROM (
  SELECT FROM dialog.participant WHERE tenant_id = $1 AND identity = $2 AND status <> 'REMOVED' LIMIT ${maxIndexedDialogs + 1}) own`;

async function takesPartInFew(sql: Sql, principal: Principal): Promise<boolean> {
  const [row] = (await sql.unsafe(ownCountText, [principal.tenantId, principal.subject], {
    prepare: true,
  })) as unknown as { n: number }[];
  return row!.n <= maxIndexedDialogs;
}

/**
 * Messages of all dialogs the principal may read, best match first (cover density ranking, Clarke et al. 1999), the
 * later one first where two match as well.
 */
export async function searchMessages(
  sql: Sql,
  principal: Principal,
  reading: SearchReading,
  input: PageInput & { readonly query: string; readonly filter?: unknown },
): Promise<MessageSearchConnectionRow> {
  const query = parseInput(searchQuery, input.query, ['query']);
  const filter = parseInput(searchFilter, input.filter ?? {}, ['filter']);
  const page = readPage(list, 3, input);
  const [score, moment, after] = page.from ?? [];
  if (
    page.from !== null &&
    (typeof score !== 'number' || !Number.isSafeInteger(moment) || parseCursorId(after) === null)
  )
    throw new PlatformError('CURSOR_INVALID', 'expected a cursor of this list', { path: ['after'] });

  const places = placesOf(principal, observing);
  const observes = places.everywhere && places.except.length === 0;
  const indexed =
    filter.dialogId != null ||
    (!places.everywhere &&
      places.except.length === 0 &&
      (filter.contextId != null || (await takesPartInFew(sql, principal))));
  const select = () => {
    const where = createConditions();
    const tsquery = tsqueryOf(where, query);
    const tenant = where.param(principal.tenantId);
    const dialogs = [`d.tenant_id = ${tenant}`];
    if (filter.dialogId != null) dialogs.push(`d.id = ${where.param(filter.dialogId)}::uuid`);
    if (filter.contextId != null) dialogs.push(`d.context_id = ${where.param(filter.contextId)}::uuid`);
    // Who observes takes part in nothing: every dialog shows it everything.
    const observed = inPlaces(places, 'd.context_id', (ids) => `${where.param(ids)}::uuid[]`);
    const all = `SELECT d.id AS dialog_id, NULL::uuid AS id, NULL::jsonb AS spans, NULL::boolean AS show_history, true AS observed
         FROM dialog.dialog d WHERE ${[...dialogs, String(observed)].join(' AND ')}`;
    const own = observes
      ? `SELECT d.id AS dialog_id FROM dialog.dialog d WHERE ${dialogs.join(' AND ')}`
      : `${observed === false ? '' : `${all} UNION ALL `}SELECT d.id AS dialog_id, p.id, p.spans, (d.configuration->>'showHistory')::boolean AS show_history, false AS observed
         FROM dialog.participant p JOIN dialog.dialog d ON d.tenant_id = p.tenant_id AND d.id = p.dialog_id
         WHERE p.tenant_id = ${tenant} AND p.identity = ${where.param(principal.subject)} AND p.status <> 'REMOVED'
           AND 'READ' = ANY(p.permissions) AND NOT ${String(observed)} AND ${dialogs.join(' AND ')}`;
    where.add(`m.tenant_id = ${tenant} AND m.search @@ ${tsquery} AND m.deleted_at IS NULL`);
    if (indexed) where.add('ARRAY[m.dialog_id] && (SELECT array_agg(dialog_id) FROM own)');
    if (!observes) where.add(observed === false ? visibleText : `own.observed OR (${visibleText})`);
    if (filter.senderSubject != null) where.add(`m.sender_subject = ${where.param(filter.senderSubject)}`);
    if (filter.type != null) where.add(`m.type = ANY(${where.param(filter.type)}::text[])`);
    if (filter.sentAt?.from)
      where.add(`m.created_at >= ${where.param(filter.sentAt.from.toISOString())}::text::timestamptz`);
    if (filter.sentAt?.to)
      where.add(`m.created_at < ${where.param(filter.sentAt.to.toISOString())}::text::timestamptz`);
    return {
      where,
      tsquery,
      own: `WITH own AS MATERIALIZED (${own})`,
      from: 'dialog.message m JOIN own ON own.dialog_id = m.dialog_id',
    };
  };

  const { where, own, from, tsquery } = select();
  const rank = `ts_rank_cd(m.search, ${tsquery})::float8`;
  if (page.from !== null)
    where.add(
      `(${rank}, m.created_at, m.id) < (${where.param(score)}::float8, 'epoch'::timestamptz + ${where.param(moment)}::float8 * interval '1 microsecond', ${where.param(after)}::uuid)`,
    );
  // Ranking reads every match anyway.
  const counted = reading.withCount && page.from === null;
  const snippet = reading.withSnippet ? `, ${snippetOf('m.text', tsquery)} AS snippet` : '';
  // The page is chosen on narrow rows; only what is on it is read in full.
  const rows = (await sql.unsafe(
    `${own} SELECT ${reading.columns}, k.score, (extract(epoch FROM k.created_at) * 1000000)::float8 AS moment, k.total${snippet} FROM (
       SELECT m.tenant_id, m.id, m.created_at, ${rank} AS score, ${counted ? '(count(*) OVER ())::int' : 'NULL::int'} AS total
       FROM ${from} WHERE ${where.text()} ORDER BY score DESC, m.created_at DESC, m.id DESC LIMIT ${where.param(page.limit + 1)}
     ) k JOIN dialog.message m ON m.tenant_id = k.tenant_id AND m.id = k.id AND m.created_at = k.created_at
     ORDER BY k.score DESC, k.created_at DESC, k.id DESC`,
    where.parameters as never[],
    { prepare: true },
  )) as unknown as RankedRow[];
  const connection = createConnection<RankedRow>(list, page, rows, (row) => [row.score, row.moment, row.id]);
  return {
    ...connection,
    edges: connection.edges.map(
      (edge): MessageEdgeRow => ({ ...edge, score: edge.node.score, snippet: edge.node.snippet ?? null }),
    ),
    async count() {
      if (counted) return rows[0]?.total ?? 0;
      const counting = select();
      const [row] = await sql.unsafe(
        `${counting.own} SELECT count(*)::int AS n FROM ${counting.from} WHERE ${counting.where.text()}`,
        counting.where.parameters as never[],
        { prepare: true },
      );
      return (row as unknown as { n: number }).n;
    },
  };
}

function parseCursorId(value: unknown): string | null {
  return id.safeParse(value).data ?? null;
}
