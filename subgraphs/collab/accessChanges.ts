import { type ContextKey, findAccess } from '#shared/contextAudience.ts';
import { appendChange, type NewEvent } from '#shared/outbox.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import { accessTag } from './access.ts';

/** Tells who holds answers or follows collaborations of a context that others may see them now; most contexts have none. */
export async function tellAccess(
  { sql, publisher }: Pick<ModuleRuntime, 'sql' | 'publisher'>,
  { tenantId, contextId }: ContextKey,
): Promise<void> {
  const found = (await sql.unsafe(
    `SELECT id, status IN ('completed', 'cancelled') AS "isOver" FROM collab.collaboration WHERE tenant_id = $1 AND context_id = $2`,
    [tenantId, contextId],
    { prepare: true },
  )) as unknown as { id: string; isOver: boolean }[];
  if (found.length === 0) return;
  const access = await findAccess(sql, 'collab', { tenantId, contextId });
  const tags = [
    accessTag(contextId),
    `Context:${contextId}:collaborations`,
    'collaborations',
    ...found.map(({ id }) => `Collaboration:${id}`),
  ];
  // Of one that is over nothing new comes: who follows it sees nothing of it any more.
  const streams = [contextId, ...found.filter(({ isOver }) => !isOver).map(({ id }) => id)];
  const events = streams.map(
    (streamId, at): NewEvent => ({
      streamId,
      type: 'access.changed',
      data: { contextId, access },
      tags: at === 0 ? tags : [],
    }),
  );
  await publisher.published(
    await sql.begin((tx) => appendChange(tx, 'collab', [{ tenantId, actor: 'system:collab', events }])),
  );
}
