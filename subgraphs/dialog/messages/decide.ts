import { PlatformError } from '#shared/errors.ts';
import { shownSubject } from '../participants.ts';
import {
  holdsOn,
  isActive,
  may,
  moderates,
  notAParticipant,
  requirePermission,
  requireUnlocked,
  seesDialog,
  unknownDialog,
} from '../rights.ts';
import type { DialogParticipantRow, DialogRecord, DialogStateRecord, MessageRoleValue, MessageRow } from '../rows.ts';
import { requireActive } from '../states.ts';
import { requireTurn, type TurnInput, turnAfter, turnOrderOf } from '../turns.ts';
import { seesMessage, viewOf } from '../visibility.ts';
import { requireToSay } from './approval.ts';
import { allAiProcessing, type MessageDraft, requireAllowed } from './draft.ts';
import { followsDelivery } from './followed.ts';

/** What the batch has read for one draft. */
export interface Situation {
  readonly dialog: DialogRecord | undefined;
  readonly state: DialogStateRecord | undefined;
  readonly sender: DialogParticipantRow | undefined;
  /** Everyone who ever took part; only where the draft or its dialog needs them. */
  readonly participants: readonly DialogParticipantRow[] | undefined;
  readonly replyTarget: MessageRow | undefined;
  /** The sender's last texts, newest first; only in moderated dialogs. */
  readonly recentTexts: readonly string[];
}

export interface SendRules {
  readonly messagesPerMinute: number;
  readonly nowMs: number;
}

export interface Accepted {
  readonly message: MessageRow;
  readonly state: DialogStateRecord;
  /** Participants whose delivery is followed one by one. */
  readonly followed: readonly string[];
  readonly queueAnalysis: boolean;
}

const minuteMs = 60_000;
/** A queued analysis that has not come by then is queued again. */
const analysisPatienceMs = 30_000;

/** The sender as far as the dialog must know it, before anything else is looked at. @throws {NOT_FOUND} */
export function requireKnown(
  draft: MessageDraft,
  { dialog, state, sender }: Situation,
): { dialog: DialogRecord; state: DialogStateRecord } {
  if (!dialog || !state || !seesDialog(dialog, draft.scope.principal, sender))
    throw unknownDialog(draft.input.dialogId);
  return { dialog, state };
}

/**
 * Whether the draft becomes a message of its dialog, and which.
 * @throws {NOT_A_PARTICIPANT} {DIALOG_NOT_ACTIVE} {NOT_YOUR_TURN} {RATE_LIMITED} {REPLY_TARGET_INVALID} {PARTICIPANT_NOT_FOUND} {CONTENT_REJECTED} {PERMISSION_DENIED} {GOVERNANCE_LOCKED}
 */
