import type { EventRow } from '#shared/events.ts';
import type { Principal } from '#shared/principal.ts';
import { createReplica, type ReplicaEntry, replicaChanges } from '#shared/replica.ts';
import type { Sql, SqlTransaction } from '#shared/sql.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';

const askText = 'query Target($id: ID!) { target: context(contextId: $id) { id accessControl { visibility } } }';
const deleted = 'deleted';

interface AskedContext {
  readonly target: { readonly id: string; readonly accessControl?: { readonly visibility?: string } } | null;
}

export interface Contexts {
  /**
   * Whether the context is there for all who may read contexts, by what its module has told; null where only the graph
   * can say: it is private, or has not been heard of.
   */
  isOpen(principal: Principal, contextId: string): Promise<boolean | null>;
  /** Takes over what the context module tells. */
  apply(tx: Sql | SqlTransaction, events: readonly EventRow[]): Promise<void>;
}

/** What this module knows of contexts: that they exist, and whether everyone may see them. */
export function createContexts(runtime: ModuleRuntime): Contexts {
  const replica = createReplica({
    sql: runtime.sql,
    module: 'confirm',
    type: 'Context',
    graph: runtime.graph,
    async ask(graph, id, principal) {
      const { data } = await graph.execute<AskedContext>(askText, { id }, principal);
      if (!data?.target) return null;
      // What does not say that it is public is asked for anew each time.
      return { id: data.target.id, status: 'known', detail: detailOf(data.target.accessControl?.visibility) };
    },
  });

  return {
    async isOpen(principal, contextId) {
      if (!(await runtime.authorizer.allows(principal, 'context:read', { type: 'Context', id: contextId })))
        return null;
      const entry = await replica.find(principal, contextId);
      if (entry === null) return null;
      if (entry.status === deleted) return false;
      return entry.detail['isPrivate'] === false ? true : null;
    },
    apply: (tx, events) => replica.apply(tx, replicaChanges(events, readContext)),
  };
}

const detailOf = (visibility: string | undefined) => ({
  isPrivate: visibility === undefined || visibility === 'PRIVATE',
});

function readContext(event: EventRow): ReplicaEntry | null {
  if (!event.type.startsWith('context.')) return null;
  const context = event.data['context'] as
    | { readonly id?: unknown; readonly accessControl?: { readonly visibility?: string } }
    | undefined;
  if (typeof context?.id !== 'string') return null;
  return {
    id: context.id,
    status: event.type === 'context.deleted' ? deleted : 'known',
    detail: detailOf(context.accessControl?.visibility),
  };
}
