import { createConsumer } from '#shared/consumer.ts';
import { PlatformError } from '#shared/errors.ts';
import type { EventRow } from '#shared/events.ts';
import type { Principal } from '#shared/principal.ts';
import { createReplica, type ReplicaEntry, replicaChanges } from '#shared/replica.ts';
import type { ModuleRuntime, StartedModule } from '#shared/subgraph.ts';

const askText = 'query PlanContext($id: ID!) { context(contextId: $id) { id status } }';
const deleted = 'deleted';

export interface ContextChange {
  readonly tenantId: string;
  readonly contextId: string;
  readonly status: string;
}

/** What this module knows of contexts: that they exist, and in which state. */
export interface Contexts {
  /** @throws {NOT_FOUND} {CONTEXT_NOT_ACTIVE} unless the context exists and takes new plans. */
  requireOpen(principal: Principal, contextId: string): Promise<void>;
  /** @throws {NOT_FOUND} {CONTEXT_NOT_ACTIVE} unless it is active. */
  requireActive(principal: Principal, contextId: string): Promise<void>;
  /** Follows the context module's events; `changed` hears of every new status. */
  follow(changed: (change: ContextChange) => Promise<void>): Promise<StartedModule & { catchUp(): Promise<void> }>;
}

export function createContexts(runtime: ModuleRuntime): Contexts {
  const replica = createReplica({
    sql: runtime.sql,
    module: 'plan',
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

  async function requireStatus(principal: Principal, contextId: string, allowed: readonly string[]): Promise<void> {
    const entry = await replica.find(principal, contextId);
    const path = ['input', 'contextId'];
    if (!entry || entry.status === deleted)
      throw new PlatformError('NOT_FOUND', 'no such context', { path, details: { contextId } });
    if (!allowed.includes(entry.status))
      throw new PlatformError('CONTEXT_NOT_ACTIVE', `the context is ${entry.status.toUpperCase()}`, {
        path,
        details: { status: entry.status.toUpperCase() },
      });
  }

  return {
    requireOpen: (principal, contextId) => requireStatus(principal, contextId, ['active', 'draft']),
    requireActive: (principal, contextId) => requireStatus(principal, contextId, ['active']),
    async follow(changed) {
      const sql = runtime.sqlOf('context');
      return createConsumer({
        name: 'plan.contexts',
        module: 'context',
        sql,
        bus: runtime.bus,
        logger: runtime.logger,
        async handle(events, tx) {
          // The replica lies in this module's database, which may be another one than the events'.
          await replica.apply(runtime.sql === sql ? tx : runtime.sql, replicaChanges(events, readContext));
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

function readContext(event: EventRow): ReplicaEntry | null {
  if (!event.type.startsWith('context.')) return null;
  const context = event.data['context'] as { id?: unknown; status?: unknown } | undefined;
  if (typeof context?.id !== 'string' || typeof context.status !== 'string') return null;
  return { id: context.id, status: event.type === 'context.deleted' ? deleted : context.status, detail: {} };
}
