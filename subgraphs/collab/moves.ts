import { dissolveAll } from './council/sittings.ts';
import { change, count, type Draft, list, put, setDeadline, tell } from './draft.ts';
import { requireSession } from './participantRows.ts';
import { active } from './rights.ts';
import type { CollabRow } from './rows.ts';

/** Roles of those who take part, in their order. */
export const rolesOf = (draft: Draft): readonly string[] =>
  active(draft).flatMap(({ roleId }) => (roleId === null ? [] : [roleId]));

/** The session begins. @throws {ROLE_MISSING} {INVARIANT_VIOLATED} */
export function begin(draft: Draft): void {
  const participants = active(draft);
  requireSession(draft.collab.mode, participants);
  change(draft, { status: 'active', startedAt: draft.at, statusReason: null });
  setEnd(draft);
  tell(draft, 'collab.activated', { targetRoles: rolesOf(draft) });
  tell(draft, 'collab.roles.assigned', {
    targetRoles: rolesOf(draft),
    assignments: participants.map(({ participantId, roleId }) => ({ participantId, roleId })),
  });
}

/** When it is over, whatever is under way; null where it may last for ever or has not begun. */
export const endOf = ({ startedAt, maxDurationMs }: Pick<CollabRow, 'startedAt' | 'maxDurationMs'>): string | null =>
  startedAt === null || maxDurationMs === null ? null : new Date(Date.parse(startedAt) + maxDurationMs).toISOString();

/** The timer of its end, by when it began and how long it may last. */
export function setEnd(draft: Draft): void {
  setDeadline(draft, 'session', endOf(draft.collab));
}

/** Its time is over: it is cancelled as failed, with all that is under way. */
export function expire(draft: Draft): void {
  const reason = `its time of ${Math.round((draft.collab.maxDurationMs ?? 0) / 1_000)} s is over`;
  tell(draft, 'collab.expired', { endsAt: endOf(draft.collab), reason });
  end(draft, 'cancelled', { reason, isFailed: true });
}

/** Takes back what is under way: councils rise, turns and broadcasts end with an answer that says why, so that none stays open. */
function stop(draft: Draft, reason: string): void {
  dissolveAll(draft, reason);
  for (const turn of list(draft, 'turn')) {
    if (turn.status !== 'dispatched') continue;
    const ended = put(draft, 'turn', { ...turn, status: 'cancelled', error: reason, completedAt: draft.at });
    setDeadline(draft, `turn:${turn.id}`, null);
    tell(draft, 'collab.turn.completed', { turn: ended });
  }
  for (const broadcast of list(draft, 'broadcast')) {
    if (broadcast.status !== 'open') continue;
    const expired = put(draft, 'broadcast', { ...broadcast, status: 'expired' });
    setDeadline(draft, `broadcast:${broadcast.id}`, null);
    tell(draft, 'collab.broadcast.expired', { broadcast: expired, reason });
  }
}

export function suspend(draft: Draft, by: NonNullable<CollabRow['suspendedBy']>, reason: string | null): void {
  stop(draft, reason ?? 'the collaboration is suspended');
  change(draft, { status: 'suspended', suspendedBy: by, statusReason: reason });
  tell(draft, 'collab.suspended', { reason });
}

/** What fell due meanwhile is looked at as soon as it goes on. */
export function resume(draft: Draft): void {
  change(draft, {
    status: 'active',
    suspendedBy: null,
    statusReason: null,
    turnState: { ...draft.collab.turnState, missed: 0 },
  });
  tell(draft, 'collab.resumed');
}

export function end(
  draft: Draft,
  status: 'completed' | 'cancelled',
  { reason, isFailed }: { readonly reason: string | null; readonly isFailed: boolean },
): void {
  stop(draft, reason ?? `the collaboration is ${status}`);
  for (const decision of list(draft, 'decision')) {
    if (!['proposed', 'under_review', 'voting'].includes(decision.status)) continue;
    put(draft, 'decision', {
      ...decision,
      status: 'withdrawn',
      outcome: 'withdrawn',
      decidedAt: draft.at,
      version: decision.version + 1,
    });
    if (decision.status === 'voting') count(draft, { decisionsConcluded: 1 });
  }
  change(draft, { status, statusReason: reason, isFailed, endedAt: draft.at, suspendedBy: null, deadlines: {} });
  tell(draft, status === 'completed' ? 'collab.completed' : 'collab.cancelled', {
    reason,
    targetRoles: rolesOf(draft),
  });
}
