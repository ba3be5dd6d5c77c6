import { type ContextKey, findAccess } from '#shared/contextAudience.ts';
import { appendChange, type NewEvent } from '#shared/outbox.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import { accessTag } from './access.ts';
import { derivedId } from './ids/traceIds.ts';
import { keeper } from './keeper.ts';

/** Their traces were hidden so far: answers that left them out are stale. Most contexts have none yet. */
export async function tellHeard(
  { sql, publisher }: Pick<ModuleRuntime, 'sql' | 'publisher'>,
  contexts: readonly ContextKey[],
): Promise<void> {
  if (contexts.length === 0) return;
  const found = (await sql.unsafe(
    `SELECT k.tenant_id AS "tenantId", k.id AS "contextId" FROM unnest($1::text[], $2::uuid[]) AS k(tenant_id, id)
     WHERE EXISTS (SELECT 1 FROM trace.trace t WHERE t.tenant_id = k.tenant_id AND t.context_id = k.id)`,
    [contexts.map(({ tenantId }) => tenantId), contexts.map(({ contextId }) => contextId)],
    { prepare: true },
  )) as unknown as { tenantId: string; contextId: string }[];
  if (found.length === 0) return;
  const changes = [...Map.groupBy(found, ({ tenantId }) => tenantId)].map(([tenantId, list]) => ({
    tenantId,
    actor: keeper,
    events: [
      {
        streamId: derivedId(`contexts heard of ${tenantId}`),
        type: 'trace.contexts.heard',
        data: { ids: list.map(({ contextId }) => contextId) },
        tags: ['traces', ...list.flatMap(({ contextId }) => [accessTag(contextId), `Context:${contextId}:traces`])],
      },
    ],
  }));
  await publisher.published(await sql.begin((tx) => appendChange(tx, 'trace', changes)));
}

/** Tells who holds answers or follows open traces of the context that others may see them now. */
export async function tellAccess(
  { sql, publisher }: Pick<ModuleRuntime, 'sql' | 'publisher'>,
  { tenantId, contextId }: ContextKey,
): Promise<void> {
  const access = await findAccess(sql, 'trace', { tenantId, contextId });
  // Of an ended trace nothing new comes: who follows it sees nothing of it any more.
  const streams = (await sql.unsafe(
    `SELECT id FROM trace.trace WHERE tenant_id = $1 AND context_id = $2 AND finished_at IS NULL`,
    [tenantId, contextId],
    { prepare: true },
  )) as unknown as { id: string }[];
  const tags = [accessTag(contextId), `Context:${contextId}:traces`, 'traces'];
  const events = [contextId, ...streams.map(({ id }) => id)].map(
    (streamId, at): NewEvent => ({
      streamId,
      type: 'access.changed',
      data: { contextId, access },
      tags: at === 0 ? tags : [],
    }),
  );
  const appended = await sql.begin((tx) => appendChange(tx, 'trace', [{ tenantId, actor: keeper, events }]));
  await publisher.published(appended);
}
