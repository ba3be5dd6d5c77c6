import { plainArray, textArray } from '#shared/arrayLiteral.ts';
import { createConsumer } from '#shared/consumer.ts';
import {
  type AskedAccess,
  accessDetail,
  accessFields,
  changedAccess,
  findKnownContexts,
  newContexts,
  participantChanges,
  toldAccess,
} from '#shared/contextAudience.ts';
import { PlatformError } from '#shared/errors.ts';
import type { EventRow } from '#shared/events.ts';
import type { Graph } from '#shared/graph.ts';
import type { Principal } from '#shared/principal.ts';
import { createReplica, type ReplicaEntry, replicaChanges } from '#shared/replica.ts';
import type { ModuleRuntime, StartedModule } from '#shared/subgraph.ts';
import { tellAccess, tellHeard } from './accessChanges.ts';

const askContext = `query TraceContext($id: ID!) { context(contextId: $id) { id ${accessFields} } }`;
const askPlan = 'query TracePlan($id: ID!) { plan(planId: $id) { id context { id } } }';
const askPlanSteps = 'query TracePlanSteps($id: ID!) { plan(planId: $id) { id context { id } steps { id } } }';
const known = 'known';
const deleted = 'deleted';

interface AskedContext extends AskedAccess {
  readonly id: string;
}

interface AskedPlan {
  readonly context: { readonly id: string } | null;
  readonly steps?: readonly { readonly id: string }[];
}

/** What this module knows of contexts: that they exist, and who sees the private ones. */
export function createContexts(runtime: ModuleRuntime) {
  const { graph } = runtime;
  const replica = createReplica({
    sql: runtime.sql,
    module: 'trace',
    type: 'Context',
    graph,
    async ask(asked, id, principal) {
      const context = await askFor(asked, id, principal);
      if (!context) return null;
      return { id, status: known, detail: accessDetail(context) };
    },
  });

  const participants = createReplica({
    sql: runtime.sql,
    module: 'trace',
    type: 'ContextParticipant',
    graph,
    // Known by events alone: nobody looks one up.
    ask: async () => null,
  });

  return {
    /** Those of the ids that are known to exist and to be open to all, all asked in one statement. */
    async known(references: readonly { tenantId: string; id: string }[]): Promise<ReadonlySet<string>> {
      const rows = (await (runtime.keyedSql ?? runtime.sql).unsafe(
        `SELECT tenant_id || '/' || id AS key FROM trace.replica JOIN unnest($1::text::text[], $2::text::uuid[]) AS a(tenant_id, id)
           USING (tenant_id, id) WHERE type = 'Context' AND status <> '${deleted}' AND detail->>'visibility' IS DISTINCT FROM 'PRIVATE'`,
        [textArray(references.map(({ tenantId }) => tenantId)), plainArray(references.map(({ id }) => id))],
        { prepare: true },
      )) as unknown as { key: string }[];
      return new Set(rows.map(({ key }) => key));
    },

    /** A private one is asked for: its participants may be newer than what was heard. @throws {NOT_FOUND} {UNAVAILABLE} */
    async require(principal: Principal, contextId: string): Promise<void> {
      const entry = await replica.find(principal, contextId);
      const closed = entry?.detail['visibility'] === 'PRIVATE' && !(await askFor(graph, contextId, principal));
      if (!entry || entry.status === deleted || closed)
        throw new PlatformError('NOT_FOUND', 'no such context', { path: ['input', 'contextId'] });
    },

    /** Takes over what the graph says of contexts that were not heard of; what it does not show stays unknown. */
    async learn(principal: Principal, contextIds: readonly string[]): Promise<void> {
      await Promise.all(contextIds.map((id) => replica.find(principal, id)));
    },

    /** @throws {NOT_FOUND} unless the plan is one of the context and has the step. */
    async requirePlan(
      principal: Principal,
      {
        planId,
        contextId,
        taskId,
      }: { readonly planId: string; readonly contextId: string; readonly taskId: string | null },
    ): Promise<void> {
      const { data, errors } = await graph.execute<{ plan: AskedPlan | null }>(
        taskId === null ? askPlan : askPlanSteps,
        { id: planId },
        principal,
      );
      if (!data?.plan && errors.length > 0)
        throw new PlatformError('UNAVAILABLE', 'the plan could not be looked up', { path: ['input', 'planId'] });
      if (data?.plan?.context?.id !== contextId)
        throw new PlatformError('NOT_FOUND', 'no such plan in this context', { path: ['input', 'planId'] });
      if (taskId !== null && !data.plan.steps?.some(({ id }) => id === taskId))
        throw new PlatformError('NOT_FOUND', 'no such step in this plan', { path: ['input', 'taskId'] });
    },

    async follow(): Promise<StartedModule> {
      return createConsumer({
        name: 'trace.contexts',
        module: 'context',
        sql: (runtime.consumerSqlOf ?? runtime.sqlOf)('context'),
        bus: runtime.bus,
        logger: runtime.logger,
        async handle(events) {
          const changes = replicaChanges(events, readContext);
          const taken = participantChanges(events);
          const before = await findKnownContexts(runtime.sql, 'trace', [
            ...changes.map(({ tenantId, id }) => ({ tenantId, contextId: id })),
            ...taken.map(({ tenantId, detail }) => ({ tenantId, contextId: String(detail['contextId']) })),
          ]);
          // In transactions of their own: what is told next must find them. Reading the page again does no harm.
          await replica.apply(runtime.sql, changes);
          await participants.apply(runtime.sql, taken);
          for (const context of changedAccess(before, changes, taken)) await tellAccess(runtime, context);
          await tellHeard(runtime, newContexts(before, changes));
        },
      });
    },
  };
}

export type Contexts = ReturnType<typeof createContexts>;

async function askFor(graph: Graph, id: string, principal: Principal): Promise<AskedContext | null> {
  const { data, errors } = await graph.execute<{ context: AskedContext | null }>(askContext, { id }, principal);
  if (!data?.context && errors.length > 0)
    throw new PlatformError('UNAVAILABLE', 'the context could not be looked up', { path: ['input', 'contextId'] });
  return data?.context ?? null;
}

function readContext(event: EventRow): ReplicaEntry | null {
  if (!event.type.startsWith('context.')) return null;
  const context = event.data['context'] as (AskedAccess & { id?: unknown }) | undefined;
  if (typeof context?.id !== 'string') return null;
  return {
    id: context.id,
    status: event.type === 'context.deleted' ? deleted : known,
    detail: toldAccess({ ...context, id: context.id }),
  };
}
