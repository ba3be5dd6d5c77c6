import type { ChildList } from '#shared/childPages.ts';
import type { ConfirmAuditEntryRow } from './rows.ts';

export type AuditKind =
  | 'CREATED'
  | 'UPDATED'
  | 'REVIEWED'
  | 'APPROVED'
  | 'REJECTED'
  | 'CANCELLED'
  | 'ESCALATED'
  | 'DELEGATED'
  | 'EXPIRED';

/** What an entry is about, the most decisive of what it did first. */
export function auditKind(entry: ConfirmAuditEntryRow): AuditKind {
  const { action, detail } = entry;
  const outcomes = auditedDecisions(entry).map(({ outcome }) => outcome);
  if (outcomes.includes('expired')) return 'EXPIRED';
  if (outcomes.includes('cancelled')) return 'CANCELLED';
  // Nothing is decided after the end, and what ended by itself is noted.
  const ends = outcomes.length > 0 || detail.resolved === true;
  if (ends && detail.status === 'approved') return 'APPROVED';
  if (ends && detail.status === 'rejected') return 'REJECTED';
  if (outcomes.includes('escalated')) return 'ESCALATED';
  if (outcomes.includes('delegated')) return 'DELEGATED';
  if (outcomes.length > 0) return 'REVIEWED';
  return creating.has(action) ? 'CREATED' : 'UPDATED';
}

/** Entries of documents that were brought in count their decisions alone. */
export const auditedDecisions = ({ detail: { decisions } }: Pick<ConfirmAuditEntryRow, 'detail'>) =>
  Array.isArray(decisions) ? decisions : [];

const creating: ReadonlySet<string> = new Set([
  'confirm.create',
  'confirm.draft',
  'confirm.resubmit',
  'confirm.import',
  'confirm.consensus.create',
]);

/** What was done with confirms, oldest first. */
export function auditBelow(tenantId: string): ChildList<ConfirmAuditEntryRow> {
  return {
    list: 'confirmAudit',
    columns: `a.id, a.resource_id AS "confirmId", a.action, a.actor, a.detail, a.position::text AS position, to_char(a.created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS at`,
    from: () => 'confirm.audit a',
    parent: { type: 'text', condition: 'a.resource_id = k.parent' },
    sort: [
      { column: 'a.created_at', type: 'timestamptz', keyOf: ({ at }) => at },
      { column: 'a.position', type: 'bigint', keyOf: ({ position }) => position },
    ],
    conditions(parameters) {
      return [`a.tenant_id = $${parameters.push(tenantId)}`, `a.resource = 'Confirm'`];
    },
  };
}
