import type { RequestScope } from '#shared/context.ts';
import { PlatformError } from '#shared/errors.ts';
import type { IdempotentCall } from '#shared/idempotency.ts';
import { newId, requireId } from '#shared/ids.ts';
import type { NewEvent } from '#shared/outbox.ts';
import { hasScope, type Principal } from '#shared/principal.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import { parseInput, requireVersion } from '#shared/validation.ts';
import type { Aggregate, CommandRunner, DialogCommand, Outcome } from './commands.ts';
import type { Contexts } from './contexts.ts';
import { dialogEvent, participantEvent } from './events.ts';
import * as inputs from './inputs.ts';
import { cursorStart, newParticipant, participantTypeOf } from './participants.ts';
import {
  may,
  moderates,
  requireModerator,
  requireUnlocked,
  rolePermissions,
  seesDialog,
  unknownDialog,
} from './rights.ts';
import type {
  DialogConfigurationValue,
  DialogFlowValue,
  DialogParticipantRow,
  DialogRecord,
  DialogRow,
  DialogStateRecord,
  DialogStatusValue,
  GovernanceValue,
} from './rows.ts';
import { isOpen, requireActive, requireTransition } from './states.ts';
import { holderOf, nextInOrder } from './turns.ts';

export interface WriteOptions {
  readonly expectedVersion?: number | null | undefined;
  readonly idempotencyKey?: string | null | undefined;
}

export interface Move {
  readonly to: DialogStatusValue;
  readonly reason: string | null;
  readonly pausedBy: DialogRecord['pausedBy'];
}

export interface DialogChangeInput extends WriteOptions {
  readonly operation: string;
  readonly input: unknown;
}

/** Who asks and what it is in the dialog. */
export interface Caller {
  readonly principal: Principal;
  readonly participant: DialogParticipantRow | null;
}