export function acceptMessage(draft: MessageDraft, situation: Situation, rules: SendRules): Accepted {
  const { dialog, state } = requireKnown(draft, situation);
  const { sender, participants = [], replyTarget } = situation;
  const { input } = draft;
  const { principal } = draft.scope;
  const isModerator = moderates(dialog, principal, sender);
  requireSender(draft, { dialog, sender, isModerator });
  requireActive(dialog, { orPaused: draft.type === 'SYSTEM' });
  requireUnlocked(dialog);
  const turn: TurnInput | null =
    dialog.configuration.turnMode === 'FREE' || draft.type === 'SYSTEM'
      ? null
      : { configuration: dialog.configuration, order: turnOrderOf(dialog, participants), state, nowMs: rules.nowMs };
  if (turn && sender) requireTurn(turn, sender.id, isModerator);
  requireReplyTarget(draft, situation, dialog);
  const recipients = recipientsOf(draft, participants);
  if (dialog.configuration.moderationEnabled)
    requireAllowed(input.content.text ?? '', { moderated: true, recentTexts: situation.recentTexts });
  const window = requireRate(state, rules);

  const at = new Date(
    Math.max(rules.nowMs, state.lastMessageAt === null ? 0 : Date.parse(state.lastMessageAt)),
  ).toISOString();
  const sequence = state.lastSequence + 1;
  const aiProcessing = draft.aiProcessing ?? (dialog.configuration.aiAssistanceEnabled ? allAiProcessing : null);
  const senderType =
    draft.type === 'SYSTEM' || !sender || sender.type === 'SYSTEM'
      ? 'SYSTEM'
      : sender.type === 'HUMAN'
        ? 'HUMAN'
        : 'AGENT';
  const message: MessageRow = {
    tenantId: principal.tenantId,
    id: draft.id,
    dialogId: dialog.id,
    threadId: input.threadId ?? replyTarget?.threadId ?? null,
    sequence,
    senderId: sender?.id ?? null,
    senderSubject: shownSubject(principal, sender),
    senderType,
    role: roleOf(senderType, replyTarget?.senderType ?? state.lastSenderType),
    type: draft.type,
    text: input.content.text ?? null,
    structuredData: input.content.structuredData ?? null,
    mentions: mentionsOf(draft.mentionedNames, participants),
    hashtags: draft.hashtags,
    language: input.content.language ?? null,
    replyTo: input.replyTo ?? null,
    topic: input.topic ?? null,
    priority: draft.priority,
    requiresResponse: input.requiresResponse ?? false,
    responseDeadline: input.responseDeadline?.toISOString() ?? null,
    recipients,
    recipientCount:
      recipients === null
        ? state.activeCount - (isActive(sender) ? 1 : 0)
        : recipients.filter((id) => id !== sender?.id).length,
    attachments: draft.attachments,
    reactions: [],
    aiProcessing,
    clientMessageId: input.clientMessageId ?? null,
    protocol: null,
    revision: 1,
    createdAt: at,
    editedAt: null,
    deletedAt: null,
    deletedBy: null,
  };
  const queueAnalysis =
    aiProcessing !== null &&
    (state.analysisQueuedAt === null || rules.nowMs - Date.parse(state.analysisQueuedAt) > analysisPatienceMs);
  const nextTurn = turn && sender ? turnAfter(turn, sender.id) : state.currentTurn;
  return {
    message,
    followed: followedOf(message, participants, sender),
    queueAnalysis,
    state: {
      ...state,
      ...window,
      lastSequence: sequence,
      messageCount: state.messageCount + 1,
      lastMessageAt: at,
      lastSenderType: senderType,
      lastActivityAt: at,
      ...(nextTurn === state.currentTurn ? {} : { currentTurn: nextTurn, turnStartedAt: at }),
      ...(queueAnalysis ? { analysisQueuedAt: at } : {}),
    },
  };
}

/** True when the draft cannot be judged without everyone who takes part. */
export function needsParticipants(draft: MessageDraft): boolean {
  return (
    draft.mentionedNames.length > 0 ||
    draft.input.recipients != null ||
    followsDelivery(draft.input.requiresResponse === true, draft.priority)
  );
}

function requireSender(
  draft: MessageDraft,
  {
    dialog,
    sender,
    isModerator,
  }: { dialog: DialogRecord; sender: DialogParticipantRow | undefined; isModerator: boolean },
): void {
  const { principal } = draft.scope;
  if (draft.type === 'SYSTEM') {
    const isSystem = isActive(sender) && sender.type === 'SYSTEM';
    if (
      isSystem ||
      (isModerator && isActive(sender)) ||
      holdsOn(dialog, principal, 'dialog:moderate') ||
      holdsOn(dialog, principal, 'dialog:admin')
    )
      return;
    if (!isActive(sender)) throw notAParticipant();
    throw new PlatformError('PERMISSION_DENIED', 'only systems and moderators send messages of type SYSTEM', {
      details: { permission: 'dialog:moderate' },
    });
  }
  if (!isActive(sender)) throw notAParticipant();
  if (!may(sender, 'WRITE'))
    throw new PlatformError('NOT_A_PARTICIPANT', 'the caller takes part without the permission WRITE', {
      details: { permission: 'WRITE' },
    });
  if (draft.input.topic != null && draft.input.replyTo == null)
    requirePermission(sender, 'INITIATE_TOPICS', ['input', 'topic']);
  requireToSay(sender, { type: draft.type, structuredData: draft.input.content.structuredData }, ['input', 'content']);
  if (draft.attachments.length > 0) requirePermission(sender, 'ATTACH_DOCUMENTS');
  if (draft.aiProcessing !== null) requirePermission(sender, 'ANALYZE', ['input', 'aiProcessing']);
}

