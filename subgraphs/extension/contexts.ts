import { type Consumer, createConsumer } from '#shared/consumer.ts';
import {
  type AskedAccess,
  accessDetail,
  accessFields,
  type ContextKey,
  findAccess,
  participantChanges,
  toldAccess,
} from '#shared/contextAudience.ts';
import { derivedId } from '#shared/derivedId.ts';
import { PlatformError } from '#shared/errors.ts';
import type { EventRow } from '#shared/events.ts';
import { appendChange, type Change, type NewEvent } from '#shared/outbox.ts';
import type { Principal } from '#shared/principal.ts';
import { createReplica, type ReplicaChange, type ReplicaEntry, replicaChanges } from '#shared/replica.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import { accessTag, findVerdicts } from './access.ts';
import { systemSubject } from './system.ts';

const askText = `query ExtensionContext($id: ID!) { context(contextId: $id) { id status ${accessFields} } }`;
const deleted = 'deleted';

interface AskedContext extends AskedAccess {
  readonly id: string;
  readonly status: string;
}

/** What this module knows of contexts: that they exist, in which state, and who sees the private ones. */
export function createContexts(runtime: ModuleRuntime) {
  const { graph, sql } = runtime;

  async function ask(principal: Principal, id: string): Promise<AskedContext | null> {
    const { data, errors } = await graph.execute<{ context: AskedContext | null }>(askText, { id }, principal);
    const isDenied = errors.some(({ code }) => code === 'PERMISSION_DENIED');
    if (!data?.context && errors.length > 0 && !isDenied)
      throw new PlatformError('UNAVAILABLE', 'the context could not be looked up', { path: ['input', 'contextId'] });
    return data?.context ?? null;
  }

  const replica = createReplica({
    sql,
    module: 'extension',
    type: 'Context',
    graph,
    async ask(_graph, id, principal) {
      const context = await ask(principal, id);
      if (!context) return null;
      return { id, status: context.status.toLowerCase(), detail: accessDetail(context) };
    },
  });
  const participants = createReplica({
    sql,
    module: 'extension',
    type: 'ContextParticipant',
    graph,
    // Known by events alone: nobody looks one up.
    ask: async () => null,
  });

  async function find(principal: Principal, contextId: string): Promise<ReplicaEntry> {
    const entry = await replica.find(principal, contextId);
    const hidden = (await findVerdicts(sql, principal, [contextId])).get(contextId);
    // Who is about to write is asked for where it counts: a participant may be newer than what was heard so far.
    if (!entry || entry.status === deleted || (hidden === true && !(await ask(principal, contextId))))
      throw new PlatformError('NOT_FOUND', 'no such context', {
        path: ['input', 'contextId'],
        details: { contextId },
      });
    return entry;
  }

  return {
    /** @throws {NOT_FOUND} {UNAVAILABLE} */
    async require(principal: Principal, contextId: string): Promise<void> {
      await find(principal, contextId);
    },

    /** Agents act in active contexts alone. @throws {NOT_FOUND} {CONTEXT_NOT_ACTIVE} */
    async requireActive(principal: Principal, contextId: string): Promise<void> {
      const { status } = await find(principal, contextId);
      if (status !== 'active')
        throw new PlatformError('CONTEXT_NOT_ACTIVE', `the context is ${status.toUpperCase()}`, {
          details: { status: status.toUpperCase() },
        });
    },

    /** Takes over what the graph says of contexts that were not heard of; what it does not show stays unknown. */
    async learn(principal: Principal, contextIds: readonly string[]): Promise<void> {
      await Promise.all(contextIds.map((id) => replica.find(principal, id)));
    },

    /** Follows the context module. */
    follow(): Promise<Consumer> {
      return createConsumer({
        name: 'extension.contexts',
        module: 'context',
        sql: (runtime.consumerSqlOf ?? runtime.sqlOf)('context'),
        bus: runtime.bus,
        logger: runtime.logger,
        async handle(events) {
          const contexts = replicaChanges(events, readContext);
          const members = participantChanges(events);
          const keys = await findConcerned(contexts, members);
          // In transactions of their own: what is told next must find them. Reading the page again does no harm.
          await replica.apply(sql, contexts);
          await participants.apply(sql, members);
          await tell(keys);
        },
      });
    },
  };

  /**
   * Contexts of the page in which extensions lie and whose circle of readers these changes alter: they are heard of for the
   * first time, are another's or otherwise visible now, or somebody has come to a private one or left it.
   */
  async function findConcerned(
    contexts: readonly ReplicaChange[],
    members: readonly ReplicaChange[],
  ): Promise<readonly ContextKey[]> {
    const named = [
      ...contexts.map(({ tenantId, id, detail }) => ({ tenantId, id, isMember: false, detail })),
      ...members.map(({ tenantId, detail }) => ({ tenantId, id: String(detail['contextId']), isMember: true, detail })),
    ];
    if (named.length === 0) return [];
    return (await sql.unsafe(
      `SELECT DISTINCT k.tenant_id AS "tenantId", k.id AS "contextId"
       FROM json_to_recordset($1::text::json) AS k(tenant_id text, id uuid, is_member boolean, visibility text, owner_id text, readers jsonb)
       LEFT JOIN extension.replica c ON c.tenant_id = k.tenant_id AND c.type = 'Context' AND c.id = k.id
       WHERE EXISTS (SELECT 1 FROM extension.extension e WHERE e.tenant_id = k.tenant_id AND e.context_id = k.id)
         AND CASE WHEN k.is_member THEN c.detail->>'visibility' = 'PRIVATE'
           ELSE c.id IS NULL OR c.detail->>'visibility' IS DISTINCT FROM k.visibility OR c.detail->>'ownerId' IS DISTINCT FROM k.owner_id
             OR coalesce(c.detail->'readers', '[]') IS DISTINCT FROM coalesce(k.readers, '[]') END`,
      [
        JSON.stringify(
          named.map(({ tenantId, id, isMember, detail }) => ({
            tenant_id: tenantId,
            id,
            is_member: isMember,
            visibility: detail['visibility'] ?? null,
            owner_id: detail['ownerId'] ?? null,
            readers: detail['readers'] ?? [],
          })),
        ),
      ],
      { prepare: true },
    )) as unknown as readonly ContextKey[];
  }

  /** Answers that were held of what lies in them are stale, and who follows it may have lost sight of it. */
  async function tell(keys: readonly ContextKey[]): Promise<void> {
    if (keys.length === 0) return;
    const changes = await Promise.all(
      [...Map.groupBy(keys, ({ tenantId }) => tenantId)].map(
        async ([tenantId, list]): Promise<Change> => ({
          tenantId,
          actor: systemSubject,
          events: (await Promise.all(list.map(eventsOf))).flat(),
        }),
      ),
    );
    await runtime.publisher.published(await sql.begin((tx) => appendChange(tx, 'extension', changes)));
  }

  async function eventsOf({ tenantId, contextId }: ContextKey): Promise<readonly NewEvent[]> {
    const [access, streams] = await Promise.all([
      findAccess(sql, 'extension', { tenantId, contextId }),
      sql.unsafe(
        `SELECT e.id FROM extension.extension e WHERE e.tenant_id = $1 AND e.context_id = $2 AND e.runtime_state <> 'uninstalled'
         UNION ALL SELECT c.id FROM extension.capability c JOIN extension.extension e ON e.tenant_id = c.tenant_id AND e.id = c.extension_id
         WHERE e.tenant_id = $1 AND e.context_id = $2 AND e.runtime_state <> 'uninstalled' LIMIT 2000`,
        [tenantId, contextId],
        { prepare: true },
      ) as unknown as Promise<{ id: string }[]>,
    ]);
    return [
      {
        streamId: derivedId(`extensions of ${tenantId} in ${contextId}`),
        type: 'extension.access.changed',
        data: { contextId },
        tags: [accessTag(contextId), `Context:${contextId}:extensions`, 'extensions'],
      },
      ...streams.map(
        ({ id }): NewEvent => ({ streamId: id, type: 'access.changed', data: { contextId, access }, tags: [] }),
      ),
    ];
  }
}

export type Contexts = ReturnType<typeof createContexts>;

function readContext(event: EventRow): ReplicaEntry | null {
  if (!event.type.startsWith('context.')) return null;
  const context = event.data['context'] as (AskedAccess & { id?: unknown; status?: unknown }) | undefined;
  if (typeof context?.id !== 'string') return null;
  return {
    id: context.id,
    status: event.type === 'context.deleted' ? deleted : String(context.status).toLowerCase(),
    detail: toldAccess({ ...context, id: context.id }),
  };
}
