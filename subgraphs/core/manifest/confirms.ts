import { wasAskedFor } from '#shared/askedConfirm.ts';
import type { EventRow } from '#shared/events.ts';
import { isId } from '#shared/ids.ts';
import type { NewEvent } from '#shared/outbox.ts';
import type { ManifestApproval, ManifestChange, ManifestRow } from './rows.ts';

const kind = 'core.manifest';

const wordsOf = ({ status, moduleId, moduleStatus }: ManifestChange): string =>
  status === null ? `${moduleId} to ${moduleStatus}` : `the manifest to ${status}`;

/** Asks people; the confirm module opens a Confirm for it. */
export function manifestApproval(
  row: ManifestRow,
  change: ManifestChange,
  { approval, role }: { readonly approval: ManifestApproval; readonly role: string },
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

export type Outcome = { readonly manifestId: string; readonly changeId: string } & (
  | { readonly kind: 'opened'; readonly confirmId: string }
  | { readonly kind: 'approved' }
  | { readonly kind: 'refused'; readonly reason: string }
);

/** What an event of the confirm module says of a change of a manifest; null where it is about something else. */
export function readOutcome({ type, data }: Pick<EventRow, 'type' | 'data'>): Outcome | null {
  const about = (type === 'approval.refused' ? data['approval'] : data['confirm']) as
    | {
        readonly id?: unknown;
        readonly status?: unknown;
        readonly resolution?: unknown;
        readonly requestEventId?: unknown;
        readonly reference?: {
          readonly kind?: unknown;
          readonly manifestId?: unknown;
          readonly changeId?: unknown;
        } | null;
      }
    | undefined;
  const { manifestId, changeId } = about?.reference ?? {};
  if (about?.reference?.kind !== kind || !isId(manifestId) || !isId(changeId)) return null;
  const of = { manifestId, changeId };
  if (type === 'approval.refused')
    return { ...of, kind: 'refused', reason: String(data['message'] ?? 'nobody can be asked for approval') };
  if (!wasAskedFor(about)) return null;
  if (type === 'confirm.created') return isId(about.id) ? { ...of, kind: 'opened', confirmId: about.id } : null;
  if (type !== 'confirm.resolved') return null;
  if (about.status === 'approved') return { ...of, kind: 'approved' };
  const why = typeof about.resolution === 'string' ? `: ${about.resolution}` : '';
  return { ...of, kind: 'refused', reason: `the Confirm was ${String(about.status)}${why}` };
}
