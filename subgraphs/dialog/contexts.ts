import { createConsumer } from '#shared/consumer.ts';
import { PlatformError } from '#shared/errors.ts';
import type { EventRow } from '#shared/events.ts';
import type { Principal } from '#shared/principal.ts';
import { createReplica, type Replica, type ReplicaEntry, replicaChanges } from '#shared/replica.ts';
import type { ModuleRuntime, StartedModule } from '#shared/subgraph.ts';

const askText = 'query DialogContext($id: ID!) { context(contextId: $id) { id status } }';
const deleted = 'deleted';

/** What this module knows of contexts: that they exist, and in which state. */
export interface Contexts {
  /** @throws {NOT_FOUND} {CONTEXT_NOT_ACTIVE} unless the context exists and takes new dialogs. */
  requireOpen(principal: Principal, contextId: string): Promise<void>;
  /** Follows the context module's events; `changed` hears of every new status once. */
  follow(changed: (change: ContextChange) => Promise<void>): Promise<StartedModule & { catchUp(): Promise<void> }>;
}

export interface ContextChange {
  readonly tenantId: string;
  readonly contextId: string;
  readonly status: string;
  readonly actor: string;
}

export function createContexts(runtime: ModuleRuntime): Contexts {
  const replica: Replica = createReplica({
    sql: runtime.sql,
    module: 'dialog',
    type: 'Context',
    graph: runtime.graph,
    async ask(graph, id, principal) {
      const { data } = await graph.execute<{ context: { id: string; status: string } | null }>(
        askText,
        { id },
        principal,
      );
      return data?.context ? { id: data.context.id, status: data.context.status.toLowerCase(), detail: {} } : null;
    },
  });

  return {
    async requireOpen(principal, contextId) {
      const entry = await replica.find(principal, contextId);
      if (!entry || entry.status === deleted) {
        throw new PlatformError('NOT_FOUND', 'no such context', {
          path: ['input', 'contextId'],
          details: { contextId },
        });
      }
      if (entry.status !== 'active' && entry.status !== 'draft') {
        throw new PlatformError('CONTEXT_NOT_ACTIVE', `the context is ${entry.status.toUpperCase()}`, {
          path: ['input', 'contextId'],
          details: { status: entry.status.toUpperCase() },
        });
      }
    },

    async follow(changed) {
      const sql = runtime.sqlOf('context');
      return createConsumer({
        name: 'dialog.contexts',
        module: 'context',
        sql: (runtime.consumerSqlOf ?? runtime.sqlOf)('context'),
        bus: runtime.bus,
        logger: runtime.logger,
        hear: (events) => replica.apply(runtime.sql, replicaChanges(events, readContext)),
        async handle(events, tx) {
          const changes = replicaChanges(events, readContext);
          // The replica lies in this module's database, which may be another one than the events'.
          await replica.apply(runtime.sql === sql ? tx : runtime.sql, changes);
          for (const event of events) {
            const entry = readContext(event);
            if (entry && (event.type === 'context.state.changed' || event.type === 'context.deleted')) {
              await changed({
                tenantId: event.tenantId,
                contextId: entry.id,
                status: entry.status,
                actor: event.actor,
              });
            }
          }
        },
      });
    },
  };
}

function readContext(event: EventRow): ReplicaEntry | null {
  if (!event.type.startsWith('context.')) return null;
  const context = event.data['context'] as { id?: unknown; status?: unknown } | undefined;
  if (typeof context?.id !== 'string' || typeof context.status !== 'string') return null;
  return { id: context.id, status: event.type === 'context.deleted' ? deleted : context.status, detail: {} };
}
