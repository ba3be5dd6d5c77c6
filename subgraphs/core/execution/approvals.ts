import { answerTypes } from '#shared/askedConfirm.ts';
import { type Consumer, createConsumer } from '#shared/consumer.ts';
import type { EventRow } from '#shared/events.ts';
import { isId } from '#shared/ids.ts';
import { createPrincipal } from '#shared/principal.ts';
import { createReplica, type ReplicaEntry, replicaChanges } from '#shared/replica.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import type { ExecutionKey } from './store.ts';
import type { Transitions } from './transitions.ts';

const askText = 'query CoreConfirm($id: ID!) { confirm(id: $id) { id status targetId } }';
const ends = ['approved', 'rejected', 'cancelled', 'expired', 'override'];
const decided: ReadonlySet<string> = new Set(ends);
/** Of the replica `r`: Confirms that are not decided. */
export const openConfirmClause = `r.status NOT IN (${ends.map((status) => `'${status}'`).join(', ')})`;

/** An approval is a signal: steps wait for what becomes of a Confirm. */
export function createApprovals(
  runtime: ModuleRuntime,
  /** Hears what becomes of changes of manifests. */
  manifests: { readonly heard: (event: EventRow) => Promise<void> },
) {
  const { sql, logger } = runtime;
  const replica = createReplica({
    sql,
    module: 'core',
    type: 'Confirm',
    graph: runtime.graph,
    async ask(graph, id, principal) {
      const { data } = await graph.execute<{ confirm: { id: string; status: string; targetId?: string } | null }>(
        askText,
        { id },
        principal,
      );
      if (!data?.confirm) return null;
      const { status, targetId } = data.confirm;
      return { id, status: status.toLowerCase(), detail: { targetId: targetId ?? null } };
    },
  });

  async function tell(
    transitions: Transitions,
    key: ExecutionKey,
    { id, status }: Pick<ReplicaEntry, 'id' | 'status'>,
  ) {
    await transitions.send(key, {
      kind: 'confirmed',
      confirmId: id,
      approved: status === 'approved',
      payload: { confirmId: id, status: status.toUpperCase() },
    });
  }

  return {
    /** A step waits from now on: perhaps the Confirm has been decided before. */
    async awaited(transitions: Transitions, key: ExecutionKey, confirmId: string): Promise<void> {
      if (!isId(confirmId)) return;
      const principal = createPrincipal({
        tenantId: key.tenantId,
        subject: 'core',
        subjectType: 'service',
        scopes: ['confirm:read', 'context:admin'],
      });
      const entry = await replica.find(principal, confirmId);
      if (entry && decided.has(entry.status)) await tell(transitions, key, entry);
    },

    follow(transitions: Transitions): Promise<Consumer> {
      return createConsumer({
        name: 'core.confirms',
        module: 'confirm',
        types: answerTypes,
        sql: (runtime.consumerSqlOf ?? runtime.sqlOf)('confirm'),
        bus: runtime.bus,
        logger,
        async handle(events) {
          const changes = replicaChanges(events, readConfirm);
          // Stored before waits are looked for: a step that begins to wait meanwhile finds it there.
          await replica.apply(sql, changes);
          for (const event of events) await manifests.heard(event);
          for (const { tenantId, id, status } of changes) {
            if (!decided.has(status)) continue;
            const waits = (await sql.unsafe(
              `SELECT execution_id AS "executionId" FROM core.step_execution WHERE tenant_id = $1 AND waits_for = $2`,
              [tenantId, `confirm:${id}`],
              { prepare: true },
            )) as unknown as { executionId: string }[];
            for (const { executionId } of waits) await tell(transitions, { tenantId, executionId }, { id, status });
          }
        },
      });
    },
  };
}

function readConfirm(event: EventRow): ReplicaEntry | null {
  const confirm = event.data['confirm'] as { id?: unknown; status?: unknown; targetId?: unknown } | undefined;
  if (typeof confirm?.id !== 'string' || typeof confirm.status !== 'string') return null;
  const targetId = typeof confirm.targetId === 'string' ? confirm.targetId : null;
  return { id: confirm.id, status: confirm.status, detail: { targetId } };
}
