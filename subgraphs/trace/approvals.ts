import { type Consumer, createConsumer } from '#shared/consumer.ts';
import type { EventRow } from '#shared/events.ts';
import { appendChange, type Change } from '#shared/outbox.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import type { TraceRow } from './rows.ts';
import { tagsOf, traceColumns } from './store/traces.ts';

interface Approval {
  readonly tenantId: string;
  readonly traceId: string;
  readonly confirmId: string;
  readonly actor: string;
}

/** The last Confirm of each trace that the events tell the approval of, in the order of the traces. */
function approvalsIn(events: readonly EventRow[]): readonly Approval[] {
  const last = new Map<string, Approval>();
  for (const { tenantId, actor, data } of events) {
    const confirm = data['confirm'] as
      | { readonly id?: unknown; readonly status?: unknown; readonly targetType?: unknown; readonly targetId?: unknown }
      | undefined;
    if (confirm?.status !== 'approved' || confirm.targetType !== 'trace') continue;
    // What was approved elsewhere, long ago, comes with its trace as that was left.
    if (data['imported'] === true) continue;
    const traceId = String(confirm.targetId);
    last.set(`${tenantId}/${traceId}`, { tenantId, traceId, confirmId: String(confirm.id), actor });
  }
  return [...last].sort(([one], [other]) => (one < other ? -1 : 1)).map(([, approval]) => approval);
}

/**
 * Notes in the governance of traces the Confirm that approved them last, of locked ones too: that is what the note is for.
 * Reading the events again changes nothing where it stands there already.
 */
async function noteApprovals({ sql, publisher }: ModuleRuntime, events: readonly EventRow[]): Promise<void> {
  const approvals = approvalsIn(events);
  if (approvals.length === 0) return;
  const told = await sql.begin(async (tx): Promise<readonly EventRow[]> => {
    const rows = (await tx.unsafe(
      `WITH approved AS MATERIALIZED (
         SELECT t.tenant_id, t.id, a.confirm FROM unnest($1::text[], $2::uuid[], $3::text[]) AS a(tenant, trace, confirm)
         JOIN trace.trace t ON t.tenant_id = a.tenant AND t.id = a.trace
         WHERE t.governance->'lastConfirmRef'->>'id' IS DISTINCT FROM a.confirm ORDER BY t.tenant_id, t.id FOR UPDATE OF t
       ), noted AS (
         UPDATE trace.trace AS t SET revision = revision + 1, updated_at = now(), governance = coalesce(t.governance, '{}')
           || jsonb_build_object('lastConfirmRef', jsonb_build_object('id', a.confirm, 'module', 'confirm'))
         FROM approved a WHERE t.tenant_id = a.tenant_id AND t.id = a.id RETURNING t.*
       ) SELECT ${traceColumns} FROM noted`,
      [
        approvals.map(({ tenantId }) => tenantId),
        approvals.map(({ traceId }) => traceId),
        approvals.map(({ confirmId }) => confirmId),
      ],
      { prepare: true },
    )) as unknown as TraceRow[];
    const changes = rows.map((row): Change => {
      const { actor, confirmId } = approvals.find(
        ({ tenantId, traceId }) => tenantId === row.tenantId && traceId === row.id,
      )!;
      return {
        ...{ tenantId: row.tenantId, actor },
        events: [{ streamId: row.id, type: 'trace.updated', data: { trace: row, confirmId }, tags: tagsOf(row) }],
        audit: [{ action: 'trace.approved', resource: 'Trace', resourceId: row.id, detail: { confirmId } }],
      };
    });
    return changes.length === 0 ? [] : appendChange(tx, 'trace', changes);
  });
  await publisher.published(told);
}

/** Follows what is resolved of the approvals of traces. */
export function followApprovals(runtime: ModuleRuntime): Promise<Consumer> {
  return createConsumer({
    name: 'trace.approvals',
    module: 'confirm',
    sql: (runtime.consumerSqlOf ?? runtime.sqlOf)('confirm'),
    bus: runtime.bus,
    logger: runtime.logger,
    types: ['confirm.resolved'],
    // In a transaction of its own: traces may lie in another database than the events.
    handle: (events) => noteApprovals(runtime, events),
  });
}
