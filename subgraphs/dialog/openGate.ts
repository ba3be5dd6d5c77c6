import type { EventGate } from '#shared/events.ts';
import type { Admission } from './gate.ts';
import { seesDialog } from './rights.ts';
import type { DialogParticipantRow, DialogRow } from './rows.ts';

/** For what everyone sees who sees the dialog: ends once the dialog is closed to all but those who take part, and it does not. */
export function createOpenGate({ principal, dialog, participant }: Admission): EventGate {
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
      return seesDialog({ ...dialog, configuration: current.configuration }, principal, part) ? 'deliver' : 'end';
    },
  };
}
