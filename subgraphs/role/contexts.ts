import { createConsumer } from '#shared/consumer.ts';
import { PlatformError } from '#shared/errors.ts';
import type { EventRow } from '#shared/events.ts';
import type { Principal } from '#shared/principal.ts';
import { createReplica, type ReplicaEntry, replicaChanges } from '#shared/replica.ts';
import type { ModuleRuntime, StartedModule } from '#shared/subgraph.ts';

const askText = 'query RoleContext($id: ID!) { context(contextId: $id) { id status } }';
const deleted = 'deleted';

/** What this module knows of contexts: that they exist. */
export interface Contexts {
  /** @throws {NOT_FOUND} unless the context exists. */
  requireKnown(principal: Principal, contextId: string): Promise<void>;
  /** Follows the context module's events. */
  follow(): Promise<StartedModule>;
}

export function createContexts(runtime: ModuleRuntime): Contexts {
  const replica = createReplica({
    sql: runtime.sql,
    module: 'role',
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
    async requireKnown(principal, contextId) {
      const entry = await replica.find(principal, contextId);
      if (entry && entry.status !== deleted) return;
      throw new PlatformError('NOT_FOUND', 'no such context', { path: ['input', 'contextId'], details: { contextId } });
    },
    async follow() {
      const sql = runtime.sqlOf('context');
      return createConsumer({
        name: 'role.contexts',
        module: 'context',
        sql: (runtime.consumerSqlOf ?? runtime.sqlOf)('context'),
        bus: runtime.bus,
        logger: runtime.logger,
        async handle(events, tx) {
          // The replica lies in this module's database, which may be another one than the events'.
          await replica.apply(runtime.sql === sql ? tx : runtime.sql, replicaChanges(events, readContext));
        },
      });
    },
  };
}

function readContext(event: EventRow): ReplicaEntry | null {
  const context = event.data['context'] as { id?: unknown; status?: unknown } | undefined;
  if (typeof context?.id !== 'string' || typeof context.status !== 'string') return null;
  return { id: context.id, status: event.type === 'context.deleted' ? deleted : context.status, detail: {} };
}
