import { type Batcher, createBatcher } from '#shared/batch.ts';
import { PlatformError } from '#shared/errors.ts';
import type { Sql } from '#shared/sql.ts';
import { isActive, notAParticipant } from '../rights.ts';
import type { MessageRow } from '../rows.ts';
import type { MessageView } from '../visibility.ts';
import { toMultirange } from './messageFilter.ts';
import type { Standing } from './standing.ts';

export interface Inbox {
  readonly dialogId: string;
  readonly messages: MessageRow[];
  readonly nextCursor: number;
  readonly hasMore: boolean;
  readonly gapDetected: boolean;
  readonly unread: number;
}

export interface InboxRequest extends Standing {
  readonly view: MessageView | null;
  /** Null: behind what the participant has read. */
  readonly after: number | null;
  readonly limit: number;
  /** Select list of a message on alias m. */
  readonly columns: string;
}

interface PageKey {
  readonly tenant_id: string;
  readonly dialog_id: string;
  readonly me: string;
  readonly after: number | null;
  readonly spans: string;
  readonly lim: number;
}

interface InboxPage {
  readonly after: number;
  readonly lastSequence: number;
  readonly found: MessageRow[];
}

export const maxInboxPage = 200;

// Where nothing was said behind the cursor no partition is searched at all. An observer's right does not fill its inbox:
// what is for others is theirs to receive.
const pageText = (columns: string) => `
SELECT k.ord, c.after AS "pageAfter", s.last_sequence AS "pageLast", page.*
FROM json_to_recordset($1::text::json)
  AS k(ord int, tenant_id text, dialog_id uuid, me uuid, after bigint, spans int8multirange, lim int)
JOIN dialog.dialog_state s USING (tenant_id, dialog_id)
CROSS JOIN LATERAL (
  SELECT coalesce(k.after, (SELECT r.read_upto FROM dialog.participant_cursor r
    WHERE r.tenant_id = k.tenant_id AND r.dialog_id = k.dialog_id AND r.participant_id = k.me), 0) AS after
) c
LEFT JOIN LATERAL (
  SELECT ${columns} FROM dialog.message m
  WHERE s.last_sequence > c.after AND m.tenant_id = k.tenant_id AND m.dialog_id = k.dialog_id
    AND m.sequence > c.after AND m.sequence >= lower(k.spans) AND k.spans @> m.sequence
    AND (m.recipients IS NULL OR m.sender_id = k.me OR k.me = ANY(m.recipients))
  ORDER BY m.sequence LIMIT k.lim
) page ON true
ORDER BY k.ord, page.sequence`;

export type InboxReader = ReturnType<typeof createInboxReader>;

/**
 * What stands behind participants' cursors, in order. Costs the page, not the dialog: one range of the index by sequence;
 * inboxes polled at the same time share a statement.
 */
export function createInboxReader(sql: Sql) {
  /** By select list, of which there are few. */
  const batches = new Map<string, Batcher<PageKey, InboxPage>>();

  function batchOf(columns: string): Batcher<PageKey, InboxPage> {
    const known = batches.get(columns);
    if (known) return known;
    const text = pageText(columns);
    const batch = createBatcher<PageKey, InboxPage>({
      maxItems: 100,
      maxDelayMs: 0,
      maxRuns: 2,
      async run(keys) {
        const records = keys.map((key, ord) => ({ ord, ...key }));
        const rows = (await sql.unsafe(text, [JSON.stringify(records)], {
          prepare: true,
        })) as unknown as (MessageRow & {
          ord: number;
          pageAfter: number;
          pageLast: number;
        })[];
        const pages: (InboxPage | Error)[] = keys.map(() => new PlatformError('NOT_FOUND', 'no such dialog'));
        for (const { ord, pageAfter, pageLast, ...message } of rows) {
          let page = pages[ord]!;
          if (page instanceof Error) pages[ord] = page = { after: pageAfter, lastSequence: pageLast, found: [] };
          if (message.id !== null) page.found.push(message as MessageRow);
        }
        return pages;
      },
    });
    batches.set(columns, batch);
    return batch;
  }

  /** @throws {NOT_A_PARTICIPANT} {VALIDATION_FAILED} */
  return async function readInbox(request: InboxRequest): Promise<Inbox> {
    const { dialog, participant, view } = request;
    if (!isActive(participant) || view === null) throw notAParticipant();
    if (request.limit < 1 || request.limit > maxInboxPage)
      throw new PlatformError('VALIDATION_FAILED', `limit: expected 1 to ${maxInboxPage}, got ${request.limit}`, {
        path: ['limit'],
      });
    if (request.after !== null && request.after < 0)
      throw new PlatformError('VALIDATION_FAILED', `after: expected 0 or more, got ${request.after}`, {
        path: ['after'],
      });
    const { after, lastSequence, found } = await batchOf(request.columns).add({
      tenant_id: dialog.tenantId,
      dialog_id: dialog.id,
      me: participant.id,
      after: request.after,
      spans: toMultirange(view),
      lim: request.limit + 1,
    });
    const messages = found.slice(0, request.limit);
    const hasMore = found.length > request.limit;
    return {
      dialogId: dialog.id,
      messages,
      // Behind the last page stands what is for others; nothing of it is for this participant.
      nextCursor: hasMore
        ? messages.at(-1)!.sequence
        : Math.max(after, messages.at(-1)?.sequence ?? after, view.spans.at(-1)?.[1] === null ? lastSequence : 0),
      hasMore,
      gapDetected: after + 1 < dialog.keptFrom && (view.spans[0]?.[0] ?? 1) < dialog.keptFrom,
      unread: Math.max(0, lastSequence - after),
    };
  };
}
