import { type Consumer, createConsumer } from '#shared/consumer.ts';
import {
  type AskedAccess,
  accessDetail,
  accessFields,
  changedAccess,
  deletedContext,
  findKnownContexts,
  newContexts,
  participantChanges,
  readContext,
} from '#shared/contextAudience.ts';
import { PlatformError } from '#shared/errors.ts';
import type { Principal } from '#shared/principal.ts';
import { createReplica, replicaChanges } from '#shared/replica.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import { isContextHidden, viewerOf } from './access.ts';
import { tellAccess } from './accessChanges.ts';

const askText = `query CollabContext($id: ID!) { context(contextId: $id) { id status ${accessFields} } }`;

interface AskedContext extends AskedAccess {
  readonly id: string;
  readonly status: string;
}

export interface ContextChange {
  readonly tenantId: string;
  readonly contextId: string;
  readonly status: string;
}

/** What this module knows of contexts: that they exist, in which state, and who sees the private ones. */
export function createContexts(runtime: ModuleRuntime) {
  const { sql, graph } = runtime;
  const replica = createReplica({
    ...{ sql, graph, module: 'collab', type: 'Context' },
    async ask(asked, id, principal) {
      const { data } = await asked.execute<{ context: AskedContext | null }>(askText, { id }, principal);
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
    ...{ sql, graph, module: 'collab', type: 'ContextParticipant' },
    // Known by events alone: nobody looks one up.
    ask: async () => null,
  });

  /** Who is about to write is asked for where it counts: a participant may be newer than what was heard so far. */
  async function isHidden(principal: Principal, contextId: string): Promise<boolean> {
    if (viewerOf(principal) === null || !(await isContextHidden(sql, principal, contextId))) return false;
    const { data } = await graph.execute<{ context: AskedContext | null }>(askText, { id: contextId }, principal);
    return !data?.context;
  }

  async function requireStatus(principal: Principal, contextId: string, allowed: readonly string[]): Promise<void> {
    const entry = await replica.find(principal, contextId);
    const path = ['input', 'contextId'];
    if (!entry || entry.status === deletedContext || (await isHidden(principal, contextId)))
      throw new PlatformError('NOT_FOUND', 'no such context', { path, details: { contextId } });
    if (!allowed.includes(entry.status))
      throw new PlatformError('CONTEXT_NOT_ACTIVE', `the context is ${entry.status.toUpperCase()}`, {
        path,
        details: { status: entry.status.toUpperCase() },
      });
  }

  return {
    /** @throws {NOT_FOUND} {CONTEXT_NOT_ACTIVE} unless it exists and is a draft or active. */
    requireOpen: (principal: Principal, contextId: string) => requireStatus(principal, contextId, ['active', 'draft']),
    /** @throws {NOT_FOUND} {CONTEXT_NOT_ACTIVE} unless it is active. */
    requireActive: (principal: Principal, contextId: string) => requireStatus(principal, contextId, ['active']),
    /** Takes over what the graph says of contexts that were not heard of; what it does not show stays unknown. */
    async learn(principal: Principal, contextIds: readonly string[]): Promise<void> {
      await Promise.all(contextIds.map((id) => replica.find(principal, id)));
    },
    /** Follows the context module's events; `changed` hears of every new status. */
    follow(changed: (change: ContextChange) => Promise<void>): Promise<Consumer> {
      return createConsumer({
        name: 'collab.contexts',
        module: 'context',
        sql: (runtime.consumerSqlOf ?? runtime.sqlOf)('context'),
        bus: runtime.bus,
        logger: runtime.logger,
        async handle(events) {
          const changes = replicaChanges(events, readContext);
          const taken = participantChanges(events);
          const known = await findKnownContexts(sql, 'collab', [
            ...changes.map(({ tenantId, id }) => ({ tenantId, contextId: id })),
            ...taken.map(({ tenantId, detail }) => ({ tenantId, contextId: String(detail['contextId']) })),
          ]);
          // In transactions of their own: what is told next must find them. Reading the page again does no harm.
          await replica.apply(sql, changes);
          await participants.apply(sql, taken);
          for (const context of [...newContexts(known, changes), ...changedAccess(known, changes, taken)])
            await tellAccess(runtime, context);
          for (const event of events) {
            const entry = readContext(event);
            if (entry && (event.type === 'context.state.changed' || event.type === 'context.deleted'))
              await changed({ tenantId: event.tenantId, contextId: entry.id, status: entry.status });
          }
        },
      });
    },
  };
}

export type Contexts = ReturnType<typeof createContexts>;
