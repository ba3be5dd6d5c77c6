import { PlatformError } from '#shared/errors.ts';
import type { DialogRecord, DialogStatusValue } from './rows.ts';

/** active <-> paused -> completed | cancelled; both ends also straight from active. */
const transitions: Readonly<Record<DialogStatusValue, readonly DialogStatusValue[]>> = {
  active: ['paused', 'completed', 'cancelled'],
  paused: ['active', 'completed', 'cancelled'],
  completed: [],
  cancelled: [],
};

/** @throws {INVALID_STATE_TRANSITION} when the state machine has no such step. */
export function requireTransition(from: DialogStatusValue, to: DialogStatusValue): void {
  if (transitions[from].includes(to)) return;
  const allowed = transitions[from].map((status) => status.toUpperCase()).join(', ') || 'none';
  throw new PlatformError(
    'INVALID_STATE_TRANSITION',
    `a dialog that is ${from.toUpperCase()} cannot become ${to.toUpperCase()}; allowed: ${allowed}`,
    { path: ['status'], details: { from: from.toUpperCase(), to: to.toUpperCase() } },
  );
}

export function isOpen(status: DialogStatusValue): boolean {
  return status === 'active' || status === 'paused';
}

/** @throws {DIALOG_NOT_ACTIVE} when it is not active; paused dialogs pass where `paused` is allowed. */
export function requireActive(
  dialog: Pick<DialogRecord, 'status'>,
  options: { readonly orPaused?: boolean } = {},
): void {
  if (dialog.status === 'active' || (dialog.status === 'paused' && options.orPaused === true)) return;
  throw new PlatformError('DIALOG_NOT_ACTIVE', `the dialog is ${dialog.status.toUpperCase()}`, {
    details: { status: dialog.status.toUpperCase() },
  });
}
