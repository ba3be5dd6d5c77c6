import type { AdmissionDeps, EventGate } from '#shared/events.ts';
import type { Admission } from './gate.ts';
import { seesDialog } from './rights.ts';
import type { DialogParticipantRow, DialogRow } from './rows.ts';

/** Sequences of a stream from which on, and before which, its subscriber did not see the dialog. */
export type Absence = readonly [from: number, before: number];

/** When the subscriber of a dialog that is for its participants alone had been removed from it, of what is replayed. */
export async function findAbsences(
  { principal, dialog, participant }: Admission,
  { sql }: AdmissionDeps,
): Promise<readonly Absence[]> {
  // Removed and back are two changes at least: most have none, and their streams are not searched.
  if (participant === null || participant.version < 3 || seesDialog(dialog, principal, null)) return [];
  const moves = await sql<{ sequence: number; gone: boolean }[]>`
    SELECT e.sequence, e.type = 'dialog.participant.removed' AS gone FROM dialog.event e
    WHERE e.tenant_id = ${dialog.tenantId} AND e.stream_id = ${dialog.id} AND e.data->'participant'->>'id' = ${participant.id}
      AND e.type IN ('dialog.participant.removed', 'dialog.participant.invited', 'dialog.participant.joined')
    ORDER BY e.sequence`;
  const absences: Absence[] = [];
  let goneAt: number | null = null;
  for (const { sequence, gone } of moves) {
    if (!gone && goneAt !== null) absences.push([goneAt, sequence]);
    goneAt = gone ? (goneAt ?? sequence) : null;
  }
  return absences;
}

/** For what everyone sees who sees the dialog: ends once the dialog is closed to all but those who take part, and it does not. */
export function createOpenGate(
  { principal, dialog, participant }: Admission,
  absences: readonly Absence[] = [],
): EventGate {
  let current: Pick<DialogRow, 'configuration'> = dialog;
  let part = participant;
  /** Its own part, also one that began after it subscribed; a pseudonym tells nobody whose it is. */
  const isOwn = ({ id, subject, anonymous }: DialogParticipantRow) =>
    id === part?.id || (part === null && !anonymous && subject === principal.subject);
  return {
    decide(event) {
      const changed = event.data['participant'] as DialogParticipantRow | undefined;
      if (changed && isOwn(changed) && changed.version > (part?.version ?? 0)) part = changed;
      const moved = event.data['dialog'] as DialogRow | undefined;
      if (moved && moved.revision > dialog.revision) current = moved;
      if (!seesDialog({ ...dialog, configuration: current.configuration }, principal, part)) return 'end';
      const isMissed =
        'sequence' in event && absences.some(([from, before]) => event.sequence >= from && event.sequence < before);
      return isMissed ? 'skip' : 'deliver';
    },
  };
}
