import { setTimeout as sleep } from 'node:timers/promises';
import type { Sql } from '#shared/sql.ts';

const lookEveryMs = 15;

/**
 * Waits until every module that follows contexts has taken over what this one's stream says so far: they decide by that who
 * sees what lies in it. After `maxWaitMs` it goes on regardless, so that a module that is away holds nobody up for long.
 */
export async function untilHeard(
  sql: Sql,
  { tenantId, contextId }: { readonly tenantId: string; readonly contextId: string },
  maxWaitMs = 5_000,
): Promise<void> {
  const [last] = (await sql.unsafe(
    `SELECT position::text AS position FROM context.event
     WHERE tenant_id = $1 AND stream_id = $2 AND created_at > now() - interval '1 hour' ORDER BY sequence DESC LIMIT 1`,
    [tenantId, contextId],
    { prepare: true },
  )) as unknown as { position: string }[];
  if (!last) return;
  for (const until = performance.now() + maxWaitMs; performance.now() < until; await sleep(lookEveryMs)) {
    const [behind] = await sql.unsafe(
      `SELECT 1 FROM context.consumer_offset WHERE (consumer LIKE '%.contexts' OR consumer = 'confirm.requests') AND position < $1::bigint LIMIT 1`,
      [last.position],
      { prepare: true },
    );
    if (!behind) return;
  }
}