export type Change = Omit<Outcome, 'action' | 'detail'> & { readonly detail?: Readonly<Record<string, unknown>> };

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
        const participant = current.participants.find((row) => row.subject === principal.subject) ?? null;
        if (!seesDialog(current.record, principal, participant)) throw unknownDialog(dialogId);
        requireVersion(options.expectedVersion, current.record.revision);
        const changed = change(current, { principal, participant });
        if (changed === null) return null;
        return {
          ...changed,
          record: revised(changed.record, principal.subject),
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
        else requireGovernance(caller.principal);
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

export function callOf(
  principal: Principal,
  key: string | null | undefined,
  operation: string,
  input: unknown,
): IdempotentCall | null {
  if (key == null) return null;
  return {
    tenantId: principal.tenantId,
    subject: principal.subject,
    key: parseInput(inputs.idempotency, key, ['idempotencyKey']),
    operation,
    input,
  };
}

export function nowText(): string {
  return new Date().toISOString();
}

/** Active, writing participants in the order of turns. */
export function turnOrderOf(record: DialogRecord, participants: readonly DialogParticipantRow[]): readonly string[] {
  const writing = new Set(
    participants.filter((row) => may(row, 'WRITE') && row.type !== 'SYSTEM').map((row) => row.id),
  );
  const kept = record.turnOrder.filter((id) => writing.has(id));
  return [...kept, ...[...writing].filter((id) => !kept.includes(id))];
}

function revised(record: DialogRecord, subject: string): DialogRecord {
  return { ...record, revision: record.revision + 1, updatedAt: nowText(), updatedBy: subject };
}

function requireGovernance(principal: Principal): void {
  if (!hasScope(principal, 'governance:override') && !hasScope(principal, 'dialog:admin')) {
    throw new PlatformError('PERMISSION_DENIED', 'this needs the permission governance:override', {
      details: { permission: 'governance:override' },
    });
  }
}

/** Pausing and completing: creator and moderators; cancelling: creator and administrators; waking from idleness: any writer. */
function requireMover(
  record: DialogRecord,
  to: DialogStatusValue,
  principal: Principal,
  participant: DialogParticipantRow | null,
): void {
  requireTransition(record.status, to);
  if (to === 'cancelled') {
    if (record.createdBy === principal.subject || hasScope(principal, 'dialog:admin')) return;
    throw new PlatformError('PERMISSION_DENIED', 'only the creator or dialog:admin cancels a dialog', {
      details: { permission: 'dialog:admin' },
    });
  }
  if (to === 'active' && record.pausedBy === 'IDLE' && may(participant, 'WRITE')) return;
  if (to === 'active' && record.pausedBy === 'CONTEXT' && !hasScope(principal, 'dialog:admin')) {
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

export function toFlow(input: ReturnType<typeof inputs.flow.parse>): DialogFlowValue {
  return {
    initial: input.initial,
    states: input.states.map((state) => ({ name: state.name, terminal: state.terminal ?? false })),
    transitions: input.transitions.map((transition) => ({ ...transition, roles: transition.roles ?? [] })),
  };
}

function mergeDefined<T extends object>(defaults: T, given: Readonly<Record<string, unknown>> | null | undefined): T {
  const entries = Object.entries(given ?? {}).filter(([, value]) => value !== null && value !== undefined);
  return { ...defaults, ...Object.fromEntries(entries) };
}

function configurationOf(
  before: DialogConfigurationValue,
  input: Pick<inputs.DialogPatch, 'configuration' | 'turnTaking'>,
): DialogConfigurationValue {
  const merged = mergeDefined(before, input.configuration);
  if (!input.turnTaking) return merged;
  return {
    ...merged,
    turnMode: input.turnTaking.mode ?? merged.turnMode,
    turnDurationMs:
      input.turnTaking.turnDurationMs === undefined ? merged.turnDurationMs : input.turnTaking.turnDurationMs,
  };
}

function newDialog(id: string, principal: Principal, input: inputs.CreateDialogInput) {
  const at = nowText();
  const { tenantId, subject } = principal;
  const configuration = configurationOf(inputs.defaultConfiguration, input);
  const flow = input.flow ? toFlow(input.flow) : null;
  const person = { tenantId, dialogId: id, invitedBy: null, at, lastSequence: 0 };
  const given = input.participants ?? [];
  const named = given.find((entry) => entry.subject === subject);
  const creator = newParticipant(
    {
      ...(named ?? { subject }),
      type: input.creatorType ?? named?.type ?? participantTypeOf(principal),
      displayName: input.creatorDisplayName ?? named?.displayName ?? principal.displayName ?? null,
      role: named?.role ?? 'MODERATOR',
      permissions: named?.permissions ?? [...rolePermissions.MODERATOR],
      invited: false,
    },
    person,
  );
  const others = given
    .filter((entry) => entry.subject !== subject)
    .map((entry) => newParticipant(entry, { ...person, invitedBy: subject }));
  const participants = [creator, ...others];
  const draft: DialogRecord = {
    tenantId,
    id,
    contextId: input.contextId,
    threadId: input.threadId ?? null,
    status: 'active',
    name: input.name,
    type: input.type ?? 'CUSTOM',
    category: input.category ?? null,
    description: input.description ?? null,
    tags: input.tags ?? [],
    configuration,
    workflow: mergeDefined({}, input.workflow),
    flow,
    flowState: flow?.initial ?? null,
    turnOrder: participants.filter((row) => row.type !== 'SYSTEM').map((row) => row.id),
    governance: input.governance ? mergeDefined<GovernanceValue>({}, input.governance) : null,
    protocol: null,
    conversationSummary: null,
    keyTopics: [],
    participantCount: participants.length,
    pausedBy: null,
    statusReason: null,
    retentionDays: configuration.messageRetentionDays,
    keptFrom: 1,
    revision: 1,
    startedAt: at,
    endedAt: null,
    archivedAt: null,
    nextCheckAt: null,
    createdAt: at,
    createdBy: subject,
    updatedAt: at,
    updatedBy: subject,
  };
  const record: DialogRecord = { ...draft, nextCheckAt: nextCheck(draft, at) };
  const state: DialogStateRecord = {
    tenantId,
    dialogId: id,
    lastSequence: 0,
    messageCount: 0,
    activeCount: participants.filter((row) => row.status === 'ACTIVE').length,
    lastMessageAt: null,
    lastSenderType: null,
    lastActivityAt: at,
    windowStartedAt: null,
    windowCount: 0,
    currentTurn: configuration.turnMode === 'ROUND_ROBIN' ? (turnOrderOf(record, participants)[0] ?? null) : null,
    turnStartedAt: configuration.turnMode === 'FREE' ? null : at,
    analysisQueuedAt: null,
    analyzedUpto: 0,
  };
  return { record, state, participants };
}

/** Another way of taking turns begins anew. */
function restartTurn(record: DialogRecord, state: DialogStateRecord, before: DialogRecord): DialogStateRecord {
  if (record.configuration.turnMode === before.configuration.turnMode) return state;
  return { ...state, currentTurn: null, turnStartedAt: record.configuration.turnMode === 'FREE' ? null : nowText() };
}

function patchDialog(current: DialogRecord, patch: inputs.DialogPatch, changes: Record<string, unknown>): DialogRecord {
  const next: { -readonly [Key in keyof DialogRecord]: DialogRecord[Key] } = { ...current };
  const set = <Key extends keyof DialogRecord>(key: Key, value: DialogRecord[Key]) => {
    if (JSON.stringify(current[key]) === JSON.stringify(value)) return;
    next[key] = value;
    changes[key] = value;
  };
  if (patch.name !== undefined) set('name', patch.name);
  if (patch.type !== undefined) set('type', patch.type);
  if (patch.category !== undefined) set('category', patch.category);
  if (patch.description !== undefined) set('description', patch.description);
  if (patch.tags !== undefined) set('tags', patch.tags ?? []);
  if (patch.configuration || patch.turnTaking) {
    const configuration = configurationOf(current.configuration, patch);
    if (configuration.maxParticipants < current.participantCount) {
      throw new PlatformError(
        'VALIDATION_FAILED',
        `patch.configuration.maxParticipants: expected at least ${current.participantCount}, the participants there are, got ${configuration.maxParticipants}`,
        { path: ['patch', 'configuration', 'maxParticipants'] },
      );
    }
    set('configuration', configuration);
    set('retentionDays', configuration.messageRetentionDays);
    next.nextCheckAt = isOpen(current.status) ? nextCheck(next, nowText()) : null;
  }
  if (patch.workflow !== undefined)
    set('workflow', mergeDefined(patch.workflow === null ? {} : current.workflow, patch.workflow));
  if (patch.governance !== undefined)
    set(
      'governance',
      patch.governance === null ? null : mergeDefined<GovernanceValue>(current.governance ?? {}, patch.governance),
    );
  return next;
}
