import type { RequestScope } from '#shared/context.ts';
import { PlatformError } from '#shared/errors.ts';
import type { EventRow } from '#shared/events.ts';
import { findIdempotentResponse, idempotencyRecord, isIdempotencyRace } from '#shared/idempotency.ts';
import { requireId } from '#shared/ids.ts';
import { appendChange, type NewAudit } from '#shared/outbox.ts';
import { transactionRetry } from '#shared/retry.ts';
import type { SqlTransaction } from '#shared/sql.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import { parseInput, requireVersion } from '#shared/validation.ts';
import { extractHashtags, extractMentions } from '../analysis/index.ts';
import { callOf, nowText, type WriteOptions } from '../calls.ts';
import { messageEvent } from '../events.ts';
import * as inputs from '../inputs.ts';
import { ownPart, shownSubject } from '../participants.ts';
import { may, moderates, notAParticipant, requireUnlocked, seesDialog } from '../rights.ts';
import type { DialogParticipantRow, DialogRecord, DialogStateRecord, MessageRow } from '../rows.ts';
import { requireActive } from '../states.ts';
import { keyOf, lockDialogs } from '../store/dialogs.ts';
import { findMessages, updateMessages } from '../store/messages.ts';
import { findParticipantsOf } from '../store/participants.ts';
import { seesMessage, viewOf } from '../visibility.ts';
import { requireToSay } from './approval.ts';
import { mentionsOf } from './decide.ts';
import { requireAllowed, requireSize } from './draft.ts';
import { analysisJob } from './send.ts';

const maxReactionTypes = 20;

interface Situation {
  readonly dialog: DialogRecord;
  readonly state: DialogStateRecord;
  readonly participants: readonly DialogParticipantRow[];
  readonly caller: DialogParticipantRow | null;
  readonly message: MessageRow;
}

interface MessageChange {
  readonly message: MessageRow;
  readonly event: string;
  readonly more?: Readonly<Record<string, unknown>>;
  readonly audit: NewAudit | null;
  /** What was found in its words is void: they are analysed anew. */
  readonly analyze?: boolean;
  /** Takes the text out of the events that are kept. */
  readonly erase?: boolean;
}

