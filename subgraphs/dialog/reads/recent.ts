import {
  createConnection,
  defaultPageSize,
  encodePageCursor,
  type Page,
  type PageInput,
  readPage,
} from '#shared/connection.ts';
import { PlatformError } from '#shared/errors.ts';
import type { Sql } from '#shared/sql.ts';
import type { DialogRow, MessageConnectionRow, MessageRow, ThreadSummaryValue } from '../rows.ts';
import { messageColumns } from '../store/messages.ts';
import type { MessageView } from '../visibility.ts';
import { summaryColumns } from './history.ts';
import { toMultirange } from './messageFilter.ts';

export interface RecentKey {
  readonly dialog: DialogRow;
  /** Null: nothing of it may be read. */
  readonly view: MessageView | null;
  readonly page: PageInput;
}

const lateral = (select: string, tail: string) => `
SELECT k.ord, page.* FROM json_to_recordset($1::text::json)
  AS k(ord int, dialog_id uuid, spans int8multirange, me uuid, edge bigint, after_sequence bigint, after_id uuid, lim int)
CROSS JOIN LATERAL (
  SELECT ${select} WHERE m.tenant_id = $2 AND m.dialog_id = k.dialog_id AND m.sequence >= lower(k.spans) AND k.spans @> m.sequence
    AND (k.me IS NULL OR m.recipients IS NULL OR m.sender_id = k.me OR k.me = ANY(m.recipients)) ${tail}
) page ORDER BY k.ord`;

const pageTexts = {
  backward: `${lateral(`${messageColumns} FROM dialog.message m`, 'AND (k.edge IS NULL OR m.sequence < k.edge) ORDER BY m.sequence DESC LIMIT k.lim')}, page.sequence DESC`,
  forward: `${lateral(`${messageColumns} FROM dialog.message m`, 'AND (k.edge IS NULL OR m.sequence > k.edge) ORDER BY m.sequence LIMIT k.lim')}, page.sequence`,
} as const;

/** Pages of messages of several dialogs, one statement a direction; without arguments the newest, in the order said. */
export async function readRecent(
  sql: Sql,
  tenantId: string,
  keys: readonly RecentKey[],
  summary: (key: SummaryOfKey) => Promise<ThreadSummaryValue>,
): Promise<readonly (MessageConnectionRow | Error)[]> {
  const pages = keys.map(({ view, page }): Page | PlatformError => {
    if (view === null) return new PlatformError('HISTORY_FORBIDDEN', "only participants read a dialog's messages");
    try {
      const given = page.first != null || page.after != null || page.last != null || page.before != null;
      return readPage('messages', 1, given ? page : { last: defaultPageSize });
    } catch (error) {
      if (error instanceof PlatformError) return error;
      throw error;
    }
  });
  const byKey = new Map<number, MessageRow[]>();
  const read = async (direction: Page['direction']) => {
    const wanted = keys.flatMap(({ dialog, view }, ord) => {
      const page = pages[ord]!;
      if (page instanceof Error || view === null || page.direction !== direction) return [];
      const spans = toMultirange(view);
      return [
        { ord, dialog_id: dialog.id, spans, me: view.participantId, edge: page.from?.[0] ?? null, lim: page.limit + 1 },
      ];
    });
    if (wanted.length === 0) return;
    const rows = (await sql.unsafe(pageTexts[direction], [JSON.stringify(wanted), tenantId], {
      prepare: true,
    })) as unknown as (MessageRow & { ord: number })[];
    for (const { ord, ...row } of rows) byKey.set(ord, [...(byKey.get(ord) ?? []), row as MessageRow]);
  };
  await Promise.all([read('backward'), read('forward')]);
  return keys.map(({ dialog, view }, ord): MessageConnectionRow | Error => {
    const page = pages[ord]!;
    if (page instanceof Error) return page;
    const { nodes, edges, pageInfo } = createConnection('messages', page, byKey.get(ord) ?? [], (node) => [
      node.sequence,
    ]);
    return {
      nodes: [...nodes],
      edges: edges.map((edge) => ({ ...edge, score: null, snippet: null })),
      pageInfo,
      count: async () => (await summary({ dialog, view })).messageCount,
      summary: () => summary({ dialog, view }),
    };
  });
}

export type SummaryOfKey = Pick<RecentKey, 'dialog' | 'view'>;

const nothingSaid = { threadId: null, participantCount: 0, messageCount: 0, lastActivityAt: null, openActionItems: 0 };

const summariesText = lateral(
  `${summaryColumns} FROM dialog.message m LEFT JOIN dialog.message_analysis a ON a.tenant_id = m.tenant_id AND a.message_id = m.id`,
  '',
);

