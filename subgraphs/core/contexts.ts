import { type Consumer, createConsumer } from '#shared/consumer.ts';
import {
  type AskedAccess,
  accessDetail,
  accessFields,
  type ContextKey,
  changedAccess,
  deletedContext,
  findAccess,
  findKnownContexts,
  newContexts,
  participantChanges,
  readContext,
} from '#shared/contextAudience.ts';
import { PlatformError } from '#shared/errors.ts';
import type { NewEvent } from '#shared/outbox.ts';
import type { Principal } from '#shared/principal.ts';
import { createReplica, replicaChanges } from '#shared/replica.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import { accessTag, isContextHidden, viewerOf } from './access.ts';
import { allocationStream } from './allocation/queue.ts';
import type { Commands } from './commands.ts';
import type { ExecutionKey } from './execution/store.ts';
import type { Transitions } from './execution/transitions.ts';

const askText = `query CoreContext($id: ID!) { context(contextId: $id) { id status ${accessFields} } }`;

interface AskedContext extends AskedAccess {
  readonly id: string;
  readonly status: string;
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
      const { id: contextId, status } = data.context;
      return {
        id: contextId,
        status: status.toLowerCase(),
        detail: accessDetail(data.context),
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

  /** Who is about to write is asked for where it counts: a participant may be newer than what was heard so far. */
  async function isHidden(principal: Principal, contextId: string): Promise<boolean> {
    if (viewerOf(principal) === null || !(await isContextHidden(sql, principal, contextId))) return false;
    const { data } = await runtime.graph.execute<{ context: AskedContext | null }>(
      askText,
      { id: contextId },
      principal,
    );
    return !data?.context;
  }

  /** Tells who holds answers or follows streams of what lies in the context that others may see it now. */
  async function tellAccess(tenantId: string, contextId: string): Promise<void> {
    const access = await findAccess(sql, 'core', { tenantId, contextId });
    const streams = (await sql.unsafe(
      `SELECT id FROM core.execution WHERE tenant_id = $1 AND context_id = $2 AND completed_at IS NULL LIMIT 1000`,
      [tenantId, contextId],
      { prepare: true },
    )) as unknown as { id: string }[];
    const events = [contextId, allocationStream(tenantId), ...streams.map(({ id }) => id)].map(
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
    /** @throws {NOT_FOUND} {CONTEXT_NOT_ACTIVE} unless it exists and is active, as the principal sees it. */
    async requireActive(principal: Principal, contextId: string, path: readonly string[] = ['input', 'contextId']) {
      const entry = await replica.find(principal, contextId);
      if (!entry || entry.status === deletedContext || (await isHidden(principal, contextId)))
        throw new PlatformError('NOT_FOUND', 'no such context', { path });
      if (entry.status !== 'active')
        throw new PlatformError('CONTEXT_NOT_ACTIVE', `the context is ${entry.status.toUpperCase()}`, {
          path,
          details: { status: entry.status.toUpperCase() },
        });
    },

    /** For who has just begun something in a context: pauses it where that has stopped being active meanwhile. */
    async recheck(
      transitions: Transitions,
      { tenantId, executionId, contextId }: ExecutionKey & { readonly contextId: string },
    ): Promise<void> {
      const [entry] = (await sql.unsafe(
        `SELECT status FROM core.replica WHERE tenant_id = $1 AND type = 'Context' AND id = $2 AND status <> 'active'`,
        [tenantId, contextId],
        { prepare: true },
      )) as unknown as { status: string }[];
      if (entry) await pause(transitions, { tenantId, executionId }, entry.status);
    },

    /** Takes over what the graph says of contexts that were not heard of; what it does not show stays unknown. */
    async learn(principal: Principal, contextIds: readonly string[]): Promise<void> {
      await Promise.all(contextIds.map((id) => replica.find(principal, id)));
    },

    /** Executions of a context that is no longer active pause; nobody resumes them for it. */
    follow(transitions: Transitions): Promise<Consumer> {
      return createConsumer({
        name: 'core.contexts',
        module: 'context',
        sql: (runtime.consumerSqlOf ?? runtime.sqlOf)('context'),
        bus: runtime.bus,
        logger: runtime.logger,
        async handle(events) {
          const changes = replicaChanges(events, readContext);
          const taken = participantChanges(events);
          const known = await findKnownContexts(sql, 'core', [
            ...changes.map(({ tenantId, id }) => ({ tenantId, contextId: id })),
            ...taken.map(({ tenantId, detail }) => ({ tenantId, contextId: String(detail['contextId']) })),
          ]);
          // In transactions of their own: what is told next must find them. Reading the page again does no harm.
          await replica.apply(sql, changes);
          await participants.apply(sql, taken);
          const touched = [...newContexts(known, changes), ...changedAccess(known, changes, taken)];
          for (const { tenantId, contextId } of await withWorkflows(touched)) await tellAccess(tenantId, contextId);
          for (const { tenantId, id, status } of changes)
            if (status !== 'active') await pauseIn(transitions, { tenantId, contextId: id, status });
        },
      });
    },
  };

  async function pauseIn(
    transitions: Transitions,
    { tenantId, contextId, status }: ContextKey & { readonly status: string },
  ): Promise<void> {
    const running = (await sql.unsafe(
      `SELECT id AS "executionId" FROM core.execution WHERE tenant_id = $1 AND context_id = $2 AND status = 'in_progress' AND completed_at IS NULL`,
      [tenantId, contextId],
      { prepare: true },
    )) as unknown as { executionId: string }[];
    for (const { executionId } of running) await pause(transitions, { tenantId, executionId }, status);
  }

  async function pause(transitions: Transitions, key: ExecutionKey, status: string): Promise<void> {
    const shown = status === deletedContext ? 'DELETED' : status.toUpperCase();
    try {
      await transitions.send(key, { kind: 'pause', reason: `the context is ${shown}` });
    } catch (error) {
      // It has ended, or somebody else has paused it.
      if (!(error instanceof PlatformError && error.code === 'INVALID_STATE_TRANSITION')) throw error;
    }
  }

  /** Most contexts have no workflows and no allocations: nobody has to be told about them. */
  async function withWorkflows(contexts: readonly ContextKey[]): Promise<readonly ContextKey[]> {
    if (contexts.length === 0) return [];
    return (await sql.unsafe(
      `SELECT k.tenant_id AS "tenantId", k.id AS "contextId" FROM unnest($1::text[], $2::uuid[]) AS k(tenant_id, id)
       WHERE EXISTS (SELECT 1 FROM core.execution e WHERE e.tenant_id = k.tenant_id AND e.context_id = k.id)
         OR EXISTS (SELECT 1 FROM core.allocation a WHERE a.tenant_id = k.tenant_id AND a.context_id = k.id)`,
      [contexts.map(({ tenantId }) => tenantId), contexts.map(({ contextId }) => contextId)],
      { prepare: true },
    )) as unknown as ContextKey[];
  }
}
