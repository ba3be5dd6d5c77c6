import type { EventGate } from '#shared/events.ts';
import type { Admission } from './gate.ts';
import { isActive, seesDialog } from './rights.ts';
import type { DialogParticipantRow, DialogRow } from './rows.ts';

/** For what everyone sees who sees the dialog: ends when the dialog is closed to all but its participants. */
export function createOpenGate({ principal, dialog, participant }: Admission): EventGate {
  let current: Pick<DialogRow, 'configuration'> = dialog;
  let part = participant;
  return {
    decide(event) {
      const changed = event.data['participant'] as DialogParticipantRow | undefined;
      if (changed && changed.id === part?.id && changed.version > part.version) part = changed;
      const moved = event.data['dialog'] as DialogRow | undefined;
      if (moved && moved.revision > dialog.revision) current = moved;
      const sees = seesDialog(
        { ...dialog, configuration: current.configuration },
        principal,
        isActive(part) ? part : null,
      );
      return sees ? 'deliver' : 'end';
    },
  };
}
