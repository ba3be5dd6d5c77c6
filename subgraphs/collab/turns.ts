import type { RequestScope } from '#shared/context.ts';
import { PlatformError } from '#shared/errors.ts';
import { parseInput } from '#shared/validation.ts';
import { skillMatch, urgencyOf } from './assignment/index.ts';
import type { Calls } from './calls.ts';
import type { Answer } from './commands.ts';
import { type Draft, find, list, put, tell } from './draft.ts';
import { holding } from './executionPattern.ts';
import * as inputs from './inputs.ts';
import { coordinates, requireActive, requireCoordinator, requirePart, requireStatus } from './rights.ts';
import type { ParticipantRow } from './rows.ts';
import { isReady, startTask, toAssignable } from './taskMoves.ts';
import { complete, dispatch, nextInOrder, passOn, timeOut } from './turnMoves.ts';
import { assigneesOf, type TaskRow, type TurnRow } from './workRows.ts';

/** Who gets the turn by the rule of the mode. @throws {MODE_FORBIDS} {PARTICIPANT_NOT_FOUND} {NOT_YOUR_TURN} */
function chooseNext(draft: Draft, asked: string | null): ParticipantRow {
  const { mode } = draft.collab;
  if (mode === 'broadcast')
    throw new PlatformError('MODE_FORBIDS', 'in BROADCAST mode everyone is spoken to at once: broadcast instead');
  if (mode === 'swarm') throw new PlatformError('MODE_FORBIDS', 'in SWARM mode work is claimed, not handed out');
  if (mode === 'orchestrated') {
    if (asked === null)
      throw new PlatformError(
        'VALIDATION_FAILED',
        'participantId: in ORCHESTRATED mode the coordinator names who is next',
        {
          path: ['input', 'participantId'],
        },
      );
    return requireActive(draft, asked, ['input', 'participantId']);
  }
  const next = nextInOrder(draft);
  if (next === null) throw new PlatformError('PARTICIPANT_NOT_FOUND', 'nobody takes an active part');
  if (asked !== null && asked !== next.participantId) {
    requireActive(draft, asked, ['input', 'participantId']);
    throw new PlatformError('NOT_YOUR_TURN', `the turn is that of ${next.participantId}`, {
      details: { next: next.participantId },
    });
  }
  return next;
}

/** Of the tasks that can be begun, the one that the participant does best for its urgency and effort; null where there is none. */
export function bestWork(draft: Draft, participant: ParticipantRow): TaskRow | null {
  const utilityOf = (task: TaskRow) => {
    const match = skillMatch(participant, toAssignable(task, draft.atMs));
    return (match * urgencyOf(task.priority)) / Math.sqrt(task.effortHours);
  };
  const open = list(draft, 'task').filter(
    (task) =>
      (task.status === 'pending' ||
        (task.status === 'assigned' && assigneesOf(task).includes(participant.participantId))) &&
      isReady(draft, task) &&
      holding(draft, task, [participant.participantId]).length === 0 &&
      task.requiredSkills.every(
        (skill) => (task.skillWeights[skill] ?? 1) < 1 || participant.capabilities.includes(skill),
      ),
  );
  return open.reduce<TaskRow | null>(
    (best, task) => (best === null || utilityOf(task) > utilityOf(best) ? task : best),
    null,
  );
}

/** @throws {NOT_FOUND} {TURN_OVER} */
function requireTurn(draft: Draft, turnId: string): TurnRow {
  const turn = find(draft, 'turn', turnId);
  if (turn === undefined) throw new PlatformError('NOT_FOUND', 'no such turn', { path: ['input', 'turnId'] });
  if (turn.status !== 'dispatched')
    throw new PlatformError('TURN_OVER', `the turn is ${turn.status.toUpperCase()}`, {
      details: { status: turn.status.toUpperCase() },
    });
  return turn;
}

