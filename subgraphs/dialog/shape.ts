import { PlatformError } from '#shared/errors.ts';
import type { Principal } from '#shared/principal.ts';
import { nowText } from './calls.ts';
import * as inputs from './inputs.ts';
import { nextCheck } from './moves.ts';
import { newParticipant, participantTypeOf } from './participants.ts';
import { rolePermissions } from './rights.ts';
import type {
  DialogConfigurationValue,
  DialogFlowValue,
  DialogRecord,
  DialogStateRecord,
  GovernanceValue,
} from './rows.ts';
import { isOpen } from './states.ts';
import { turnOrderOf } from './turns.ts';

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

/** A dialog as its creator asks for it, with everyone who takes part from the beginning. */
export function newDialog(id: string, principal: Principal, input: inputs.CreateDialogInput) {
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
export function restartTurn(record: DialogRecord, state: DialogStateRecord, before: DialogRecord): DialogStateRecord {
  if (record.configuration.turnMode === before.configuration.turnMode) return state;
  return { ...state, currentTurn: null, turnStartedAt: record.configuration.turnMode === 'FREE' ? null : nowText() };
}

/** Applies a patch and notes what changed. @throws {VALIDATION_FAILED} */
export function patchDialog(
  current: DialogRecord,
  patch: inputs.DialogPatch,
  changes: Record<string, unknown>,
): DialogRecord {
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
