import type { RequestScope } from '#shared/context.ts';
import { PlatformError } from '#shared/errors.ts';
import { newId, requireId } from '#shared/ids.ts';
import type { Principal } from '#shared/principal.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import { parseInput, requireVersion } from '#shared/validation.ts';
import { callOf, nowText, type WriteOptions } from './calls.ts';
import type { Aggregate, CommandRunner, DialogCommand } from './commands.ts';
import type { Contexts } from './contexts.ts';
import { dialogEvent, participantEvent } from './events.ts';
import * as inputs from './inputs.ts';
import { type Change, type Move, moveDialog, requireMover, statusEvent } from './moves.ts';
import { cursorStart, ownPart, shownSubject } from './participants.ts';
import { holdsOn, moderates, requireModerator, requireUnlocked, seesDialog, unknownDialog } from './rights.ts';
import type { DialogParticipantRow, DialogRecord, DialogRow, DialogStateRecord } from './rows.ts';
import { newDialog, patchDialog, restartTurn, toFlow } from './shape.ts';
import { isOpen, requireActive } from './states.ts';
import { holderOf, nextInOrder, turnOrderOf } from './turns.ts';

export interface DialogChangeInput extends WriteOptions {
  readonly operation: string;
  readonly input: unknown;
}

/** Who asks and what it is in the dialog. */
export interface Caller {
  readonly principal: Principal;
  readonly participant: DialogParticipantRow | null;
}

