import { PlatformError } from '#shared/errors.ts';
import type { Sql } from '#shared/sql.ts';
import { isActive, notAParticipant } from '../rights.ts';
import type { DialogParticipantRow, DialogRow, MessageRow } from '../rows.ts';
import { messageColumns } from '../store/messages.ts';
import type { MessageView } from '../visibility.ts';
import { createConditions } from './conditions.ts';
import { addView } from './messageFilter.ts';

export interface Inbox {
  readonly dialogId: string;
  readonly messages: MessageRow[];
  readonly nextCursor: number;
  readonly hasMore: boolean;
  readonly gapDetected: boolean;
  readonly unread: number;
}

export const maxInboxPage = 200;

/**
 * What stands behind a participant's cursor, in order. Costs the page, not the dialog: one range of the index by sequence.
 * @throws {NOT_A_PARTICIPANT} {VALIDATION_FAILED}
 */
export async function readInbox(
  sql: Sql,
  of: {
    readonly dialog: DialogRow;
    readonly participant: DialogParticipantRow | null;
    readonly view: MessageView | null;
  },
  input: { readonly after: number | null | undefined; readonly limit: number },
): Promise<Inbox> {
  const { dialog, participant, view } = of;
  if (!isActive(participant) || view === null) throw notAParticipant();
  if (input.limit < 1 || input.limit > maxInboxPage)
    throw new PlatformError('VALIDATION_FAILED', `limit: expected 1 to ${maxInboxPage}, got ${input.limit}`, {
      path: ['limit'],
    });
  if (input.after != null && input.after < 0)
    throw new PlatformError('VALIDATION_FAILED', `after: expected 0 or more, got ${input.after}`, { path: ['after'] });
  const where = createConditions();
  const tenantId = where.param(dialog.tenantId);
  const dialogId = `${where.param(dialog.id)}::uuid`;
  const me = `${where.param(participant.id)}::uuid`;
  const given = `${where.param(input.after ?? null)}::bigint`;
  // An observer's right does not fill its inbox: what is for others is theirs to receive.
  addView(where, { participantId: participant.id, spans: view.spans });
  const rows = (await sql.unsafe(
    `WITH cursor AS MATERIALIZED (
       SELECT coalesce(${given}, (SELECT read_upto FROM dialog.participant_cursor WHERE tenant_id = ${tenantId} AND dialog_id = ${dialogId} AND participant_id = ${me}), 0) AS after
     )
     SELECT c.after AS "cursorAfter", s.last_sequence AS "lastSequence", page.* FROM cursor c
     JOIN dialog.dialog_state s ON s.tenant_id = ${tenantId} AND s.dialog_id = ${dialogId}
     LEFT JOIN LATERAL (
       SELECT ${messageColumns} FROM dialog.message m
       WHERE m.tenant_id = ${tenantId} AND m.dialog_id = ${dialogId} AND m.sequence > c.after AND ${where.text()}
       ORDER BY m.sequence LIMIT ${where.param(input.limit + 1)}
     ) page ON true ORDER BY page.sequence`,
    where.parameters as never[],
    { prepare: true },
  )) as unknown as (MessageRow & { cursorAfter: number; lastSequence: number })[];
  const { cursorAfter: after, lastSequence } = rows[0]!;
  const found = rows
    .filter((row) => row.id !== null)
    .map(({ cursorAfter: _after, lastSequence: _last, ...message }) => message as MessageRow);
  const messages = found.slice(0, input.limit);
  const hasMore = found.length > input.limit;
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
}
