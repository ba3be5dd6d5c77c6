import { PlatformError } from '#shared/errors.ts';
import type { Principal } from '#shared/principal.ts';
import type { Sql } from '#shared/sql.ts';

export const maxWaitingDialogs = 50;

const waitingText = `
SELECT p.dialog_id AS id FROM dialog.participant p
JOIN dialog.dialog_state s ON s.tenant_id = p.tenant_id AND s.dialog_id = p.dialog_id
LEFT JOIN dialog.participant_cursor c ON c.tenant_id = p.tenant_id AND c.dialog_id = p.dialog_id AND c.participant_id = p.id
WHERE p.tenant_id = $1 AND p.identity = $2 AND p.status = 'ACTIVE' AND 'READ' = ANY(p.permissions)
  AND s.last_sequence > coalesce(c.read_upto, 0)
  AND EXISTS (
    SELECT FROM dialog.message m
    WHERE m.tenant_id = p.tenant_id AND m.dialog_id = p.dialog_id AND m.sequence > coalesce(c.read_upto, 0)
      AND m.sender_id IS DISTINCT FROM p.id AND (m.recipients IS NULL OR p.id = ANY(m.recipients)))
ORDER BY s.last_message_at, p.dialog_id LIMIT $3`;

/** Dialogs in which others have written behind what the caller acknowledged, longest waiting first. @throws {VALIDATION_FAILED} */
export async function findWaitingDialogs(sql: Sql, principal: Principal, first: number): Promise<readonly string[]> {
  if (first < 1 || first > maxWaitingDialogs)
    throw new PlatformError('VALIDATION_FAILED', `first: expected 1 to ${maxWaitingDialogs}, got ${first}`, {
      path: ['first'],
    });
  const rows = (await sql.unsafe(waitingText, [principal.tenantId, principal.subject, first], {
    prepare: true,
  })) as unknown as { id: string }[];
  return rows.map((row) => row.id);
}
