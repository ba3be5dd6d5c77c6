import { PlatformError } from '#shared/errors.ts';
import { isOpen } from '../conflictFinding.ts';
import { resolutionOf, settle } from '../conflictResolving.ts';
import type { ConflictRow } from '../conflictRows.ts';
import type { CouncilRow, OptionAction } from '../councilRows.ts';
import type { DecisionOption } from '../decisionRows.ts';
import { change, type Draft, find, put, setDeadline, tell } from '../draft.ts';
import { end, suspend } from '../moves.ts';
import { requireLeaving, sendAway } from '../participantMoves.ts';
import { requireActive } from '../rights.ts';
import { assignTask, moveTask, requireMove, requireSkills } from '../taskMoves.ts';
import type { TaskRow } from '../workRows.ts';

const path = ['input', 'decisionId'];

/** @throws {NOT_FOUND} */
function requireTask(draft: Draft, taskId: string | null): TaskRow {
  const task = taskId === null ? undefined : find(draft, 'task', taskId);
  if (task === undefined) throw new PlatformError('NOT_FOUND', 'an option names a task that is not open', { path });
  return task;
}

/** Whether what an option asks for could be done now. @throws as doing it would */
export function requireFeasible(draft: Draft, { kind, taskId, participantId }: OptionAction): void {
  switch (kind) {
    case 'assign_task': {
      const task = requireTask(draft, taskId);
      requireMove(task, 'assigned');
      requireSkills(task, [requireActive(draft, participantId!, path)], path);
      return;
    }
    case 'cancel_task':
      requireMove(requireTask(draft, taskId), 'cancelled');
      return;
    case 'name_coordinator':
      requireActive(draft, participantId!, path);
      return;
    case 'remove_participant':
      requireLeaving(draft, requireActive(draft, participantId!, path));
      return;
    default:
  }
}

/** Does what the option asks for, or nothing of it. @throws as `requireFeasible` */
export function carryOut(draft: Draft, action: OptionAction, reason: string): void {
  requireFeasible(draft, action);
  const { participantId, taskId } = action;
  switch (action.kind) {
    case 'assign_task':
      assignTask(draft, requireTask(draft, taskId), participantId!, { plannedStart: null, plannedFinish: null });
      return;
    case 'cancel_task':
      moveTask(draft, requireTask(draft, taskId), 'cancelled', reason);
      return;
    case 'name_coordinator':
      change(draft, { coordination: { ...draft.collab.coordination, coordinatorId: participantId! } });
      tell(draft, 'collab.updated', { reason });
      return;
    case 'remove_participant':
      sendAway(draft, requireActive(draft, participantId!, path), reason);
      return;
    case 'suspend_collaboration':
      suspend(draft, 'user', reason);
      return;
    case 'cancel_collaboration':
      end(draft, 'cancelled', { reason, isFailed: false });
      return;
    default:
  }
}

/** @throws {NOT_FOUND} {INVALID_STATE} unless the conflict is still to be settled */
export function requireConflict(draft: Draft, conflictId: string): ConflictRow {
  const conflict = find(draft, 'conflict', conflictId);
  if (conflict === undefined)
    throw new PlatformError('NOT_FOUND', 'no such open conflict', { path: ['input', 'conflictId'] });
  if (!isOpen(conflict))
    throw new PlatformError('INVALID_STATE', `the conflict is ${conflict.status.toUpperCase()}`, {
      details: { status: conflict.status.toUpperCase() },
    });
  return conflict;
}

/** Settles a conflict by what a council has adopted: those affected are not asked. @throws as the strategy does */
export function judge(
  draft: Draft,
  { id, conflictId }: CouncilRow & { readonly conflictId: string },
  option: DecisionOption,
): void {
  const conflict = requireConflict(draft, conflictId);
  if (option.isStatusQuo) {
    const dismissed = put(draft, 'conflict', {
      ...conflict,
      status: 'dismissed',
      levelDueAt: null,
      resolvedAt: draft.at,
      version: conflict.version + 1,
    });
    setDeadline(draft, `conflict:${conflict.id}`, null);
    tell(draft, 'collab.conflict.dismissed', { conflict: dismissed, reason: option.label });
    return;
  }
  const ruling = option.description ?? option.label;
  const strategy = option.action?.strategy ?? 'arbitration';
  const resolution = resolutionOf(draft, conflict, { conflictId, strategy, ruling }, `council:${id}`);
  settle(draft, { ...conflict, resolution, status: 'proposed', version: conflict.version + 1 });
}
