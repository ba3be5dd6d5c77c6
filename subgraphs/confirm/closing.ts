import { PlatformError } from '#shared/errors.ts';
import type { Principal } from '#shared/principal.ts';
import { dismissAll } from './conditions/responsible.ts';
import { addDecision, type Draft, setPhase, tell } from './draft.ts';
import { resolve, systemSubject } from './engine.ts';

/** Requester or administrator. @throws {PERMISSION_DENIED} {INVALID_STATE} */
export function cancel(draft: Draft, principal: Principal, options: { isAdmin: boolean; reason: string | null }): void {
  const { confirm } = draft;
  if (confirm.requestedBy !== principal.subject && !options.isAdmin)
    throw new PlatformError('PERMISSION_DENIED', 'only who asked for it, or confirm:admin, cancels a confirm');
  if (confirm.status !== 'pending')
    throw new PlatformError('INVALID_STATE', `the confirm is ${confirm.status.toUpperCase()} already`);
  const decision = addDecision(draft, {
    approver: principal.subject,
    role: confirm.requestedBy === principal.subject ? confirm.requestedByRole : (principal.roles[0] ?? 'admin'),
    outcome: 'cancelled',
    rationale: options.reason,
  });
  tell(draft, 'confirm.cancelled', { decision });
  resolve(draft, 'cancelled', options.reason ?? 'cancelled');
}

/** Ends a confirm whose object has come to its own end. */
export function withdraw(draft: Draft, reason: string): void {
  const decision = addDecision(draft, {
    approver: systemSubject,
    role: 'system',
    outcome: 'cancelled',
    rationale: reason,
  });
  tell(draft, 'confirm.cancelled', { decision });
  resolve(draft, 'cancelled', reason);
}

/** Puts away what has ended. @throws {PERMISSION_DENIED} {INVALID_STATE} */
export function archive(draft: Draft, principal: Principal, { isAdmin }: { readonly isAdmin: boolean }): void {
  const { confirm } = draft;
  if (confirm.requestedBy !== principal.subject && !isAdmin)
    throw new PlatformError('PERMISSION_DENIED', 'only who asked for it, or confirm:admin, archives a confirm');
  if (confirm.status === 'pending' || confirm.phase === 'archived')
    throw new PlatformError(
      'INVALID_STATE',
      confirm.status === 'pending' ? 'the confirm has not ended yet' : 'the confirm is archived already',
    );
  setPhase(draft, 'archived');
  dismissAll(draft);
  tell(draft, 'confirm.archived');
}
