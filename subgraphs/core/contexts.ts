import { type Consumer, createConsumer } from '#shared/consumer.ts';
import { PlatformError } from '#shared/errors.ts';
import type { EventRow } from '#shared/events.ts';
import type { NewEvent } from '#shared/outbox.ts';
import type { Principal } from '#shared/principal.ts';
import { createReplica, type ReplicaEntry, replicaChanges } from '#shared/replica.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import { accessTag } from './access.ts';
import type { Commands } from './commands.ts';

const askText =
  'query CoreContext($id: ID!) { context(contextId: $id) { id status ownerId accessControl { visibility } } }';
const deleted = 'deleted';

interface AskedContext {
  readonly id: string;
  readonly status: string;
  readonly ownerId?: string | null;
  readonly accessControl?: { readonly visibility: string } | null;
}

/** Who sees a private context besides its owner. */
export interface Access {
  readonly visibility: string | null;
  readonly ownerId: string | null;
  readonly members: readonly string[];
}

export type Contexts = ReturnType<typeof createContexts>;

/** What this module knows of contexts: that they exist, in which state, and who sees the private ones. */
export function createContexts(runtime: ModuleRuntime, commands: Commands) {
  const { sql } = runtime;
  const replica = createReplica({
    sql,
    module: 'core',
    type: 'Context',
    graph: runtime.graph,
    async ask(graph, id, principal) {
      const { data } = await graph.execute<{ context: AskedContext | null }>(askText, { id }, principal);
      if (!data?.context) return null;
      const { status, ownerId, accessControl } = data.context;
      return {
        id: data.context.id,
        status: status.toLowerCase(),
        detail: { ownerId: ownerId ?? null, visibility: accessControl?.visibility ?? null },
      };
    },
  });
  const participants = createReplica({
    sql,
    module: 'core',
    type: 'ContextParticipant',
    graph: runtime.graph,
    // Known by events alone: nobody looks one up.
    ask: async () => null,
  });

  async function findAccess(tenantId: string, contextId: string): Promise<Access> {
    const rows = (await sql.unsafe(
      `SELECT c.detail->>'visibility' AS visibility, c.detail->>'ownerId' AS "ownerId", ARRAY(
         SELECT DISTINCT m.detail->>'agentId' FROM core.replica m WHERE m.tenant_id = $1 AND m.type = 'ContextParticipant'
           AND m.detail->>'contextId' = $2 AND m.status <> 'LEFT') AS members
       FROM core.replica c WHERE c.tenant_id = $1 AND c.type = 'Context' AND c.id = $2::uuid`,
      [tenantId, contextId],
      { prepare: true },
    )) as unknown as Access[];
    return rows[0] ?? { visibility: null, ownerId: null, members: [] };
  }

  /** Tells who holds answers or follows streams of what lies in the context that others may see it now. */
  async function tellAccess(tenantId: string, contextId: string): Promise<void> {
    const access = await findAccess(tenantId, contextId);
    const streams = (await sql.unsafe(
      `SELECT id FROM core.execution WHERE tenant_id = $1 AND context_id = $2 AND completed_at IS NULL LIMIT 1000`,
      [tenantId, contextId],
      { prepare: true },
    )) as unknown as { id: string }[];
    const events = [contextId, ...streams.map(({ id }) => id)].map(
      (streamId, at): NewEvent => ({
        streamId,
        type: 'access.changed',
        data: { contextId, access },
        tags: at === 0 ? [accessTag(contextId), `Context:${contextId}:workflows`] : [],
      }),
    );
    await commands.runAs(tenantId, 'system', async () => ({ response: null, events }));
  }

  return {
    findAccess,
    /** @throws {NOT_FOUND} {CONTEXT_NOT_ACTIVE} unless it exists and is active, as the principal sees it. */
    async requireActive(principal: Principal, contextId: string, path: readonly string[] = ['input', 'contextId']) {
      const entry = await replica.find(principal, contextId);
      if (!entry || entry.status === deleted) throw new PlatformError('NOT_FOUND', 'no such context', { path });
      if (entry.status !== 'active')
        throw new PlatformError('CONTEXT_NOT_ACTIVE', `the context is ${entry.status.toUpperCase()}`, {
          path,
          details: { status: entry.status.toUpperCase() },
        });
    },

    /** Takes over what the graph says of contexts that were not heard of; what it does not show stays unknown. */
    async learn(principal: Principal, contextIds: readonly string[]): Promise<void> {
      await Promise.all(contextIds.map((id) => replica.find(principal, id)));
    },

    follow(): Promise<Consumer> {
      return createConsumer({
        name: 'core.contexts',
        module: 'context',
        sql: (runtime.consumerSqlOf ?? runtime.sqlOf)('context'),
        bus: runtime.bus,
        logger: runtime.logger,
        async handle(events) {
          const changes = replicaChanges(events, readContext);
          const taken = replicaChanges(events, readParticipant);
          const before = await findKnown([
            ...changes.map(({ tenantId, id }) => ({ tenantId, contextId: id })),
            ...taken.map(({ tenantId, detail }) => ({ tenantId, contextId: String(detail['contextId']) })),
          ]);
          // In transactions of their own: what is told next must find them. Reading the page again does no harm.
          await replica.apply(sql, changes);
          await participants.apply(sql, taken);
          const touched = new Map<string, { readonly tenantId: string; readonly contextId: string }>();
          for (const { tenantId, id, detail } of changes) {
            const was = before.get(`${tenantId}/${id}`);
            if (!was || was.visibility !== detail['visibility'] || was.ownerId !== detail['ownerId'])
              touched.set(`${tenantId}/${id}`, { tenantId, contextId: id });
          }
          for (const { tenantId, detail } of taken) {
            const contextId = String(detail['contextId']);
            if (before.get(`${tenantId}/${contextId}`)?.visibility === 'PRIVATE')
              touched.set(`${tenantId}/${contextId}`, { tenantId, contextId });
          }
          for (const { tenantId, contextId } of await withWorkflows([...touched.values()]))
            await tellAccess(tenantId, contextId);
        },
      });
    },
  };

  async function findKnown(keys: readonly { readonly tenantId: string; readonly contextId: string }[]) {
    const rows = (await sql.unsafe(
      `SELECT c.tenant_id || '/' || c.id AS key, c.detail->>'visibility' AS visibility, c.detail->>'ownerId' AS "ownerId"
       FROM (SELECT DISTINCT * FROM unnest($1::text[], $2::uuid[]) AS k(tenant_id, id)) k
       JOIN core.replica c ON c.tenant_id = k.tenant_id AND c.type = 'Context' AND c.id = k.id`,
      [keys.map(({ tenantId }) => tenantId), keys.map(({ contextId }) => contextId)],
      { prepare: true },
    )) as unknown as { key: string; visibility: string | null; ownerId: string | null }[];
    return new Map(rows.map(({ key, ...known }) => [key, known]));
  }

  /** Most contexts have no workflows: nobody has to be told about them. */
  async function withWorkflows(contexts: readonly { readonly tenantId: string; readonly contextId: string }[]) {
    if (contexts.length === 0) return [];
    return (await sql.unsafe(
      `SELECT k.tenant_id AS "tenantId", k.id AS "contextId" FROM unnest($1::text[], $2::uuid[]) AS k(tenant_id, id)
       WHERE EXISTS (SELECT 1 FROM core.execution e WHERE e.tenant_id = k.tenant_id AND e.context_id = k.id)`,
      [contexts.map(({ tenantId }) => tenantId), contexts.map(({ contextId }) => contextId)],
      { prepare: true },
    )) as unknown as { tenantId: string; contextId: string }[];
  }
}

function readContext(event: EventRow): ReplicaEntry | null {
  if (!event.type.startsWith('context.')) return null;
  const context = event.data['context'] as
    | { id?: unknown; status?: unknown; ownerId?: string | null; accessControl?: { visibility?: string } }
    | undefined;
  if (typeof context?.id !== 'string' || typeof context.status !== 'string') return null;
  return {
    id: context.id,
    status: event.type === 'context.deleted' ? deleted : context.status,
    detail: { ownerId: context.ownerId ?? null, visibility: context.accessControl?.visibility ?? null },
  };
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
