import type { Sql } from '#shared/sql.ts';
import { isoText } from '../record.ts';
import type { MessageRow } from '../rows.ts';
import { messageColumns } from '../store/messages.ts';

export interface DueDelivery {
  readonly tenantId: string;
  readonly dialogId: string;
  readonly messageId: string;
  readonly participantId: string;
  readonly attempts: number;
  readonly status: string;
}

interface FirstSent {
  readonly message: MessageRow;
  readonly position: number;
  readonly actor: string;
  readonly sentAt: string;
}

/** The event lies near the end of its stream and was written with its message. */
const findText = `
SELECT k.ord, e.sequence AS "position", e.actor, ${isoText('e.created_at')} AS "firstSentAt", ${messageColumns} FROM json_to_recordset($1::text::json) AS k(ord int, tenant_id text, dialog_id uuid, message_id uuid)
JOIN dialog.message m ON m.tenant_id = k.tenant_id AND m.id = k.message_id AND m.deleted_at IS NULL
CROSS JOIN LATERAL (
  SELECT e.sequence, e.actor, e.created_at FROM dialog.event e
  WHERE e.tenant_id = k.tenant_id AND e.stream_id = k.dialog_id AND e.type = 'dialog.message.sent' AND e.data->'message'->>'id' = k.message_id::text
    AND e.created_at BETWEEN m.created_at - interval '1 minute' AND m.created_at + interval '1 minute'
  ORDER BY e.sequence DESC LIMIT 1
) e`;

/** Messages as they stand, with the event that first carried each; by the place of its delivery in the list. */
export async function findFirstSent(sql: Sql, due: readonly DueDelivery[]): Promise<ReadonlyMap<number, FirstSent>> {
  const keys = due.map((row, ord) => ({
    ord,
    tenant_id: row.tenantId,
    dialog_id: row.dialogId,
    message_id: row.messageId,
  }));
  const rows = (await sql.unsafe(findText, [JSON.stringify(keys)], { prepare: true })) as unknown as (MessageRow & {
    ord: number;
    position: number;
    actor: string;
    firstSentAt: string;
  })[];
  return new Map(
    rows.map(({ ord, position, actor, firstSentAt, ...message }) => [
      ord,
      { message, position, actor, sentAt: firstSentAt },
    ]),
  );
}
