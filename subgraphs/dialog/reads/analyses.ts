import type { Sql } from '#shared/sql.ts';
import { isoText } from '../record.ts';
import type { DialogSummaryRow, MessageAnalysisRow } from '../rows.ts';
import type { MessageView } from '../visibility.ts';
import { toMultirange } from './messageFilter.ts';

const analysisColumns = `a.message_id AS "messageId", a.dialog_id AS "dialogId", a.sequence, a.provider, a.version, a.result, ${isoText('a.analyzed_at')} AS "analyzedAt"`;
export const summaryColumns = `y.tenant_id AS "tenantId", y.id, y.dialog_id AS "dialogId", y.thread_id AS "threadId", y.status, y.from_sequence AS "fromSequence",
  y.to_sequence AS "toSequence", y.provider, y.version, y.result, y.error, ${isoText('y.requested_at')} AS "requestedAt", y.requested_by AS "requestedBy", ${isoText('y.completed_at')} AS "completedAt"`;

export async function findAnalyses(
  sql: Sql,
  tenantId: string,
  messageIds: readonly string[],
): Promise<readonly MessageAnalysisRow[]> {
  return (await sql.unsafe(
    `SELECT ${analysisColumns} FROM dialog.message_analysis a WHERE a.tenant_id = $1 AND a.message_id = ANY($2::uuid[])`,
    [tenantId, messageIds as string[]],
    { prepare: true },
  )) as unknown as MessageAnalysisRow[];
}

export interface SummaryKey {
  readonly dialogId: string;
  readonly threadId: string | null;
  /** What its reader may read: a summary that tells of anything else is not for it. */
  readonly view: MessageView;
}

/**
 * The newest finished summary of each that tells nothing its reader may not know. Stays that follow on each other are one
 * in a multirange; what was made of no message has an empty range.
 */
export async function findSummaries(
  sql: Sql,
  tenantId: string,
  keys: readonly SummaryKey[],
): Promise<readonly (DialogSummaryRow | null)[]> {
  const rows = (await sql.unsafe(
    `SELECT k.ord, y.* FROM json_to_recordset($1::text::json) AS k(ord int, dialog_id uuid, thread_id uuid, spans int8multirange)
     CROSS JOIN LATERAL (SELECT ${summaryColumns} FROM dialog.summary y WHERE y.tenant_id = $2 AND y.dialog_id = k.dialog_id AND y.thread_id IS NOT DISTINCT FROM k.thread_id
       AND y.status = 'COMPLETED' AND k.spans @> int8range(y.from_sequence, y.to_sequence + 1) ORDER BY y.requested_at DESC, y.id LIMIT 1) y`,
    [
      JSON.stringify(
        keys.map((key, ord) => ({
          ord,
          dialog_id: key.dialogId,
          thread_id: key.threadId,
          spans: toMultirange(key.view),
        })),
      ),
      tenantId,
    ],
    { prepare: true },
  )) as unknown as (DialogSummaryRow & { ord: number })[];
  const byKey = new Map(rows.map(({ ord, ...row }) => [ord, row as DialogSummaryRow]));
  return keys.map((_key, ord) => byKey.get(ord) ?? null);
}
