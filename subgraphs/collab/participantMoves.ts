import { PlatformError } from '#shared/errors.ts';
import { change, type Draft, find, list, put, tell } from './draft.ts';
import { normalised } from './participantRows.ts';
import { active } from './rights.ts';
import type { ParticipantRow } from './rows.ts';
import { changeHelpers } from './taskMoves.ts';
import { timeOut } from './turnMoves.ts';

/** Weights of those who take part now: open decisions keep the electorate they opened with. */
export function renormalise(draft: Draft): void {
  for (const row of normalised(active(draft)))
    if (row.weight !== find(draft, 'participant', row.participantId)!.weight) put(draft, 'participant', row);
  change(draft, { participantCount: active(draft).length });
}

/** What somebody who goes leaves behind goes back to where others can take it. */
export function letGo(draft: Draft, row: ParticipantRow, reason: string): void {
  for (const turn of list(draft, 'turn'))
    if (turn.participantId === row.participantId && turn.status === 'dispatched')
      timeOut(draft, turn, { status: 'cancelled', error: reason });
  for (const task of list(draft, 'task')) {
    if (!['assigned', 'in_progress', 'blocked'].includes(task.status)) continue;
    if (task.helpers.includes(row.participantId)) {
      changeHelpers(
        draft,
        task,
        task.helpers.filter((id) => id !== row.participantId),
      );
      continue;
    }
    if (task.assignedTo !== row.participantId) continue;
    const [next, ...others] = task.helpers;
    if (next !== undefined) {
      // Who helped goes on with it.
      const led = put(draft, 'task', { ...task, assignedTo: next, helpers: others, version: task.version + 1 });
      tell(draft, 'collab.task.assigned', { task: led, from: row.participantId });
      continue;
    }
    const freed = put(draft, 'task', {
      ...task,
      assignedTo: null,
      status: 'pending',
      plannedStart: null,
      plannedFinish: null,
      version: task.version + 1,
    });
    tell(draft, 'collab.task.released', { task: freed });
  }
}

/** @throws {COORDINATOR_INVALID} {INVARIANT_VIOLATED} where the session cannot do without it */
export function requireLeaving(draft: Draft, { participantId }: ParticipantRow): void {
  if (draft.collab.status === 'draft') return;
  if (participantId === draft.collab.coordination.coordinatorId)
    throw new PlatformError('COORDINATOR_INVALID', 'the coordinator can only be replaced');
  if (active(draft).length === 1)
    throw new PlatformError('INVARIANT_VIOLATED', 'the last participant ends the session instead', {
      details: { invariant: 'map_session_requires_participants' },
    });
}

/** It takes no part any more. */
export function sendAway(draft: Draft, row: ParticipantRow, reason: string | null): void {
  const left = put(draft, 'participant', { ...row, status: 'inactive', leftAt: draft.at });
  letGo(draft, row, 'its participant left');
  renormalise(draft);
  tell(draft, 'collab.participant.left', { participant: left, reason });
}
