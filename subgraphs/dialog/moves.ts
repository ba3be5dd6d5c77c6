import { PlatformError } from '#shared/errors.ts';
import type { NewEvent } from '#shared/outbox.ts';
import type { Principal } from '#shared/principal.ts';
import { nowText } from './calls.ts';
import type { Aggregate, Outcome } from './commands.ts';
import { dialogEvent } from './events.ts';
import { holdsOn, may, requireModerator } from './rights.ts';
import type { DialogParticipantRow, DialogRecord, DialogRow, DialogStateRecord, DialogStatusValue } from './rows.ts';
import { requireTransition } from './states.ts';

export interface Move {
  readonly to: DialogStatusValue;
  readonly reason: string | null;
  readonly pausedBy: DialogRecord['pausedBy'];
}

/** An outcome whose action its command names. */
export type Change = Omit<Outcome, 'action' | 'detail'> & { readonly detail?: Readonly<Record<string, unknown>> };

/** Pausing and completing: creator and moderators; cancelling: creator and administrators; waking from idleness: any writer. */
export function requireMover(
  record: DialogRecord,
  to: DialogStatusValue,
  principal: Principal,
  participant: DialogParticipantRow | null,
): void {
  requireTransition(record.status, to);
  if (to === 'cancelled') {
    if (record.createdBy === principal.subject || holdsOn(record, principal, 'dialog:admin')) return;
    throw new PlatformError('PERMISSION_DENIED', 'only the creator or dialog:admin cancels a dialog', {
      details: { permission: 'dialog:admin' },
    });
  }
  if (to === 'active' && record.pausedBy === 'IDLE' && may(participant, 'WRITE')) return;
  if (to === 'active' && record.pausedBy === 'CONTEXT' && !holdsOn(record, principal, 'dialog:admin')) {
    throw new PlatformError('CONTEXT_NOT_ACTIVE', 'the context is suspended; the dialog resumes with it');
  }
  requireModerator(record, principal, participant);
}

export function statusEvent(type: string, dialog: DialogRow, from: DialogStatusValue): NewEvent {
  return dialogEvent(type, dialog, {
    status: dialog.status,
    from,
    reason: dialog.statusReason,
    archived: dialog.archivedAt !== null,
  });
}

/** Takes the step; who may is decided before. @throws {INVALID_STATE_TRANSITION} */
export function moveDialog(current: Aggregate, { to, reason, pausedBy }: Move): Change {
  requireTransition(current.record.status, to);
  const at = nowText();
  const from = current.record.status;
  const ended = to === 'completed' || to === 'cancelled';
  const record: DialogRecord = {
    ...current.record,
    status: to,
    statusReason: reason,
    pausedBy: to === 'paused' ? pausedBy : null,
    endedAt: ended ? at : null,
    nextCheckAt: ended ? null : nextCheck(current.record, at),
    ...(ended && current.record.protocol?.endedAt !== undefined
      ? { protocol: { ...current.record.protocol, endedAt: at } }
      : {}),
  };
  const state: DialogStateRecord = { ...current.state, lastActivityAt: at };
  return {
    record,
    state,
    events: (dialog) => [statusEvent('dialog.status.changed', dialog, from)],
    detail: { from, to, reason },
  };
}

/** When idleness or the end of the session is looked at next. Imported dialogs have no clock of ours. */
export function nextCheck(
  record: Pick<DialogRecord, 'configuration' | 'startedAt' | 'protocol'>,
  lastActivityAt: string,
): string | null {
  if (record.protocol?.imported || record.startedAt === null) return null;
  const { idleTimeoutMs, maxDurationMs } = record.configuration;
  const dueMs = Math.min(Date.parse(lastActivityAt) + idleTimeoutMs, Date.parse(record.startedAt) + maxDurationMs);
  return new Date(dueMs).toISOString();
}
