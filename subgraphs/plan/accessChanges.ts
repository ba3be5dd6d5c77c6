import type { EventRow } from '#shared/events.ts';
import type { NewEvent } from '#shared/outbox.ts';
import { type ReplicaChange, type ReplicaEntry, replicaChanges } from '#shared/replica.ts';
import type { Sql } from '#shared/sql.ts';
import { accessTag } from './access.ts';
import type { Commands } from './commands.ts';

/** Who sees a private context besides its owner. */
export interface Access {
  readonly visibility: string | null;
  readonly ownerId: string | null;
  readonly members: readonly string[];
}

/** A participant as the replica keeps it. */
export function readParticipant(event: EventRow): ReplicaEntry | null {
  if (!event.type.startsWith('context.participant.')) return null;
  const participant = event.data['participant'] as Readonly<Record<string, unknown>> | undefined;
  const { id, contextId, agentId, status } = participant ?? {};
  if (typeof id !== 'string' || typeof contextId !== 'string' || typeof agentId !== 'string') return null;
  return {
    id,
    status: event.type === 'context.participant.left' ? 'LEFT' : String(status),
    detail: { contextId, agentId },
  };
}

export const participantChanges = (events: readonly EventRow[]) => replicaChanges(events, readParticipant);

interface KnownContext {
  readonly tenantId: string;
  readonly id: string;
  readonly visibility: string | null;
  readonly ownerId: string | null;
}

/** The contexts concerned, as they are known now. */
export async function findKnown(
  sql: Sql,
  keys: readonly { readonly tenantId: string; readonly contextId: string }[],
): Promise<readonly KnownContext[]> {
  if (keys.length === 0) return [];
  return (await sql.unsafe(
    `SELECT c.tenant_id AS "tenantId", c.id, c.detail->>'visibility' AS visibility, c.detail->>'ownerId' AS "ownerId"
     FROM (SELECT DISTINCT * FROM unnest($1::text[], $2::uuid[]) AS k(tenant_id, id)) k JOIN plan.replica c ON c.tenant_id = k.tenant_id AND c.type = 'Context' AND c.id = k.id`,
    [keys.map(({ tenantId }) => tenantId), keys.map(({ contextId }) => contextId)],
    { prepare: true },
  )) as unknown as KnownContext[];
}

/** Contexts whose circle of readers these changes alter. */
export function changedAccess(
  known: readonly KnownContext[],
  contexts: readonly ReplicaChange[],
  participants: readonly ReplicaChange[],
): readonly { readonly tenantId: string; readonly contextId: string }[] {
  const keyOf = (tenantId: string, id: unknown) => `${tenantId}/${String(id)}`;
  const before = new Map(known.map((entry) => [keyOf(entry.tenantId, entry.id), entry]));
  const found = new Map<string, { readonly tenantId: string; readonly contextId: string }>();
  for (const { tenantId, id, detail } of contexts) {
    const was = before.get(keyOf(tenantId, id));
    if (!was || (was.visibility === detail['visibility'] && was.ownerId === detail['ownerId'])) continue;
    found.set(keyOf(tenantId, id), { tenantId, contextId: id });
  }
  for (const { tenantId, detail } of participants) {
    const key = keyOf(tenantId, detail['contextId']);
    if (before.get(key)?.visibility === 'PRIVATE') found.set(key, { tenantId, contextId: String(detail['contextId']) });
  }
  return [...found.values()];
}

/** Contexts that are heard of for the first time. */
export function newContexts(
  known: readonly KnownContext[],
  contexts: readonly ReplicaChange[],
): readonly { readonly tenantId: string; readonly contextId: string }[] {
  const before = new Set(known.map(({ tenantId, id }) => `${tenantId}/${id}`));
  const fresh = contexts.filter(({ tenantId, id }) => !before.has(`${tenantId}/${id}`));
  return [...new Map(fresh.map(({ tenantId, id }) => [`${tenantId}/${id}`, { tenantId, contextId: id }])).values()];
}

/** Their plans were hidden so far: answers that left them out are stale. Most contexts have none yet. */
export async function tellHeard(
  { sql, commands }: { readonly sql: Sql; readonly commands: Commands },
  contexts: readonly { readonly tenantId: string; readonly contextId: string }[],
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
  { tenantId, contextId }: { readonly tenantId: string; readonly contextId: string },
): Promise<void> {
  const [known] = await findKnown(sql, [{ tenantId, contextId }]);
  const members = (await sql.unsafe(
    `SELECT DISTINCT m.detail->>'agentId' AS "agentId" FROM plan.replica m WHERE m.tenant_id = $1 AND m.type = 'ContextParticipant' AND m.detail->>'contextId' = $2 AND m.status <> 'LEFT'`,
    [tenantId, contextId],
    { prepare: true },
  )) as unknown as { agentId: string }[];
  const access: Access = {
    visibility: known?.visibility ?? null,
    ownerId: known?.ownerId ?? null,
    members: members.map(({ agentId }) => agentId),
  };
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
