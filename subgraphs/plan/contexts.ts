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
  readParticipant,
} from '#shared/contextAudience.ts';
import { PlatformError } from '#shared/errors.ts';
import type { EventRow } from '#shared/events.ts';
import type { Principal } from '#shared/principal.ts';
import { createReplica, replicaChanges } from '#shared/replica.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import { isContextHidden, viewerOf } from './access.ts';
import { tellAccess, tellHeard } from './accessChanges.ts';
import type { Commands } from './commands.ts';
import { type Departure, handOverSteps } from './departures.ts';

const askText = `query PlanContext($id: ID!) { context(contextId: $id) { id status ${accessFields} } }`;

interface AskedContext extends AskedAccess {
  readonly id: string;
  readonly status: string;
}

export interface ContextChange {
  readonly tenantId: string;
  readonly contextId: string;
  readonly status: string;
}

/** Who has left a context; who only asked to join and was refused held nothing. */
function departuresIn(events: readonly EventRow[]): readonly Departure[] {
  return events.flatMap((event) => {
    const left = event.type === 'context.participant.left' ? readParticipant(event) : null;
    if (left === null) return [];
    const { contextId, agentId } = left.detail;
    return [{ tenantId: event.tenantId, contextId: String(contextId), agentId: String(agentId) }];
  });
}

/** What this module knows of contexts: that they exist, and in which state. */
export interface Contexts {
  /** @throws {NOT_FOUND} {CONTEXT_NOT_ACTIVE} unless the context exists and takes new plans. */
  requireOpen(principal: Principal, contextId: string): Promise<void>;
  /** @throws {NOT_FOUND} {CONTEXT_NOT_ACTIVE} unless it is active. */
  requireActive(principal: Principal, contextId: string): Promise<void>;
  /** Takes over what the graph says of contexts that were not heard of; what it does not show stays unknown. */
  learn(principal: Principal, contextIds: readonly string[]): Promise<void>;
  /** Follows the context module's events; `changed` hears of every new status. */
  follow(changed: (change: ContextChange) => Promise<void>): Promise<Consumer>;
}

export function createContexts(runtime: ModuleRuntime, commands: Commands): Contexts {
  const replica = createReplica({
    sql: runtime.sql,
    module: 'plan',
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
    sql: runtime.sql,
    module: 'plan',
    type: 'ContextParticipant',
    graph: runtime.graph,
    // Known by events alone: nobody looks one up.
    ask: async () => null,
  });

  /** Who is about to write is asked for where it counts: a participant may be newer than what was heard so far. */
  async function isHidden(principal: Principal, contextId: string): Promise<boolean> {
    if (viewerOf(principal) === null || !(await isContextHidden(runtime.sql, principal, contextId))) return false;
    const { data } = await runtime.graph.execute<{ context: AskedContext | null }>(
      askText,
      { id: contextId },
      principal,
    );
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
    requireOpen: (principal, contextId) => requireStatus(principal, contextId, ['active', 'draft']),
    requireActive: (principal, contextId) => requireStatus(principal, contextId, ['active']),
    async learn(principal, contextIds) {
      await Promise.all(contextIds.map((id) => replica.find(principal, id)));
    },
    async follow(changed) {
      return createConsumer({
        name: 'plan.contexts',
        module: 'context',
        sql: (runtime.consumerSqlOf ?? runtime.sqlOf)('context'),
        bus: runtime.bus,
        logger: runtime.logger,
        async handle(events) {
          const changes = replicaChanges(events, readContext);
          const taken = participantChanges(events);
          const known = await findKnownContexts(runtime.sql, 'plan', [
            ...changes.map(({ tenantId, id }) => ({ tenantId, contextId: id })),
            ...taken.map(({ tenantId, detail }) => ({ tenantId, contextId: String(detail['contextId']) })),
          ]);
          // In transactions of their own: what is told next must find them. Reading the page again does no harm.
          await replica.apply(runtime.sql, changes);
          await participants.apply(runtime.sql, taken);
          for (const context of changedAccess(known, changes, taken))
            await tellAccess({ sql: runtime.sql, commands }, context);
          await tellHeard({ sql: runtime.sql, commands }, newContexts(known, changes));
          await handOverSteps({ sql: runtime.sql, commands }, departuresIn(events));
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