export function createDialogCommands(
  runtime: ModuleRuntime,
  deps: { readonly commands: CommandRunner; readonly contexts: Contexts },
) {
  const { config } = runtime;
  const { commands, contexts } = deps;

  /** A command on an existing dialog that the caller may know of, at the expected revision. */
  function changeCommand(
    scope: RequestScope,
    dialogId: string,
    options: DialogChangeInput,
    change: (current: Aggregate, caller: Caller) => Change | null,
  ): DialogCommand {
    requireId(dialogId, ['dialogId']);
    const { principal } = scope;
    return {
      scope,
      principal,
      dialogId,
      idempotent: callOf(principal, options.idempotencyKey, options.operation, {
        dialogId,
        input: options.input,
        expectedVersion: options.expectedVersion ?? null,
      }),
      decide(current) {
        if (!current) throw unknownDialog(dialogId);
        const participant = ownPart(current.participants, principal);
        if (!seesDialog(current.record, principal, participant)) throw unknownDialog(dialogId);
        requireVersion(options.expectedVersion, current.record.revision);
        const changed = change(current, { principal, participant });
        if (changed === null) return null;
        const shownActor = changed.shownActor ?? shownSubject(principal, participant);
        return {
          ...changed,
          record: revised(changed.record, shownActor),
          shownActor,
          action: `dialog.${options.operation}`,
        };
      },
    };
  }

  async function runChange(
    scope: RequestScope,
    dialogId: string,
    options: DialogChangeInput,
    change: Parameters<typeof changeCommand>[3],
  ) {
    return commands.run(changeCommand(scope, dialogId, options, change));
  }

  return {
    changeCommand,
    runChange,

    /**
     * @throws {NOT_FOUND} {CONTEXT_NOT_ACTIVE} when the context does not take dialogs.
     * @throws {VALIDATION_FAILED} {QUOTA_EXCEEDED}
     */
    async create(scope: RequestScope, raw: unknown) {
      const input = parseInput(inputs.createDialog, raw);
      const { idempotencyKey, ...rest } = input;
      const { principal } = scope;
      await contexts.requireOpen(principal, input.contextId);
      const id = newId();
      const given = input.participants ?? [];
      const { record, state, participants } = newDialog(id, principal, input);
      const limit = Math.min(record.configuration.maxParticipants, config.QUOTA_DIALOG_PARTICIPANTS);
      if (participants.length > limit) {
        throw new PlatformError(
          'QUOTA_EXCEEDED',
          `a dialog takes at most ${limit} participants, got ${participants.length}`,
          { path: ['input', 'participants'], details: { limit, used: participants.length } },
        );
      }
      given.forEach((entry, index) => {
        if (given.findIndex((other) => other.subject === entry.subject) !== index) {
          throw new PlatformError(
            'PARTICIPANT_ALREADY_EXISTS',
            `input.participants.${index}: ${JSON.stringify(entry.subject)} stands in the list before`,
            { path: ['input', 'participants', index, 'subject'] },
          );
        }
      });
      return commands.run({
        scope,
        principal,
        dialogId: id,
        idempotent: callOf(principal, idempotencyKey, 'createDialog', rest),
        decide: () => ({
          record,
          state,
          participants,
          cursors: participants.map((row) => cursorStart(row, state, false)),
          events: (dialog) => [
            dialogEvent('dialog.created', dialog, { participants: participants.map((row) => row.id) }),
            ...participants.map((row) =>
              participantEvent(
                row.status === 'INVITED' ? 'dialog.participant.invited' : 'dialog.participant.joined',
                row,
                record.contextId,
              ),
            ),
          ],
          action: 'dialog.create',
        }),
      });
    },

    async update(scope: RequestScope, dialogId: string, raw: unknown, options: WriteOptions) {
      const patch = parseInput(inputs.dialogPatch, raw, ['patch']);
      return runChange(scope, dialogId, { ...options, operation: 'update', input: patch }, (current, caller) => {
        requireModerator(current.record, caller.principal, caller.participant);
        if (patch.governance === undefined) requireUnlocked(current.record);
        else requireGovernance(current.record, caller.principal);
        if (current.record.archivedAt !== null)
          throw new PlatformError('INVALID_STATE', 'an archived dialog is read-only');
        const changes: Record<string, unknown> = {};
        const record = patchDialog(current.record, patch, changes);
        if (Object.keys(changes).length === 0) return null;
        const state = 'configuration' in changes ? restartTurn(record, current.state, current.record) : current.state;
        return {
          record,
          state,
          events: (dialog) => [dialogEvent('dialog.updated', dialog, changes)],
          detail: { changed: Object.keys(changes) },
        };
      });
    },

    /** @throws {INVALID_STATE_TRANSITION} {PERMISSION_DENIED} {NOT_FOUND} {VERSION_CONFLICT} */
    async move(
      scope: RequestScope,
      dialogId: string,
      move: Omit<Move, 'reason'> & { readonly reason: string | null | undefined; readonly operation: string },
      options: WriteOptions,
    ) {
      const reason = move.reason == null ? null : parseInput(inputs.reason, move.reason, ['reason']);
      return runChange(
        scope,
        dialogId,
        { ...options, operation: move.operation, input: { to: move.to, reason } },
        (current, { principal, participant }) => {
          requireMover(current.record, move.to, principal, participant);
          requireUnlocked(current.record);
          return moveDialog(current, { to: move.to, reason, pausedBy: move.pausedBy });
        },
      );
    },

    async archive(scope: RequestScope, dialogId: string, options: WriteOptions) {
      return runChange(
        scope,
        dialogId,
        { ...options, operation: 'archive', input: {} },
        (current, { principal, participant }) => {
          requireModerator(current.record, principal, participant);
          if (isOpen(current.record.status))
            throw new PlatformError(
              'INVALID_STATE',
              `only a dialog that has ended is archived; it is ${current.record.status.toUpperCase()}`,
            );
          if (current.record.archivedAt !== null) return null;
          const record = { ...current.record, archivedAt: nowText() };
          return {
            record,
            state: current.state,
            events: (dialog) => [statusEvent('dialog.archived', dialog, current.record.status)],
          };
        },
      );
    },

    async setFlow(scope: RequestScope, dialogId: string, raw: unknown, options: WriteOptions) {
      const flow = raw == null ? null : toFlow(parseInput(inputs.flow, raw, ['flow']));
      return runChange(
        scope,
        dialogId,
        { ...options, operation: 'setFlow', input: flow },
        (current, { principal, participant }) => {
          requireModerator(current.record, principal, participant);
          requireUnlocked(current.record);
          requireActive(current.record, { orPaused: true });
          const record = { ...current.record, flow, flowState: flow?.initial ?? null };
          return {
            record,
            state: current.state,
            events: (dialog) => [dialogEvent('dialog.flow.changed', dialog, { flowState: record.flowState })],
          };
        },
      );
    },

    /** @throws {INVALID_STATE_TRANSITION} when the state has no transition of this name. */
    async advanceFlow(scope: RequestScope, dialogId: string, rawName: string, options: WriteOptions) {
      const name = parseInput(inputs.transitionName, rawName, ['transition']);
      return runChange(
        scope,
        dialogId,
        { ...options, operation: 'advanceFlow', input: { transition: name } },
        (current, { principal, participant }) => {
          requireActive(current.record);
          requireUnlocked(current.record);
          const { flow, flowState } = current.record;
          if (!flow) throw new PlatformError('INVALID_STATE', 'the dialog has no flow', { path: ['transition'] });
          const transition = flow.transitions.find((entry) => entry.from === flowState && entry.name === name);
          if (!transition) {
            const allowed = flow.transitions.filter((entry) => entry.from === flowState).map((entry) => entry.name);
            throw new PlatformError(
              'INVALID_STATE_TRANSITION',
              `the state ${flowState} has no transition ${name}; allowed: ${allowed.join(', ') || 'none'}`,
              { path: ['transition'], details: { allowed } },
            );
          }
          const byRole = participant?.status === 'ACTIVE' && transition.roles.includes(participant.role);
          if (!byRole) requireModerator(current.record, principal, participant);
          const record = { ...current.record, flowState: transition.to };
          const advanced = (dialog: DialogRow) =>
            dialogEvent('dialog.flow.advanced', dialog, { transition: name, from: transition.from, to: transition.to });
          if (!flow.states.find((entry) => entry.name === transition.to)?.terminal)
            return { record, state: current.state, events: (dialog) => [advanced(dialog)] };
          const moved = moveDialog(
            { ...current, record },
            { to: 'completed', reason: `flow reached ${transition.to}`, pausedBy: null },
          );
          return { ...moved, events: (dialog) => [advanced(dialog), ...moved.events(dialog)] };
        },
      );
    },

    async passTurn(
      scope: RequestScope,
      dialogId: string,
      toParticipantId: string | null | undefined,
      options: WriteOptions,
    ) {
      if (toParticipantId != null) requireId(toParticipantId, ['toParticipantId']);
      return runChange(
        scope,
        dialogId,
        { ...options, operation: 'passTurn', input: { toParticipantId: toParticipantId ?? null } },
        (current, { principal, participant }) => {
          requireActive(current.record);
          const { record, state } = current;
          if (record.configuration.turnMode === 'FREE')
            throw new PlatformError('INVALID_STATE', 'turns are free in this dialog');
          const order = turnOrderOf(record, current.participants);
          const nowMs = Date.now();
          const holder = holderOf({ configuration: record.configuration, order, state, nowMs });
          if (!moderates(record, principal, participant) && holder !== participant?.id) {
            throw new PlatformError('NOT_YOUR_TURN', 'only the moderator or who holds the turn passes it on', {
              details: { currentTurn: holder },
            });
          }
          const to =
            toParticipantId ??
            (record.configuration.turnMode === 'ROUND_ROBIN' && holder ? nextInOrder(order, holder) : null);
          if (to !== null && !order.includes(to))
            throw new PlatformError('PARTICIPANT_NOT_FOUND', 'nobody of this id takes an active, writing part', {
              path: ['toParticipantId'],
            });
          const next: DialogStateRecord = { ...state, currentTurn: to, turnStartedAt: new Date(nowMs).toISOString() };
          return {
            record,
            state: next,
            events: (dialog) => [dialogEvent('dialog.turn.passed', dialog, { currentTurn: to })],
          };
        },
      );
    },
  };
}

export type DialogCommands = ReturnType<typeof createDialogCommands>;

function revised(record: DialogRecord, subject: string): DialogRecord {
  return { ...record, revision: record.revision + 1, updatedAt: nowText(), updatedBy: subject };
}

function requireGovernance(dialog: DialogRecord, principal: Principal): void {
  if (!holdsOn(dialog, principal, 'governance:override') && !holdsOn(dialog, principal, 'dialog:admin')) {
    throw new PlatformError('PERMISSION_DENIED', 'this needs the permission governance:override', {
      details: { permission: 'governance:override' },
    });
  }
}
