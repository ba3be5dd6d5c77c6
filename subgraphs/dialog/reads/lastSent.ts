import type { Sql } from '#shared/sql.ts';

/** When somebody said something last in a dialog. */
export interface LastSent {
  readonly dialogId: string;
  readonly senderId: string;
  readonly sentAt: string;
}

/** For all senders of several dialogs in one statement; what was deleted was said all the same. */
export async function findLastSent(
  sql: Sql,
  tenantId: string,
  dialogIds: readonly string[],
): Promise<readonly LastSent[]> {
  return (await sql.unsafe(
    `SELECT m.dialog_id AS "dialogId", m.sender_id AS "senderId",
       to_char(max(m.created_at) AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS "sentAt"
     FROM dialog.message m WHERE m.tenant_id = $1 AND m.dialog_id = ANY($2::uuid[]) AND m.sender_id IS NOT NULL GROUP BY 1, 2`,
    [tenantId, dialogIds as string[]],
    { prepare: true },
  )) as unknown as readonly LastSent[];
}
