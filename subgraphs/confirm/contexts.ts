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
import type { Learn } from '#shared/contextPrivacy.ts';
import type { EventRow } from '#shared/events.ts';
import type { Principal } from '#shared/principal.ts';
import { createReplica, replicaChanges } from '#shared/replica.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import { tellAccess, tellHeard } from './accessChanges.ts';

const askText = `query Target($id: ID!) { target: context(contextId: $id) { id status ${accessFields} } }`;

interface AskedContext {
  readonly target: (AskedAccess & { readonly id: string; readonly status?: string }) | null;
}

export interface Contexts {
  /**
   * Whether the context is there for all who may read contexts, by what its module has told; null where only the graph
   * can say: it is private, or has not been heard of.
   */
  isOpen(principal: Principal, contextId: string): Promise<boolean | null>;
  /** Takes over what the graph says of contexts that were not heard of; what it does not show stays unknown. */
  readonly learn: Learn;
  /** Takes over what the context module tells, and tells who holds answers about confirms that others may see now. */
  apply(events: readonly EventRow[]): Promise<void>;
}

/** What this module knows of contexts: that they exist, who sees them and who takes part in them. */
export function createContexts(runtime: ModuleRuntime): Contexts {
  const { sql } = runtime;
  const replica = createReplica({
    sql,
    module: 'confirm',
    type: 'Context',
    graph: runtime.graph,
    async ask(graph, id, principal) {
      const { data } = await graph.execute<AskedContext>(askText, { id }, principal);
      if (!data?.target) return null;
      const { id: contextId, status } = data.target;
      return {
        id: contextId,
        status: status?.toLowerCase() ?? 'known',
        detail: accessDetail(data.target),
      };
    },
  });

  const participants = createReplica({
    sql,
    module: 'confirm',
    type: 'ContextParticipant',
    graph: runtime.graph,
    // Known by events alone: nobody looks one up.
    ask: async () => null,
  });

  return {
    async isOpen(principal, contextId) {
      if (!(await runtime.authorizer.allows(principal, 'context:read', { type: 'Context', id: contextId })))
        return null;
      const entry = await replica.find(principal, contextId);
      if (entry === null) return null;
      if (entry.status === deletedContext) return false;
      // What does not say that all may see it is asked for anew each time.
      return entry.detail['visibility'] === 'TENANT' ? true : null;
    },
    async learn(principal, contextIds) {
      await Promise.all(contextIds.map((id) => replica.find(principal, id)));
    },
    async apply(events) {
      const changes = replicaChanges(events, readContext);
      const taken = participantChanges(events);
      const known = await findKnownContexts(sql, 'confirm', [
        ...changes.map(({ tenantId, id }) => ({ tenantId, contextId: id })),
        ...taken.map(({ tenantId, detail }) => ({ tenantId, contextId: String(detail['contextId']) })),
      ]);
      // In transactions of their own: what is told next must find them. Reading the page again does no harm.
      await replica.apply(sql, changes);
      await participants.apply(sql, taken);
      for (const context of changedAccess(known, changes, taken)) await tellAccess(runtime, context);
      await tellHeard(runtime, newContexts(known, changes));
    },
  };
}
