import type { EventRow } from '#shared/events.ts';
import { appendChange, type NewEvent } from '#shared/outbox.ts';
import { type ReplicaChange, type ReplicaEntry, replicaChanges } from '#shared/replica.ts';
import type { Sql } from '#shared/sql.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import { accessTag } from './access.ts';

/** Who sees a private context besides its owner. */
export interface Access {
  readonly visibility: string | null;
  readonly ownerId: string | null;
  readonly members: readonly string[];
}

interface ContextRef {
  readonly tenantId: string;
  readonly contextId: string;
}

function readParticipant(event: EventRow): ReplicaEntry | null {
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

export interface KnownContext {
  readonly tenantId: string;
  readonly id: string;
  readonly visibility: string | null;
  readonly ownerId: string | null;
}

/** The contexts concerned, as they are known now. */
export async function findKnown(sql: Sql, keys: readonly ContextRef[]): Promise<readonly KnownContext[]> {
  if (keys.length === 0) return [];
  return (await sql.unsafe(
    `SELECT r.tenant_id AS "tenantId", r.id, r.detail->>'visibility' AS visibility, r.detail->>'ownerId' AS "ownerId"
     FROM (SELECT DISTINCT * FROM unnest($1::text[], $2::uuid[]) AS k(tenant_id, id)) k
     JOIN collab.replica r ON r.tenant_id = k.tenant_id AND r.type = 'Context' AND r.id = k.id`,
    [keys.map(({ tenantId }) => tenantId), keys.map(({ contextId }) => contextId)],
    { prepare: true },
  )) as unknown as KnownContext[];
}

const refKey = (tenantId: string, id: unknown) => `${tenantId}/${String(id)}`;

/** Contexts whose circle of readers these changes alter, or that are heard of for the first time. */
export function changedAccess(
  known: readonly KnownContext[],
  contexts: readonly ReplicaChange[],
  participants: readonly ReplicaChange[],
): readonly ContextRef[] {
  const before = new Map(known.map((entry) => [refKey(entry.tenantId, entry.id), entry]));
  const found = new Map<string, ContextRef>();
  for (const { tenantId, id, detail } of contexts) {
    const was = before.get(refKey(tenantId, id));
    if (was && was.visibility === detail['visibility'] && was.ownerId === detail['ownerId']) continue;
    found.set(refKey(tenantId, id), { tenantId, contextId: id });
  }
  for (const { tenantId, detail } of participants) {
    const key = refKey(tenantId, detail['contextId']);
    if (before.get(key)?.visibility === 'PRIVATE') found.set(key, { tenantId, contextId: String(detail['contextId']) });
  }
  return [...found.values()];
}

/** Tells who holds answers or follows collaborations of a context that others may see them now; most contexts have none. */
export async function tellAccess(
  { sql, publisher }: Pick<ModuleRuntime, 'sql' | 'publisher'>,
  { tenantId, contextId }: ContextRef,
): Promise<void> {
  const found = (await sql.unsafe(
    `SELECT id, status IN ('completed', 'cancelled') AS "isOver" FROM collab.collaboration WHERE tenant_id = $1 AND context_id = $2`,
    [tenantId, contextId],
    { prepare: true },
  )) as unknown as { id: string; isOver: boolean }[];
  if (found.length === 0) return;
  const [known] = await findKnown(sql, [{ tenantId, contextId }]);
  const members = (await sql.unsafe(
    `SELECT DISTINCT m.detail->>'agentId' AS "agentId" FROM collab.replica m WHERE m.tenant_id = $1
       AND m.type = 'ContextParticipant' AND m.detail->>'contextId' = $2 AND m.status <> 'LEFT'`,
    [tenantId, contextId],
    { prepare: true },
  )) as unknown as { agentId: string }[];
  const access: Access = {
    visibility: known?.visibility ?? null,
    ownerId: known?.ownerId ?? null,
    members: members.map(({ agentId }) => agentId),
  };
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
