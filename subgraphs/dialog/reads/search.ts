import { z } from 'zod';
import { createConnection, type PageInput, readPage } from '#shared/connection.ts';
import { PlatformError } from '#shared/errors.ts';
import type { Principal } from '#shared/principal.ts';
import type { Sql } from '#shared/sql.ts';
import { id, parseInput, text } from '#shared/validation.ts';
import { instant } from '../inputs.ts';
import { observesAll } from '../rights.ts';
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
  readonly snippet?: string;
  readonly total: number | null;
}

const list = 'searchMessages';

/** Spans of participant p, on message m of dialog d, as `viewOf` reads them. */
const visibleText = `p.status <> 'REMOVED' AND 'READ' = ANY(p.permissions)
  AND (m.recipients IS NULL OR m.sender_id = p.id OR p.id = ANY(m.recipients))
  AND CASE WHEN (d.configuration->>'showHistory')::boolean
    THEN jsonb_array_length(p.spans) > 0 AND ((p.spans->-1->>1) IS NULL OR m.sequence <= (p.spans->-1->>1)::bigint)
    ELSE EXISTS (SELECT FROM jsonb_array_elements(p.spans) e WHERE m.sequence >= (e->>0)::bigint AND ((e->>1) IS NULL OR m.sequence <= (e->>1)::bigint)) END`;

/** Messages of all dialogs the principal may read, best match first (cover density ranking, Clarke et al. 1999). */
export async function searchMessages(
  sql: Sql,
  principal: Principal,
  reading: SearchReading,
  input: PageInput & { readonly query: string; readonly filter?: unknown },
): Promise<MessageSearchConnectionRow> {
  const query = parseInput(searchQuery, input.query, ['query']);
  const filter = parseInput(searchFilter, input.filter ?? {}, ['filter']);
  const page = readPage(list, 2, input);
  const [score, after] = page.from ?? [];
  if (page.from !== null && (typeof score !== 'number' || parseCursorId(after) === null))
    throw new PlatformError('CURSOR_INVALID', 'expected a cursor of this list', { path: ['after'] });

  const select = () => {
    const where = createConditions();
    const tsquery = tsqueryOf(where, query);
    where.add(`m.tenant_id = ${where.param(principal.tenantId)} AND m.search @@ ${tsquery} AND m.deleted_at IS NULL`);
    if (filter.dialogId != null) where.add(`m.dialog_id = ${where.param(filter.dialogId)}::uuid`);
    if (filter.contextId != null) where.add(`d.context_id = ${where.param(filter.contextId)}::uuid`);
    if (filter.senderSubject != null) where.add(`m.sender_subject = ${where.param(filter.senderSubject)}`);
    if (filter.type != null) where.add(`m.type = ANY(${where.param(filter.type)}::text[])`);
    if (filter.sentAt?.from)
      where.add(`m.created_at >= ${where.param(filter.sentAt.from.toISOString())}::text::timestamptz`);
    if (filter.sentAt?.to)
      where.add(`m.created_at < ${where.param(filter.sentAt.to.toISOString())}::text::timestamptz`);
    let from = 'dialog.message m JOIN dialog.dialog d ON d.tenant_id = m.tenant_id AND d.id = m.dialog_id';
    if (!observesAll(principal)) {
      from += ` JOIN dialog.participant p ON p.tenant_id = m.tenant_id AND p.dialog_id = m.dialog_id AND p.identity = ${where.param(principal.subject)}`;
      where.add(visibleText);
    }
    return { where, from, tsquery };
  };

  const { where, from, tsquery } = select();
  const rank = `ts_rank_cd(m.search, ${tsquery})::float8`;
  if (page.from !== null) where.add(`(${rank}, m.id) < (${where.param(score)}::float8, ${where.param(after)}::uuid)`);
  // Ranking reads every match anyway.
  const counted = reading.withCount && page.from === null;
  const snippet = reading.withSnippet ? `, ${snippetOf('m.text', tsquery)} AS snippet` : '';
  // The page is chosen on narrow rows; only what is on it is read in full.
  const rows = (await sql.unsafe(
    `SELECT ${reading.columns}, k.score, k.total${snippet} FROM (
       SELECT m.tenant_id, m.id, m.created_at, ${rank} AS score, ${counted ? '(count(*) OVER ())::int' : 'NULL::int'} AS total
       FROM ${from} WHERE ${where.text()} ORDER BY score DESC, m.id DESC LIMIT ${where.param(page.limit + 1)}
     ) k JOIN dialog.message m ON m.tenant_id = k.tenant_id AND m.id = k.id AND m.created_at = k.created_at
     ORDER BY k.score DESC, k.id DESC`,
    where.parameters as never[],
    { prepare: true },
  )) as unknown as RankedRow[];
  const connection = createConnection<RankedRow>(list, page, rows, (row) => [row.score, row.id]);
  return {
    ...connection,
    edges: connection.edges.map(
      (edge): MessageEdgeRow => ({ ...edge, score: edge.node.score, snippet: edge.node.snippet ?? null }),
    ),
    async count() {
      if (counted) return rows[0]?.total ?? 0;
      const counting = select();
      const [row] = await sql.unsafe(
        `SELECT count(*)::int AS n FROM ${counting.from} WHERE ${counting.where.text()}`,
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
