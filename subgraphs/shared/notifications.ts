import { newId } from './ids.ts';
import type { NewJob } from './outbox.ts';
import type { SqlTransaction } from './sql.ts';

export const notifyTask = 'platform.notify';

export interface NewNotification {
  readonly tenantId: string;
  /** Names of channels; those that are not there or off are passed over. */
  readonly channels: readonly string[];
  readonly subject: string;
  readonly body: Readonly<Record<string, unknown>>;
}

/** Writes a notification for each channel, and answers the jobs that send them: they belong to the same transaction. */
export async function appendNotifications(
  tx: SqlTransaction,
  { tenantId, channels, subject, body }: NewNotification,
): Promise<readonly NewJob[]> {
  if (channels.length === 0) return [];
  const found = (await tx.unsafe(
    'SELECT name FROM platform.channel WHERE tenant_id = $1 AND name = ANY($2::text[]) AND enabled ORDER BY name',
    [tenantId, [...channels]],
    { prepare: true },
  )) as unknown as { name: string }[];
  const rows = found.map(({ name }) => ({ id: newId(), name }));
  if (rows.length === 0) return [];
  await tx.unsafe(
    `INSERT INTO platform.notification (tenant_id, id, channel, subject, body)
     SELECT $1, r.id, r.name, $3, $4::text::jsonb FROM json_to_recordset($2::text::json) AS r(id uuid, name text)`,
    [tenantId, JSON.stringify(rows), subject.slice(0, 500), JSON.stringify(body)],
    { prepare: true },
  );
  return rows.map(({ id }) => ({
    task: notifyTask,
    payload: { tenantId, notificationId: id },
    key: id,
    maxAttempts: 8,
  }));
}