/** Who said how much in several dialogs, in one statement. */
export async function readSummaries(
  sql: Sql,
  tenantId: string,
  keys: readonly SummaryOfKey[],
): Promise<readonly ThreadSummaryValue[]> {
  const wanted = keys.flatMap(({ dialog, view }, ord) =>
    view === null ? [] : [{ ord, dialog_id: dialog.id, spans: toMultirange(view), me: view.participantId }],
  );
  const rows = (await sql.unsafe(summariesText, [JSON.stringify(wanted), tenantId], {
    prepare: true,
  })) as unknown as (Omit<ThreadSummaryValue, 'threadId'> & { ord: number })[];
  const byKey = new Map(rows.map(({ ord, ...summary }) => [ord, { ...summary, threadId: null }]));
  return keys.map((_key, ord) => byKey.get(ord) ?? nothingSaid);
}

export interface ThreadsKey {
  readonly dialog: DialogRow;
  readonly view: MessageView | null;
  readonly first: number | null;
  readonly after: string | null;
}

export interface ThreadPage {
  readonly edges: readonly {
    readonly cursor: string;
    readonly node: { readonly threadId: string; readonly dialogId: string; readonly summary: ThreadSummaryValue };
  }[];
  readonly nodes: readonly {
    readonly threadId: string;
    readonly dialogId: string;
    readonly summary: ThreadSummaryValue;
  }[];
  readonly pageInfo: MessageConnectionRow['pageInfo'];
}

const threadsText = `${lateral(
  `m.thread_id AS "threadId", max(m.sequence) AS "lastSequence", ${summaryColumns} FROM dialog.message m LEFT JOIN dialog.message_analysis a ON a.tenant_id = m.tenant_id AND a.message_id = m.id`,
  `AND m.thread_id IS NOT NULL GROUP BY m.thread_id
    HAVING k.after_id IS NULL OR (max(m.sequence), m.thread_id) < (k.after_sequence, k.after_id) ORDER BY max(m.sequence) DESC, m.thread_id DESC LIMIT k.lim`,
)}, page."lastSequence" DESC, page."threadId" DESC`;

const threadCountText = lateral(
  'count(DISTINCT m.thread_id)::int AS n FROM dialog.message m',
  'AND m.thread_id IS NOT NULL',
);

/** How many threads the views show, in one statement. */
export async function countThreads(
  sql: Sql,
  tenantId: string,
  keys: readonly SummaryOfKey[],
): Promise<readonly number[]> {
  const wanted = keys.flatMap(({ dialog, view }, ord) =>
    view === null ? [] : [{ ord, dialog_id: dialog.id, spans: toMultirange(view), me: view.participantId }],
  );
  const rows = (await sql.unsafe(threadCountText, [JSON.stringify(wanted), tenantId], {
    prepare: true,
  })) as unknown as { ord: number; n: number }[];
  const byKey = new Map(rows.map(({ ord, n }) => [ord, n]));
  return keys.map((_key, ord) => byKey.get(ord) ?? 0);
}

/** Threads of several dialogs in one statement, the liveliest first. */
export async function readThreads(
  sql: Sql,
  tenantId: string,
  keys: readonly ThreadsKey[],
): Promise<readonly (ThreadPage | Error)[]> {
  const pages = keys.map(({ first, after, view }): Page | PlatformError => {
    if (view === null) return new PlatformError('HISTORY_FORBIDDEN', "only participants read a dialog's threads");
    try {
      return readPage('threads', 2, { first, after });
    } catch (error) {
      if (error instanceof PlatformError) return error;
      throw error;
    }
  });
  const wanted = keys.flatMap(({ dialog, view }, ord) => {
    const page = pages[ord]!;
    if (page instanceof Error || view === null) return [];
    return [
      {
        ord,
        dialog_id: dialog.id,
        spans: toMultirange(view),
        me: view.participantId,
        after_sequence: page.from?.[0] ?? null,
        after_id: page.from?.[1] ?? null,
        lim: page.limit + 1,
      },
    ];
  });
  const rows =
    wanted.length === 0
      ? []
      : ((await sql.unsafe(threadsText, [JSON.stringify(wanted), tenantId], {
          prepare: true,
        })) as unknown as (ThreadSummaryValue & { threadId: string; lastSequence: number; ord: number })[]);
  const byKey = Map.groupBy(rows, (row) => row.ord);
  return keys.map(({ dialog }, ord): ThreadPage | Error => {
    const page = pages[ord]!;
    if (page instanceof Error) return page;
    const found = byKey.get(ord) ?? [];
    const edges = found.slice(0, page.limit).map(({ ord: _ord, lastSequence, ...summary }) => ({
      cursor: encodePageCursor('threads', [lastSequence, summary.threadId]),
      node: { threadId: summary.threadId, dialogId: dialog.id, summary },
    }));
    return {
      edges,
      nodes: edges.map((edge) => edge.node),
      pageInfo: {
        hasNextPage: found.length > page.limit,
        hasPreviousPage: page.from !== null,
        startCursor: edges[0]?.cursor ?? null,
        endCursor: edges.at(-1)?.cursor ?? null,
      },
    };
  });
}
