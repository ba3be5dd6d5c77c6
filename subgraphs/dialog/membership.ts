import type { RequestScope } from '#shared/context.ts';
import { PlatformError } from '#shared/errors.ts';
import { requireId } from '#shared/ids.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import { parseInput, requireVersion } from '#shared/validation.ts';
import { nowText, type WriteOptions } from './calls.ts';
import type { Aggregate } from './commands.ts';
import type { DialogCommands } from './dialogs.ts';
import { participantEvent } from './events.ts';
import * as inputs from './inputs.ts';
import type { Change } from './moves.ts';
import {
  cursorStart,
  gone,
  handOver,
  joined,
  newParticipant,
  participantTypeOf,
  permitted,
  shownSubject,
} from './participants.ts';
import { availabilityOf, changeNotifications } from './preferences.ts';
import { moderates, notAParticipant, requireModerator, requireUnlocked, rolePermissions } from './rights.ts';
import type { DialogParticipantRow, DialogRecord, DialogStateRecord } from './rows.ts';
import { isOpen, requireActive } from './states.ts';
import { nextInOrder, turnOrderOf } from './turns.ts';

/** Who takes part: invited -> active -> left | removed; who was removed returns by invitation only. */
export function createMembership(runtime: ModuleRuntime, { dialogs }: { readonly dialogs: DialogCommands }) {
  const { config } = runtime;

  function requirePlace(record: DialogRecord): void {
    const limit = Math.min(record.configuration.maxParticipants, config.QUOTA_DIALOG_PARTICIPANTS);
    if (record.participantCount >= limit) {
      throw new PlatformError('QUOTA_EXCEEDED', `the dialog holds its maximum of ${limit} participants`, {
        details: { limit, used: record.participantCount },
      });
    }
  }

  function entered(
    current: Aggregate,
    row: DialogParticipantRow,
    options: { readonly shownActor?: string; readonly also?: readonly DialogParticipantRow[] } = {},
  ): Change {
    const added = current.participants.some((other) => other.id === row.id && counts(other)) ? 0 : 1;
    const record: DialogRecord = {
      ...current.record,
      participantCount: current.record.participantCount + added,
      turnOrder:
        current.record.turnOrder.includes(row.id) || row.type === 'SYSTEM'
          ? current.record.turnOrder
          : [...current.record.turnOrder, row.id],
    };
    const state: DialogStateRecord = {
      ...current.state,
      activeCount: current.state.activeCount + (row.status === 'ACTIVE' ? 1 : 0),
    };
    return {
      record,
      state,
      participants: [row, ...(options.also ?? [])],
      ...(options.shownActor === undefined ? {} : { shownActor: options.shownActor }),
      cursors:
        row.status === 'ACTIVE' ? [cursorStart(row, current.state, current.record.configuration.showHistory)] : [],
      events: () => [
        participantEvent(
          row.status === 'ACTIVE' ? 'dialog.participant.joined' : 'dialog.participant.invited',
          row,
          record.contextId,
        ),
      ],
      detail: { participantId: row.id, subject: row.subject },
      response: { participantId: row.id },
    };
  }

  function exited(
    current: Aggregate,
    participant: DialogParticipantRow,
    options: { readonly status: 'LEFT' | 'REMOVED'; readonly reason: string | null },
  ): Change {
    const row = gone(participant, options.status, {
      reason: options.reason,
      lastSequence: current.state.lastSequence,
      at: nowText(),
    });
    const order = turnOrderOf(current.record, current.participants);
    const holdsTurn = current.state.currentTurn === participant.id;
    const successor =
      holdsTurn && current.record.configuration.turnMode === 'ROUND_ROBIN' && order.length > 1
        ? nextInOrder(order, participant.id)
        : null;
    const record: DialogRecord = {
      ...current.record,
      participantCount: current.record.participantCount - 1,
      turnOrder: current.record.turnOrder.filter((id) => id !== participant.id),
    };
    const state: DialogStateRecord = {
      ...current.state,
      activeCount: current.state.activeCount - (participant.status === 'ACTIVE' ? 1 : 0),
      ...(holdsTurn ? { currentTurn: successor, turnStartedAt: nowText() } : {}),
    };
    return {
      record,
      state,
      participants: released(current, row),
      events: () => [
        participantEvent(
          options.status === 'LEFT' ? 'dialog.participant.left' : 'dialog.participant.removed',
          row,
          record.contextId,
        ),
      ],
      detail: { participantId: row.id, subject: row.subject, reason: options.reason },
      response: { participantId: row.id },
    };
  }

  return {
    /** @throws {PARTICIPANT_ALREADY_EXISTS} {QUOTA_EXCEEDED} {DIALOG_NOT_ACTIVE} {PERMISSION_DENIED} */
    async invite(
      scope: RequestScope,
      raw: {
        readonly dialogId: string;
        readonly participant: unknown;
        readonly idempotencyKey?: string | null | undefined;
      },
    ) {
      const input = parseInput(inputs.participant, raw.participant, ['input', 'participant']);
      return dialogs.runChange(
        scope,
        raw.dialogId,
        { operation: 'inviteParticipant', input, idempotencyKey: raw.idempotencyKey },
        (current, { principal, participant }) => {
          requireModerator(current.record, principal, participant);
          requireUnlocked(current.record);
          requireActive(current.record, { orPaused: true });
          const known = current.participants.find((row) => row.subject === input.subject);
          if (known && counts(known))
            throw new PlatformError(
              'PARTICIPANT_ALREADY_EXISTS',
              `${JSON.stringify(input.subject)} already takes part or is invited`,
              { path: ['input', 'participant', 'subject'] },
            );
          requirePlace(current.record);
          const at = nowText();
          if (known) {
            const role = input.role ?? known.role;
            const permissions = input.permissions ?? (input.role ? rolePermissions[input.role] : known.permissions);
            return entered(current, {
              ...known,
              role,
              permissions,
              status: 'INVITED',
              invitedBy: shownSubject(principal, participant),
              invitedAt: at,
              statusReason: null,
              version: known.version + 1,
              updatedAt: at,
            });
          }
          const invited = newParticipant(
            { ...input, invited: true },
            {
              tenantId: principal.tenantId,
              dialogId: current.record.id,
              invitedBy: shownSubject(principal, participant),
              at,
              lastSequence: current.state.lastSequence,
            },
          );
          // Who is there under a pseudonym gets the invitation beside it: whoever invites must not see the difference.
          const hidden = current.participants.find((row) => row.identity === input.subject);
          if (!hidden) return entered(current, invited);
          if (counts(hidden)) return entered(current, { ...invited, identity: null });
          const [given, taken] = handOver(hidden, invited);
          return entered(current, taken, { also: [given] });
        },
      );
    },

    /** @throws {PERMISSION_DENIED} without invitation where one is needed. @throws {QUOTA_EXCEEDED} {DIALOG_NOT_ACTIVE} {INVALID_STATE} */
    async join(scope: RequestScope, dialogId: string, raw: unknown, options: WriteOptions) {
      const input = parseInput(inputs.joinInput, raw, []);
      return dialogs.runChange(
        scope,
        dialogId,
        { ...options, operation: 'joinDialog', input },
        (current, { principal, participant }) => {
          if (participant?.status === 'ACTIVE')
            throw new PlatformError('PARTICIPANT_ALREADY_EXISTS', 'the caller already takes part');
          requireActive(current.record, { orPaused: true });
          const { record, state } = current;
          const at = nowText();
          const profile = {
            ...(input.displayName == null ? {} : { displayName: input.displayName }),
            ...(input.capabilities == null ? {} : { capabilities: input.capabilities }),
          };
          if (participant && !participant.anonymous && input.anonymous)
            throw new PlatformError(
              'INVALID_STATE',
              'who took part or is invited under its own name is not anonymous',
              {
                path: ['anonymous'],
              },
            );
          if (participant?.status === 'INVITED') {
            const row = { ...joined(participant, state.lastSequence, at), ...profile };
            return entered(current, row, { shownActor: row.subject });
          }
          if (participant?.status === 'REMOVED')
            throw new PlatformError('PERMISSION_DENIED', 'who was removed returns by invitation only');
          if (record.configuration.visibility !== 'TENANT' && !moderates(record, principal, participant))
            throw new PlatformError('PERMISSION_DENIED', 'this dialog is joined by invitation only');
          if (input.anonymous && !record.configuration.allowAnonymous)
            throw new PlatformError('PERMISSION_DENIED', 'this dialog takes no one in anonymously', {
              path: ['anonymous'],
            });
          if (
            !record.configuration.allowJoinMidConversation &&
            state.lastSequence > 0 &&
            !moderates(record, principal, participant)
          ) {
            throw new PlatformError('INVALID_STATE', 'the conversation has begun and takes no one in any more');
          }
          requireUnlocked(record);
          requirePlace(record);
          if (participant && participant.anonymous === input.anonymous) {
            const row = { ...joined(participant, state.lastSequence, at), ...profile };
            return entered(current, row, { shownActor: row.subject });
          }
          const { tenantId, subject } = principal;
          const named = input.anonymous ? null : principal.displayName;
          const fresh = newParticipant(
            {
              subject,
              type: participantTypeOf(principal),
              displayName: input.displayName ?? named ?? null,
              capabilities: input.capabilities ?? [],
              role: 'CONTRIBUTOR',
            },
            {
              tenantId,
              dialogId: record.id,
              invitedBy: null,
              at,
              lastSequence: state.lastSequence,
              anonymous: input.anonymous,
            },
          );
          if (!participant) return entered(current, fresh, { shownActor: fresh.subject });
          // It was here under a pseudonym and comes back under its own name.
          const [given, taken] = handOver(participant, fresh);
          return entered(current, taken, { shownActor: taken.subject, also: [given] });
        },
      );
    },

    async leave(scope: RequestScope, dialogId: string, rawReason: string | null | undefined, options: WriteOptions) {
      const reason = rawReason == null ? null : parseInput(inputs.reason, rawReason, ['reason']);
      return dialogs.runChange(
        scope,
        dialogId,
        { ...options, operation: 'leaveDialog', input: { reason } },
        (current, { participant }) => {
          if (!participant || !counts(participant)) throw notAParticipant();
          return exited(current, participant, { status: 'LEFT', reason });
        },
      );
    },

    /** @throws {PARTICIPANT_NOT_FOUND} {PERMISSION_DENIED} */
    async remove(
      scope: RequestScope,
      dialogId: string,
      participantId: string,
      options: WriteOptions & { readonly reason: string | null | undefined },
    ) {
      requireId(participantId, ['participantId']);
      const reason = options.reason == null ? null : parseInput(inputs.reason, options.reason, ['reason']);
      return dialogs.runChange(
        scope,
        dialogId,
        { ...options, operation: 'removeParticipant', input: { participantId, reason } },
        (current, { principal, participant }) => {
          requireModerator(current.record, principal, participant);
          const target = current.participants.find((row) => row.id === participantId);
          if (!target)
            throw new PlatformError('PARTICIPANT_NOT_FOUND', 'no such participant here', { path: ['participantId'] });
          if (target.status === 'REMOVED') return null;
          if (!counts(target)) {
            const row = {
              ...target,
              status: 'REMOVED' as const,
              statusReason: reason,
              version: target.version + 1,
              updatedAt: nowText(),
            };
            return {
              record: current.record,
              state: current.state,
              participants: [row],
              events: () => [participantEvent('dialog.participant.removed', row, current.record.contextId)],
              response: { participantId },
            };
          }
          return exited(current, target, { status: 'REMOVED', reason });
        },
      );
    },

    /** @throws {PARTICIPANT_NOT_FOUND} {PERMISSION_DENIED} {VERSION_CONFLICT} */
    async update(
      scope: RequestScope,
      dialogId: string,
      participantId: string,
      options: WriteOptions & { readonly patch: unknown },
    ) {
      requireId(participantId, ['participantId']);
      const patch = parseInput(inputs.participantPatch, options.patch, ['patch']);
      const { expectedVersion, idempotencyKey } = options;
      return dialogs.runChange(
        scope,
        dialogId,
        { idempotencyKey, operation: 'updateParticipantRole', input: { participantId, patch, expectedVersion } },
        (current, { principal, participant }) => {
          const target = current.participants.find((row) => row.id === participantId);
          if (!target)
            throw new PlatformError('PARTICIPANT_NOT_FOUND', 'no such participant here', { path: ['participantId'] });
          requireVersion(expectedVersion, target.version);
          const onlyOwn =
            patch.role === undefined && patch.permissions == null && target.identity === principal.subject;
          if (!onlyOwn) requireModerator(current.record, principal, participant);
          if (!isOpen(current.record.status)) throw new PlatformError('DIALOG_NOT_ACTIVE', 'the dialog has ended');
          const permissions = patch.permissions
            ? [...new Set(patch.permissions)]
            : patch.role
              ? rolePermissions[patch.role]
              : target.permissions;
          const row: DialogParticipantRow = {
            ...permitted(target, permissions, current.state.lastSequence),
            role: patch.role ?? target.role,
            displayName: patch.displayName === undefined ? target.displayName : patch.displayName,
            capabilities: patch.capabilities ?? target.capabilities,
            notifications:
              patch.notifications == null
                ? target.notifications
                : changeNotifications(target.notifications, patch.notifications),
            availability: patch.availability === undefined ? target.availability : availabilityOf(patch.availability),
            timezone: patch.timezone === undefined ? target.timezone : patch.timezone,
            version: target.version + 1,
            updatedAt: nowText(),
          };
          return {
            record: current.record,
            state: current.state,
            participants: [row],
            events: () => [
              participantEvent('dialog.participant.updated', row, current.record.contextId, {
                changed: Object.keys(patch),
              }),
            ],
            detail: { participantId, changed: Object.keys(patch) },
            response: { participantId },
          };
        },
      );
    },
  };
}

/** Whoever gives up an anonymous part acts through the invitation that waited beside it. */
function released(current: Aggregate, row: DialogParticipantRow): readonly DialogParticipantRow[] {
  const waiting = row.anonymous && current.participants.find((other) => other.subject === row.identity);
  return waiting ? handOver(row, waiting) : [row];
}

/** Takes a place: active or invited. */
function counts(row: DialogParticipantRow): boolean {
  return row.status === 'ACTIVE' || row.status === 'INVITED';
}
