import { createConnection, type PageInput, readPage } from '#shared/connection.ts';
import { PlatformError } from '#shared/errors.ts';
import type { Sql } from '#shared/sql.ts';
import { parseInput } from '#shared/validation.ts';
import type { DialogRow, MessageConnectionRow, MessageEdgeRow, MessageRow, ThreadSummaryValue } from '../rows.ts';
import type { MessageView } from '../visibility.ts';
import { createConditions } from './conditions.ts';
import { addMessageFilter, addView, messageFilter, searchQuery, tsqueryOf } from './messageFilter.ts';

export interface HistoryInput extends PageInput {
  readonly filter?: unknown;
  readonly query?: string | null | undefined;
}

export interface HistoryReading {
  /** Null: nothing of it may be read. */
  readonly view: MessageView | null;
  /** Select list of a message on alias m. */
  readonly columns: string;
  /** Whether a search shows where it found something. */
  readonly withSnippet: boolean;
}

interface ScoredRow extends MessageRow {
  readonly score?: number;
  readonly snippet?: string;
}

const list = 'messages';

/**
 * A page of a dialog by sequence, in both directions.
 * @throws {HISTORY_FORBIDDEN} when what is asked for lies before the caller joined. @throws {CURSOR_INVALID} {VALIDATION_FAILED}
 */
export async function readHistory(
  sql: Sql,
  dialog: Pick<DialogRow, 'tenantId' | 'id'>,
  { view, columns, withSnippet }: HistoryReading,
  input: HistoryInput,
): Promise<MessageConnectionRow> {
  if (view === null)
    throw new PlatformError('HISTORY_FORBIDDEN', "only participants read a dialog's messages", { path: ['dialogId'] });
  const page = readPage(list, 1, input);
  const filter = parseInput(messageFilter, input.filter ?? {}, ['filter']);
  const query = input.query == null ? null : parseInput(searchQuery, input.query, ['query']);
  const from = page.from?.[0] ?? null;
  if (from !== null && (typeof from !== 'number' || !Number.isSafeInteger(from)))
    throw new PlatformError('CURSOR_INVALID', 'expected a cursor of this list', { path: ['after'] });
  const firstVisible = view.spans[0]?.[0] ?? 1;
  const asksUpTo = Math.min(
    filter.toSequence ?? Number.POSITIVE_INFINITY,
    page.direction === 'backward' && typeof from === 'number' ? from - 1 : Number.POSITIVE_INFINITY,
  );
  if (asksUpTo < firstVisible && asksUpTo > 0 && firstVisible > 1) {
    throw new PlatformError('HISTORY_FORBIDDEN', `the caller reads from sequence ${firstVisible} on`, {
      path: ['filter'],
      details: { firstVisible },
    });
  }

  const select = () => {
    const where = createConditions();
    where.add(`m.tenant_id = ${where.param(dialog.tenantId)} AND m.dialog_id = ${where.param(dialog.id)}::uuid`);
    addView(where, view);
    addMessageFilter(where, filter, view);
    const tsquery = query === null ? null : tsqueryOf(where, query);
    if (tsquery !== null)
      where.add(
        `m.search @@ ${tsquery} AND m.deleted_at IS NULL AND ARRAY[m.dialog_id] && ARRAY[${where.param(dialog.id)}::uuid]`,
      );
    return { where, tsquery };
  };

  const { where, tsquery } = select();
  const backward = page.direction === 'backward';
  if (from !== null) where.add(`m.sequence ${backward ? '<' : '>'} ${where.param(from)}::bigint`);
  const extra =
    tsquery === null
      ? ''
      : `, ts_rank_cd(m.search, ${tsquery})::float8 AS score${withSnippet ? `, ${snippetOf('m.text', tsquery)} AS snippet` : ''}`;
  const rows = (await sql.unsafe(
    `SELECT ${columns}${extra} FROM dialog.message m WHERE ${where.text()} ORDER BY m.sequence ${backward ? 'DESC' : 'ASC'} LIMIT ${where.param(page.limit + 1)}`,
    where.parameters as never[],
    { prepare: true },
  )) as unknown as ScoredRow[];
  const connection = createConnection<ScoredRow>(list, page, rows, (row) => [row.sequence]);
  return {
    ...connection,
    edges: connection.edges.map(
      (edge): MessageEdgeRow => ({ ...edge, score: edge.node.score ?? null, snippet: edge.node.snippet ?? null }),
    ),
    async count() {
      const counting = select().where;
      const [row] = await sql.unsafe(
        `SELECT count(*)::int AS n FROM dialog.message m WHERE ${counting.text()}`,
        counting.parameters as never[],
        { prepare: true },
      );
      return (row as unknown as { n: number }).n;
    },
    summary: () => readThreadSummary(sql, dialog, view, filter.threadId ?? null),
  };
}

/** Who said how much in a thread (null: in the whole dialog), as far as the view goes. */
export async function readThreadSummary(
  sql: Sql,
  dialog: Pick<DialogRow, 'tenantId' | 'id'>,
  view: MessageView,
  threadId: string | null,
): Promise<ThreadSummaryValue> {
  const where = createConditions();
  where.add(`m.tenant_id = ${where.param(dialog.tenantId)} AND m.dialog_id = ${where.param(dialog.id)}::uuid`);
  addView(where, view);
  if (threadId !== null) where.add(`m.thread_id = ${where.param(threadId)}::uuid`);
  const [row] = await sql.unsafe(
    `SELECT ${summaryColumns} FROM dialog.message m LEFT JOIN dialog.message_analysis a ON a.tenant_id = m.tenant_id AND a.message_id = m.id WHERE ${where.text()}`,
    where.parameters as never[],
    { prepare: true },
  );
  return { ...(row as unknown as Omit<ThreadSummaryValue, 'threadId'>), threadId };
}

/** Where a message's text matches, with `<b>` around the hits. */
export function snippetOf(text: string, tsquery: string): string {
  return `ts_headline('simple', left(coalesce(${text}, ''), 20000), ${tsquery}, 'StartSel=<b>, StopSel=</b>, MaxWords=30, MinWords=10')`;
}

/** Over `dialog.message m LEFT JOIN dialog.message_analysis a`. */
export const summaryColumns = `count(DISTINCT coalesce(m.sender_id::text, m.sender_subject))::int AS "participantCount", count(*)::int AS "messageCount",
  to_char(max(m.created_at) AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS "lastActivityAt",
  (count(*) FILTER (WHERE m.type = 'ACTION_ITEM' AND a.message_id IS NULL AND m.deleted_at IS NULL) + coalesce(sum(a.action_items), 0))::int AS "openActionItems"`;
