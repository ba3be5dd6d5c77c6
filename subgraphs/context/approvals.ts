import type { EventRow } from '#shared/events.ts';
import { appendChange, type Change } from '#shared/outbox.ts';
import { createPrincipal } from '#shared/principal.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import { type Citation, citeConfirm, storeCitations } from './governance.ts';
import { lockContexts } from './store.ts';

interface ApprovedConfirm {
  readonly id: string;
  readonly tenantId: string;
  readonly contextId: string;
  readonly actor: string;
}

/** The last Confirm of each context that the events tell the approval of. */
function approvalsIn(events: readonly EventRow[]): readonly ApprovedConfirm[] {
  const last = new Map<string, ApprovedConfirm>();
  for (const { type, tenantId, actor, data } of events) {
    const confirm = data['confirm'] as { id?: unknown; status?: unknown; targetType?: unknown; targetId?: unknown };
    if (type !== 'confirm.resolved' || confirm?.status !== 'approved' || confirm.targetType !== 'context') continue;
    // What was approved elsewhere, long ago, comes with its context as that was left.
    if (data['imported'] === true) continue;
    const [id, contextId] = [String(confirm.id), String(confirm.targetId)];
    last.set(`${tenantId}/${contextId}`, { id, tenantId, contextId, actor });
  }
  return [...last.values()];
}

/**
 * Notes in the governance of contexts the Confirm that approved them last. Reading the events again changes nothing
 * where it stands there already.
 */
export async function noteApprovals(
  { sql, publisher }: Pick<ModuleRuntime, 'sql' | 'publisher'>,
  events: readonly EventRow[],
): Promise<void> {
  const approvals = approvalsIn(events);
  if (approvals.length === 0) return;
  const told = await sql.begin(async (tx) => {
    const rows = await lockContexts(
      tx,
      approvals.map(({ tenantId, contextId }) => ({ tenantId, id: contextId })),
    );
    const citations: Citation[] = [];
    const changes: Change[] = [];
    for (const row of rows) {
      const approval = approvals.find(({ tenantId, contextId }) => tenantId === row.tenantId && contextId === row.id);
      if (!approval || row.deletedAt !== null || row.governance?.lastConfirmRef?.id === approval.id) continue;
      const { tenantId, actor } = approval;
      const by = createPrincipal({ tenantId, subject: actor, subjectType: 'service', scopes: [] });
      const citation = citeConfirm(row, { lastConfirmRef: { id: approval.id, module: 'confirm' } }, by);
      citations.push(citation);
      changes.push({
        tenantId,
        actor,
        events: [citation.event],
        audit: [
          {
            action: 'context.approved',
            resource: 'Context',
            resourceId: row.id,
            detail: { confirmId: approval.id },
          },
        ],
      });
    }
    if (citations.length === 0) return [];
    await storeCitations(tx, citations);
    return appendChange(tx, 'context', changes);
  });
  await publisher.published(told);
}