/** Turns by the rule of the mode: tokens in a circle, the coordinator's choice, or work that is claimed. */
export function createTurns({ calls }: { readonly calls: Calls }) {
  return {
    /** @throws {MODE_FORBIDS} {TURN_OPEN} {NOT_YOUR_TURN} {PARTICIPANT_NOT_FOUND} {PERMISSION_DENIED} {COLLAB_NOT_ACTIVE} */
    async dispatch(scope: RequestScope, raw: unknown): Promise<Answer> {
      const { idempotencyKey, expectedVersion, ...input } = parseInput(inputs.dispatch, raw);
      const needs = {
        participant: 'all',
        turn: 'open',
        ...(input.taskId == null ? {} : { task: [input.taskId] }),
      } as const;
      return calls.run(
        scope,
        input.collabId,
        { operation: 'dispatchTurn', input, idempotencyKey, expectedVersion, needs },
        (draft) => {
          requireCoordinator(draft, scope.principal);
          requireStatus(draft, 'active');
          const next = chooseNext(draft, input.participantId ?? null);
          if (input.taskId != null && find(draft, 'task', input.taskId) === undefined)
            throw new PlatformError('NOT_FOUND', 'no such task', { path: ['input', 'taskId'] });
          const { taskId, instruction, timeoutMs } = input;
          const turn = dispatch(draft, next, {
            taskId: taskId ?? null,
            instruction: instruction ?? null,
            timeoutMs: timeoutMs ?? null,
            dispatchedBy: scope.principal.subject,
          });
          return { collabId: input.collabId, turnId: turn.id };
        },
      );
    },

    /**
     * Whoever has the turn, or the coordinator, ends it; the token goes on unless it is told to stay.
     * @throws {NOT_FOUND} {TURN_OVER} {NOT_YOUR_TURN}
     */
    async complete(scope: RequestScope, raw: unknown): Promise<Answer> {
      const { idempotencyKey, expectedVersion, ...input } = parseInput(inputs.completeTurn, raw);
      const collabId = await calls.ownerOf(scope, 'turn', input.turnId);
      // Its own row is asked for too: one that is over is told from one that never was.
      return calls.run(
        scope,
        collabId,
        {
          operation: 'completeTurn',
          input,
          idempotencyKey,
          expectedVersion,
          needs: { participant: 'all', turn: [input.turnId] },
        },
        (draft) => {
          const turn = requireTurn(draft, input.turnId);
          const holder = find(draft, 'participant', turn.participantId);
          if (holder?.agentId !== scope.principal.subject && !coordinates(draft, scope.principal))
            throw new PlatformError('NOT_YOUR_TURN', `the turn is that of ${turn.participantId}`);
          complete(draft, turn, { result: input.result ?? null, error: input.error ?? null });
          const next = input.passOn === false ? null : passOn(draft);
          return { collabId, turnId: turn.id, nextTurnId: next?.id ?? null };
        },
      );
    },

    /** The coordinator takes a turn back. @throws {NOT_FOUND} {TURN_OVER} {PERMISSION_DENIED} */
    async cancel(scope: RequestScope, raw: unknown): Promise<Answer> {
      const { idempotencyKey, expectedVersion, ...input } = parseInput(inputs.cancelTurn, raw);
      const collabId = await calls.ownerOf(scope, 'turn', input.turnId);
      return calls.run(
        scope,
        collabId,
        {
          operation: 'cancelTurn',
          input,
          idempotencyKey,
          expectedVersion,
          needs: { participant: 'all', turn: [input.turnId] },
        },
        (draft) => {
          requireCoordinator(draft, scope.principal);
          const turn = requireTurn(draft, input.turnId);
          timeOut(draft, turn, { status: 'cancelled', error: input.reason ?? 'taken back' });
          return { collabId, turnId: turn.id, nextTurnId: null };
        },
      );
    },

    /**
     * In SWARM mode whoever is idle takes the work that it does best; a turn goes with it, and the task begins.
     * @throws {MODE_FORBIDS} {TURN_OPEN} {NOT_A_PARTICIPANT} {INSUFFICIENT_DATA} where there is nothing to be done
     */
    async claimWork(scope: RequestScope, raw: unknown): Promise<Answer> {
      const { idempotencyKey, expectedVersion, ...input } = parseInput(inputs.claimWork, raw);
      return calls.run(
        scope,
        input.collabId,
        {
          operation: 'claimWork',
          input,
          idempotencyKey,
          expectedVersion,
          needs: { participant: 'all', turn: 'open', task: 'all' },
        },
        (draft) => {
          if (draft.collab.mode !== 'swarm')
            throw new PlatformError(
              'MODE_FORBIDS',
              `work is claimed in SWARM mode, this is ${draft.collab.mode.toUpperCase()}`,
            );
          requireStatus(draft, 'active');
          const part = requirePart(draft, scope.principal);
          const task = bestWork(draft, part);
          if (task === null)
            throw new PlatformError('INSUFFICIENT_DATA', 'there is no work that the caller could begin');
          const turn = dispatch(draft, part, {
            taskId: task.id,
            timeoutMs: input.timeoutMs ?? null,
            dispatchedBy: scope.principal.subject,
          });
          const claimed = put(draft, 'task', {
            ...task,
            assignedTo: task.assignedTo ?? part.participantId,
          });
          tell(draft, 'collab.task.assigned', { task: claimed });
          startTask(draft, claimed);
          return { collabId: input.collabId, turnId: turn.id, taskId: task.id };
        },
      );
    },
  };
}
