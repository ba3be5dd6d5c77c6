import { createConsumer } from '#shared/consumer.ts';
import { PlatformError } from '#shared/errors.ts';
import type { EventRow } from '#shared/events.ts';
import type { Principal } from '#shared/principal.ts';
import { createReplica, type ReplicaEntry, replicaChanges } from '#shared/replica.ts';
import type { ModuleRuntime, StartedModule } from '#shared/subgraph.ts';

const askContext = 'query TraceContext($id: ID!) { context(contextId: $id) { id } }';
const askPlan = 'query TracePlan($id: ID!) { plan(planId: $id) { id context { id } } }';
const known = 'known';
const deleted = 'deleted';

/** What this module knows of contexts: that they exist. */
export function createContexts(runtime: ModuleRuntime) {
  const { graph } = runtime;
  const replica = createReplica({
    sql: runtime.sql,
    module: 'trace',
    type: 'Context',
    graph,
    async ask(asked, id, principal) {
      const { data, errors } = await asked.execute<{ context: { id: string } | null }>(askContext, { id }, principal);
      if (!data?.context && errors.length > 0)
        throw new PlatformError('UNAVAILABLE', 'the context could not be looked up', { path: ['input', 'contextId'] });
      return data?.context ? { id, status: known, detail: {} } : null;
    },
  });

  return {
    /** Those of the ids that are known to exist, all asked in one statement. */
    async known(references: readonly { tenantId: string; id: string }[]): Promise<ReadonlySet<string>> {
      const rows = (await (runtime.keyedSql ?? runtime.sql).unsafe(
        `SELECT tenant_id || '/' || id AS key FROM trace.replica JOIN unnest($1::text[], $2::uuid[]) AS a(tenant_id, id)
           USING (tenant_id, id) WHERE type = 'Context' AND status <> '${deleted}'`,
        [references.map(({ tenantId }) => tenantId), references.map(({ id }) => id)],
        { prepare: true },
      )) as unknown as { key: string }[];
      return new Set(rows.map(({ key }) => key));
    },

    /** @throws {NOT_FOUND} {UNAVAILABLE} */
    async require(principal: Principal, contextId: string): Promise<void> {
      const entry = await replica.find(principal, contextId);
      if (!entry || entry.status === deleted)
        throw new PlatformError('NOT_FOUND', 'no such context', { path: ['input', 'contextId'] });
    },

    /** @throws {NOT_FOUND} unless the plan is one of the context. */
    async requirePlan(principal: Principal, planId: string, contextId: string): Promise<void> {
      const { data, errors } = await graph.execute<{ plan: { context: { id: string } | null } | null }>(
        askPlan,
        { id: planId },
        principal,
      );
      if (!data?.plan && errors.length > 0)
        throw new PlatformError('UNAVAILABLE', 'the plan could not be looked up', { path: ['input', 'planId'] });
      if (data?.plan?.context?.id !== contextId)
        throw new PlatformError('NOT_FOUND', 'no such plan in this context', { path: ['input', 'planId'] });
    },

    async follow(): Promise<StartedModule> {
      const sql = runtime.sqlOf('context');
      return createConsumer({
        name: 'trace.contexts',
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

export type Contexts = ReturnType<typeof createContexts>;

function readContext(event: EventRow): ReplicaEntry | null {
  if (!event.type.startsWith('context.')) return null;
  const context = event.data['context'] as { id?: unknown } | undefined;
  if (typeof context?.id !== 'string') return null;
  return { id: context.id, status: event.type === 'context.deleted' ? deleted : known, detail: {} };
}