/** Edits, tombstones and reactions: rare beside sends, one transaction each under the dialog's lock. */
export function createMessageChanges(runtime: ModuleRuntime) {
  const { sql, publisher } = runtime;

  async function change(
    scope: RequestScope,
    messageId: string,
    options: {
      readonly operation: string;
      readonly input: unknown;
      readonly idempotencyKey: string | null | undefined;
    },
    decide: (situation: Situation) => MessageChange | null,
  ): Promise<MessageRow> {
    requireId(messageId, ['messageId']);
    const { principal } = scope;
    const { tenantId } = principal;
    const call = callOf(principal, options.idempotencyKey, options.operation, { messageId, input: options.input });
    const stored = await findIdempotentResponse(sql, 'dialog', call);
    if (stored) return read(sql, tenantId, messageId);
    const [found] = await findMessages(sql, tenantId, [messageId]);
    if (!found) throw unknownMessage(messageId);
    let events: readonly EventRow[] = [];
    const run = () =>
      sql.begin(async (tx) => {
        const key = { tenantId, dialogId: found.dialogId };
        const [{ states, dialogs }, participants, [message]] = await Promise.all([
          lockDialogs(tx, [key]),
          findParticipantsOf(tx, [key]),
          findMessages(tx, tenantId, [messageId]),
        ]);
        const dialog = dialogs.get(keyOf(key));
        const state = states.get(keyOf(key));
        const caller = ownPart(participants, principal);
        if (
          !dialog ||
          !state ||
          !message ||
          !seesDialog(dialog, principal, caller) ||
          !seesMessage(viewOf(dialog, principal, caller), message)
        )
          throw unknownMessage(messageId);
        requireUnlocked(dialog);
        const changed = decide({ dialog, state, participants, caller, message });
        if (changed === null) return message;
        await updateMessages(tx, [changed.message]);
        if (changed.erase) await eraseEvents(tx, changed.message);
        if (changed.erase || changed.analyze) await eraseAnalysis(tx, changed.message);
        const event = messageEvent(changed.event, changed.message, { contextId: dialog.contextId, ...changed.more });
        const analysisTags =
          changed.erase || changed.analyze ? [`MessageAnalysis:${messageId}`, `Dialog:${key.dialogId}:analysis`] : [];
        events = await appendChange(tx, 'dialog', [
          {
            tenantId,
            actor: principal.subject,
            shownActor: shownSubject(principal, caller),
            traceparent: scope.traceparent,
            events: [{ ...event, tags: [...event.tags, ...analysisTags] }],
            ...(changed.audit && dialog.configuration.auditLogging ? { audit: [changed.audit] } : {}),
            idempotency: idempotencyRecord(call, { messageId }),
            ...(changed.analyze ? { jobs: [editedJob(changed.message)] } : {}),
          },
        ]);
        return changed.message;
      }) as Promise<MessageRow>;
    const message = await transactionRetry.execute(run).catch(async (error: unknown) => {
      if (!isIdempotencyRace(error)) throw error;
      await findIdempotentResponse(sql, 'dialog', call);
      return read(sql, tenantId, messageId);
    });
    await publisher.published(events, scope);
    return message;
  }

  return {
    /** @throws {NOT_FOUND} {PERMISSION_DENIED} {DIALOG_NOT_ACTIVE} {VERSION_CONFLICT} {MESSAGE_TOO_LARGE} {CONTENT_REJECTED} */
    async edit(scope: RequestScope, messageId: string, raw: unknown, options: WriteOptions): Promise<MessageRow> {
      const content = parseInput(inputs.messageContent, raw, ['content']);
      requireSize(content, ['content']);
      const text = content.text ?? '';
      if (text === '' && content.structuredData == null)
        throw new PlatformError('VALIDATION_FAILED', 'content: expected text or structured data', {
          path: ['content'],
        });
      requireAllowed(text, { moderated: false, recentTexts: [] });
      return change(
        scope,
        messageId,
        {
          operation: 'editMessage',
          input: { content, expectedVersion: options.expectedVersion ?? null },
          idempotencyKey: options.idempotencyKey,
        },
        (situation) => {
          const { dialog, message, caller, participants } = situation;
          if (!may(caller, 'WRITE')) throw notAParticipant();
          if (message.senderId === null || message.senderId !== caller?.id)
            throw new PlatformError('PERMISSION_DENIED', 'only its sender edits a message');
          requireVersion(options.expectedVersion, message.revision);
          requireActive(dialog);
          requireLiving(message);
          requireToSay(caller, { type: message.type, structuredData: content.structuredData ?? null }, ['content']);
          if (dialog.configuration.moderationEnabled) requireAllowed(text, { moderated: true, recentTexts: [] });
          const edited: MessageRow = {
            ...message,
            text: content.text ?? null,
            structuredData: content.structuredData ?? null,
            language: content.language ?? message.language,
            mentions: text.includes('@') ? mentionsOf(extractMentions(text), participants) : [],
            hashtags: text.includes('#') ? extractHashtags(text) : [],
            revision: message.revision + 1,
            editedAt: nowText(),
          };
          return {
            message: edited,
            event: 'dialog.message.edited',
            analyze: message.aiProcessing !== null,
            audit: {
              action: 'dialog.editMessage',
              resource: 'Message',
              resourceId: messageId,
              detail: { dialogId: message.dialogId, revision: edited.revision },
            },
          };
        },
      );
    },

    /** Deleting what is deleted answers the tombstone again. @throws {NOT_FOUND} {PERMISSION_DENIED} {INVALID_STATE} */
    async remove(
      scope: RequestScope,
      messageId: string,
      rawReason: string | null | undefined,
      options: WriteOptions,
    ): Promise<MessageRow> {
      const reason = rawReason == null ? null : parseInput(inputs.reason, rawReason, ['reason']);
      return change(
        scope,
        messageId,
        { operation: 'deleteMessage', input: { reason }, idempotencyKey: options.idempotencyKey },
        ({ dialog, message, caller }) => {
          if (message.deletedAt !== null) return null;
          const own = message.senderId !== null && message.senderId === caller?.id;
          if (!own && !moderates(dialog, scope.principal, caller))
            throw new PlatformError('PERMISSION_DENIED', 'only its sender or a moderator deletes a message');
          if (dialog.archivedAt !== null) throw new PlatformError('INVALID_STATE', 'an archived dialog is read-only');
          const deleted: MessageRow = {
            ...message,
            text: null,
            structuredData: null,
            mentions: [],
            hashtags: [],
            topic: null,
            attachments: [],
            reactions: [],
            protocol: message.protocol === null ? null : { timestamp: message.protocol.timestamp },
            revision: message.revision + 1,
            deletedAt: nowText(),
            deletedBy: shownSubject(scope.principal, caller),
          };
          return {
            message: deleted,
            event: 'dialog.message.deleted',
            erase: true,
            audit: {
              action: 'dialog.deleteMessage',
              resource: 'Message',
              resourceId: messageId,
              detail: { dialogId: message.dialogId, sequence: message.sequence, reason },
            },
          };
        },
      );
    },

    /** @throws {NOT_FOUND} {NOT_A_PARTICIPANT} {DIALOG_NOT_ACTIVE} {QUOTA_EXCEEDED} */
    async react(
      scope: RequestScope,
      messageId: string,
      rawType: string,
      options: WriteOptions & { readonly remove: boolean },
    ): Promise<MessageRow> {
      const type = parseInput(inputs.reactionType, rawType, ['type']);
      return change(
        scope,
        messageId,
        {
          operation: 'reactToMessage',
          input: { type, remove: options.remove },
          idempotencyKey: options.idempotencyKey,
        },
        ({ dialog, message, caller }) => {
          if (!may(caller, 'READ')) throw notAParticipant();
          requireActive(dialog);
          requireLiving(message);
          const mine = message.reactions.find((entry) => entry.participantId === caller!.id && entry.type === type);
          if (options.remove ? !mine : mine) return null;
          if (
            !mine &&
            message.reactions.filter((entry) => entry.participantId === caller!.id).length >= maxReactionTypes
          ) {
            throw new PlatformError(
              'QUOTA_EXCEEDED',
              `a participant sets at most ${maxReactionTypes} reactions on a message`,
              { path: ['type'] },
            );
          }
          const reaction = mine ?? { type, participantId: caller!.id, at: nowText() };
          const reactions = options.remove
            ? message.reactions.filter((entry) => entry !== mine)
            : [...message.reactions, reaction];
          return {
            message: { ...message, reactions },
            event: 'dialog.message.reacted',
            more: { reaction: options.remove ? null : reaction },
            audit: null,
          };
        },
      );
    },
  };
}

