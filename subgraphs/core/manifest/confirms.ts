import type { Approvers } from '#shared/approvers.ts';
import { type ApprovalAnswer, readAnswer } from '#shared/askedConfirm.ts';
import type { EventRow } from '#shared/events.ts';
import { isId } from '#shared/ids.ts';
import type { NewEvent } from '#shared/outbox.ts';
import type { ManifestChange, ManifestRow } from './rows.ts';

const kind = 'core.manifest';

const wordsOf = ({ status, moduleId, moduleStatus }: ManifestChange): string =>
  status === null ? `${moduleId} to ${moduleStatus}` : `the manifest to ${status}`;

/** Asks people; the confirm module opens a Confirm for it. */
export function manifestApproval(
  row: ManifestRow,
  change: ManifestChange,
  { approval, role }: { readonly approval: Approvers; readonly role: string },
): NewEvent {
  return {
    streamId: row.id,
    type: 'approval.requested',
    data: {
      approval: {
        targetType: 'other',
        targetId: row.id,
        confirmationType: 'manifest_change',
        title: `Change ${wordsOf(change)}`,
        reason: `protocol ${row.protocolVersion}, ${row.modules.length} modules, now ${row.status}`,
        requestedBy: change.requestedBy,
        requestedByRole: role,
        ...approval,
        reference: { kind, manifestId: row.id, changeId: change.id },
      },
    },
    tags: [],
  };
}

export type Outcome = ApprovalAnswer & { readonly manifestId: string; readonly changeId: string };

/** What an event of the confirm module says of a change of a manifest; null where it is about something else. */
export function readOutcome(event: Pick<EventRow, 'type' | 'data'>): Outcome | null {
  const answered = readAnswer(event, kind);
  const { manifestId, changeId } = answered?.reference ?? {};
  return answered === null || !isId(manifestId) || !isId(changeId)
    ? null
    : { ...answered.answer, manifestId, changeId };
}