function requireReplyTarget(draft: MessageDraft, { replyTarget, sender }: Situation, dialog: DialogRecord): void {
  const { replyTo } = draft.input;
  if (replyTo == null) return;
  const view = viewOf(dialog, draft.scope.principal, sender);
  if (replyTarget && replyTarget.dialogId === dialog.id && seesMessage(view, replyTarget)) return;
  throw new PlatformError('REPLY_TARGET_INVALID', 'the message replied to is not in this dialog', {
    path: ['input', 'replyTo'],
  });
}

/** A fixed window per dialog. @throws {RATE_LIMITED} with the time to its end. */
function requireRate(
  state: DialogStateRecord,
  { messagesPerMinute, nowMs }: SendRules,
): Pick<DialogStateRecord, 'windowStartedAt' | 'windowCount'> {
  const startedMs = state.windowStartedAt === null ? Number.NEGATIVE_INFINITY : Date.parse(state.windowStartedAt);
  if (nowMs - startedMs >= minuteMs || nowMs < startedMs)
    return { windowStartedAt: new Date(nowMs).toISOString(), windowCount: 1 };
  if (state.windowCount >= messagesPerMinute) {
    throw new PlatformError('RATE_LIMITED', `a dialog takes at most ${messagesPerMinute} messages a minute`, {
      retryAfterMs: Math.max(1, startedMs + minuteMs - nowMs),
      details: { limit: messagesPerMinute },
    });
  }
  return { windowStartedAt: state.windowStartedAt, windowCount: state.windowCount + 1 };
}

/** @throws {PARTICIPANT_NOT_FOUND} for whoever takes no active part. */
function recipientsOf(draft: MessageDraft, participants: readonly DialogParticipantRow[]): readonly string[] | null {
  const wanted = draft.input.recipients;
  if (wanted == null) return null;
  const active = new Set(participants.filter(isActive).map((row) => row.id));
  wanted.forEach((id, index) => {
    if (!active.has(id))
      throw new PlatformError(
        'PARTICIPANT_NOT_FOUND',
        `input.recipients.${index}: nobody of this id takes an active part`,
        { path: ['input', 'recipients', index] },
      );
  });
  return [...new Set(wanted)];
}

/** Names match subjects, ids and display names (without spaces), case aside. */
export function mentionsOf(names: readonly string[], participants: readonly DialogParticipantRow[]): readonly string[] {
  if (names.length === 0) return [];
  const byName = new Map<string, string>();
  for (const row of participants) {
    if (row.status !== 'ACTIVE' && row.status !== 'INVITED') continue;
    if (row.displayName !== null) byName.set(row.displayName.replaceAll(/\s+/g, '').toLowerCase(), row.id);
    byName.set(row.subject.toLowerCase(), row.id);
    byName.set(row.id, row.id);
  }
  return [...new Set(names.flatMap((name) => byName.get(name.toLowerCase()) ?? []))];
}

function followedOf(
  message: MessageRow,
  participants: readonly DialogParticipantRow[],
  sender: DialogParticipantRow | undefined,
): readonly string[] {
  if (message.recipients !== null) return message.recipients.filter((id) => id !== sender?.id);
  if (!followsDelivery(message.requiresResponse, message.priority)) return [];
  return participants.filter((row) => isActive(row) && row.id !== sender?.id).map((row) => row.id);
}

/** What the message is in the frozen form: people speak as user, agents that answer them as assistant. */
function roleOf(senderType: MessageRow['senderType'], answers: MessageRow['senderType'] | null): MessageRoleValue {
  if (senderType === 'HUMAN') return 'user';
  if (senderType === 'SYSTEM') return 'system';
  return answers === 'HUMAN' ? 'assistant' : 'agent';
}