async function read(sql: ModuleRuntime['sql'], tenantId: string, messageId: string): Promise<MessageRow> {
  const [row] = await findMessages(sql, tenantId, [messageId]);
  if (!row) throw unknownMessage(messageId);
  return row;
}

export function unknownMessage(messageId: string): PlatformError {
  return new PlatformError('NOT_FOUND', 'no such message', { path: ['messageId'], details: { messageId } });
}

function requireLiving(message: MessageRow): void {
  if (message.deletedAt !== null) throw new PlatformError('INVALID_STATE', 'the message was deleted');
}

/** The log keeps the events, not what was said in them; analyses of the text go with it. */
async function eraseEvents(tx: SqlTransaction, message: MessageRow): Promise<void> {
  await Promise.all([
    tx.unsafe(
      `UPDATE dialog.event SET data = jsonb_set(data, '{message}', (data->'message') || $4::text::jsonb) - 'reaction'
       WHERE tenant_id = $1 AND stream_id = $2 AND type LIKE 'dialog.message.%' AND created_at >= $5::text::timestamptz - interval '1 minute'
         AND data->'message'->>'id' = $3`,
      [
        message.tenantId,
        message.dialogId,
        message.id,
        JSON.stringify({
          text: null,
          structuredData: null,
          mentions: [],
          hashtags: [],
          topic: null,
          attachments: [],
          reactions: [],
          protocol: message.protocol,
          deletedAt: message.deletedAt,
          deletedBy: message.deletedBy,
        }),
        message.createdAt,
      ],
      { prepare: true },
    ),
    tx.unsafe(
      `UPDATE dialog.event SET data = data #- '{analysis,result}' WHERE tenant_id = $1 AND stream_id = $2 AND type = 'dialog.analysis.completed'
         AND created_at >= $4::text::timestamptz - interval '1 minute' AND data->'message'->>'id' = $3`,
      [message.tenantId, message.dialogId, message.id, message.createdAt],
      { prepare: true },
    ),
  ]);
}

function eraseAnalysis(tx: SqlTransaction, message: MessageRow) {
  return tx.unsafe(
    'DELETE FROM dialog.message_analysis WHERE tenant_id = $1 AND message_id = $2',
    [message.tenantId, message.id],
    { prepare: true },
  );
}

function editedJob(message: MessageRow) {
  const job = analysisJob(message);
  return { ...job, payload: { ...job.payload, messageId: message.id }, key: `${job.key}:${message.id}` };
}
