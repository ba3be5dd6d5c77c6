import { type ContextKey, findAccess } from '#shared/contextAudience.ts';
import type { NewEvent } from '#shared/outbox.ts';
import type { Sql } from '#shared/sql.ts';
import { accessTag } from './access.ts';
import type { Commands } from './commands.ts';

/** Their plans were hidden so far: answers that left them out are stale. Most contexts have none yet. */
export async function tellHeard(
  { sql, commands }: { readonly sql: Sql; readonly commands: Commands },
  contexts: readonly ContextKey[],
): Promise<void> {
  if (contexts.length === 0) return;
  const found = (await sql.unsafe(
    `SELECT k.tenant_id AS "tenantId", k.id AS "contextId" FROM unnest($1::text[], $2::uuid[]) AS k(tenant_id, id)
     WHERE EXISTS (SELECT 1 FROM plan.plan p WHERE p.tenant_id = k.tenant_id AND p.context_id = k.id)`,
    [contexts.map(({ tenantId }) => tenantId), contexts.map(({ contextId }) => contextId)],
    { prepare: true },
  )) as unknown as { tenantId: string; contextId: string }[];
  for (const [tenantId, list] of Map.groupBy(found, (context) => context.tenantId)) {
    const events = list.map(
      ({ contextId }, at): NewEvent => ({
        streamId: contextId,
        type: 'context.heard',
        data: { contextId },
        tags: [accessTag(contextId), `Context:${contextId}:plans`, ...(at === 0 ? ['plans'] : [])],
      }),
    );
    await commands.runAs(tenantId, 'system', async () => ({ response: null, events }));
  }
}

/** Tells who holds answers or follows streams of the context's plans that others may see them now. */
export async function tellAccess(
  { sql, commands }: { readonly sql: Sql; readonly commands: Commands },
  { tenantId, contextId }: ContextKey,
): Promise<void> {
  const access = await findAccess(sql, 'plan', { tenantId, contextId });
  // Streams in which something still happens: who follows another sees nothing new in it.
  const streams = (await sql.unsafe(
    `SELECT id FROM plan.plan WHERE tenant_id = $1 AND context_id = $2 AND status NOT IN ('completed', 'cancelled')
     UNION ALL SELECT id FROM plan.execution WHERE tenant_id = $1 AND context_id = $2 AND status IN ('RUNNING', 'PAUSED')
     UNION ALL SELECT id FROM plan.session WHERE tenant_id = $1 AND context_id = $2 AND status = 'OPEN'`,
    [tenantId, contextId],
    { prepare: true },
  )) as unknown as { id: string }[];
  const tags = [accessTag(contextId), `Context:${contextId}:plans`, 'plans'];
  const events = [contextId, ...streams.map(({ id }) => id)].map(
    (streamId, at): NewEvent => ({
      streamId,
      type: 'access.changed',
      data: { contextId, access },
      tags: at === 0 ? tags : [],
    }),
  );
  await commands.runAs(tenantId, 'system', async () => ({ response: null, events }));
}
